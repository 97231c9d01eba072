"""Plain paint and road signs."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.materials.canvas import Canvas

SIGN_TEXELS = 64
"""Side of a painted sign."""

SIGNS = {
    "limit": "disc",
    "no entry": "disc",
    "ahead": "disc",
    "parking": "square",
    "danger": "triangle",
}
"""Shape of every kind of sign."""

_GLYPHS = {
    "3": ("###", "..#", "###", "..#", "###"),
    "5": ("###", "#..", "###", "..#", "###"),
    "7": ("###", "..#", ".#.", ".#.", ".#."),
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "P": ("###", "#.#", "###", "#..", "#.."),
    "!": (".#.", ".#.", ".#.", "...", ".#."),
    "^": (".#.", "###", ".#.", ".#.", ".#."),
}


def plain(rng: np.random.Generator) -> np.ndarray:
    """Near white, to be tinted: metal, render, plastic; 1 m square."""
    canvas = Canvas((64, 64), 0.95, tinted=1.0)
    canvas.grain(0.05 * canvas.noise(rng, 0.8))
    return canvas.texels


def sign(rng: np.random.Generator, kind: str) -> np.ndarray:
    """A road sign of `SIGNS`; a triangle points to the top of the tile."""
    red, blue, white, black = (0.75, 0.08, 0.1), (0.12, 0.3, 0.7), 0.94, 0.1
    ground = blue if kind in ("ahead", "parking") else red
    canvas = Canvas((SIGN_TEXELS, SIGN_TEXELS), ground)
    if kind == "limit":
        canvas.disc(0.5, 0.5, 0.39, white)
        _write(canvas, "357"[int(rng.integers(3))], 0.35, 0.5, 0.36, black)
        _write(canvas, "0", 0.65, 0.5, 0.36, black)
    elif kind == "no entry":
        canvas.box(0.2, 0.41, 0.8, 0.59, white)
    elif kind == "danger":
        v, u = (np.mgrid[:SIGN_TEXELS, :SIGN_TEXELS] + 0.5) / SIGN_TEXELS
        inner = (v < 0.88) & (np.abs(u - 0.5) < (v - 0.27) / 2)
        canvas.fill(inner, white)
        _write(canvas, "!", 0.5, 0.66, 0.34, black)
    else:
        glyph = {"ahead": "^", "parking": "P"}[kind]
        _write(canvas, glyph, 0.5, 0.5, 0.6, white)
    return canvas.texels


def _write(canvas, glyph, x, y, height, colour):
    """One glyph, 3 dots wide and 5 high, centred at (x, y)."""
    dot = height / 5
    for row, line in enumerate(_GLYPHS[glyph]):
        for column, mark in enumerate(line):
            if mark == "#":
                top = y + dot * (row - 2.5)
                canvas.bar(x + dot * (column - 1), top, dot, dot, colour)

"""Paint, lights, glass and wheels of cars."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.materials.canvas import Canvas

_BODY = {"colour": 0.93, "tinted": 1.0}


def paint(rng: np.random.Generator) -> np.ndarray:
    """Bodywork to be tinted."""
    canvas = Canvas((64, 64), **_BODY)
    canvas.grain(0.03 * canvas.noise(rng, 0.8))
    return canvas.texels


def side(
    rng: np.random.Generator, length: float, height: float, axles
) -> np.ndarray:
    """Doors, handles, sill and wheel arches; u from nose to tail.

    Args:
      rng: source of randomness.
      length: of the car, metres.
      height: from window line to sill, metres.
      axles: their distances behind the nose, metres.
    """
    canvas = Canvas((64, 256), **_BODY, size=(length, height))
    canvas.grain(0.02 * canvas.noise(rng, 1.2))
    hinges, *doors = length * np.array([0.27, 0.50, 0.72])
    for x in (hinges, *doors):
        canvas.bar(x, 0, 0.024, 0.8 * height, 0.45, tinted=1.0)
    for x in doors:
        canvas.bar(x - 0.16, 0.12, 0.18, 0.05, 0.5, tinted=1.0)
    canvas.box(0, 0.34 * height, length, 0.37 * height, 0.72, tinted=1.0)
    canvas.box(0, 0.84 * height, length, height, 0.16)
    canvas.box(0, 0.03, 0.22, 0.28 * height, 0.85)
    red = (0.6, 0.08, 0.06)
    canvas.box(length - 0.2, 0.03, length, 0.32 * height, red)
    for x in axles:
        canvas.disc(x, height + 0.03, 0.41, 0.07)
    return canvas.texels


def front(rng: np.random.Generator) -> np.ndarray:
    """Headlights, grille, bumper and plate."""
    canvas = _end(rng)
    for x in (0.24, 1.76):
        canvas.bar(x, 0.1, 0.42, 0.28, (0.92, 0.92, 0.86))
        canvas.disc(x, 0.24, 0.1, 0.7)
    canvas.bar(1, 0.12, 1.0, 0.24, 0.13)
    for y in (0.17, 0.24, 0.31):
        canvas.bar(1, y, 0.96, 0.02, 0.5)
    _draw_plate(canvas, 0.64)
    return canvas.texels


def rear(rng: np.random.Generator) -> np.ndarray:
    """Tail lights, bumper and plate."""
    canvas = _end(rng)
    for x in (0.24, 1.76):
        canvas.bar(x, 0.1, 0.42, 0.28, (0.62, 0.05, 0.05))
        canvas.bar(x, 0.28, 0.18, 0.08, (0.9, 0.55, 0.3))
    _draw_plate(canvas, 0.46)
    return canvas.texels


def _end(rng):
    canvas = Canvas((64, 128), **_BODY, size=(2, 1))
    canvas.grain(0.02 * canvas.noise(rng, 1.2))
    canvas.bar(1, 0.62, 2, 0.04, 0.5, tinted=1.0)
    canvas.bar(1, 0.72, 1.4, 0.12, 0.2)
    canvas.bar(1, 0.82, 2, 0.18, 0.14)
    return canvas


def _draw_plate(canvas, y):
    canvas.bar(1, y, 0.56, 0.14, (0.9, 0.9, 0.84))
    for x in np.arange(0.8, 1.22, 0.08):
        canvas.bar(x, y + 0.04, 0.045, 0.06, 0.15)


def glass(rng: np.random.Generator, posts) -> np.ndarray:
    """Windows between body-coloured posts, darker towards the belt.

    Args:
      rng: source of randomness.
      posts: (from, to) shares of the width left in body colour.
    """
    canvas = Canvas((64, 128), **_BODY)
    v, u = (np.mgrid[:64, :128] + 0.5) / np.array([64, 128])[:, None, None]
    clear = (v > 0.1) & (v < 0.97)
    for low, high in posts:
        clear &= (u < low) | (u > high)
    tone = 0.42 - 0.3 * v**0.7 + 0.02 * canvas.noise(rng, 1.6)
    canvas.fill(clear, tone[clear, None] * (0.92, 1.0, 1.08))
    return canvas.texels


def wheel(rng: np.random.Generator) -> np.ndarray:
    """Tyre and hub from the side; 64 texels across the wheel."""
    canvas = Canvas((64, 64), 0.1, size=(2, 2))
    canvas.disc(1, 1, 0.68, 0.66)
    v, u = (np.mgrid[:64, :64] + 0.5) / 32 - 1
    radius, spokes = np.hypot(u, v), int(rng.integers(5, 9))
    between = np.cos(spokes * np.arctan2(v, u)) < -0.2
    canvas.fill(between & (radius > 0.2) & (radius < 0.68), 0.16)
    return canvas.texels

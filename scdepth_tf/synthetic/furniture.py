"""Lamps, signs, bins, hedges, walls and fences."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.materials.things import SIGN_TEXELS
from scdepth_tf.synthetic.shapes import Ball, Face, Model, box


def lamp(plain_tile: int, height: float, reach: float, tint) -> Model:
    """A street lamp whose arm reaches towards −X."""
    look = {"tile": plain_tile, "tint": tint}
    pole = Ball(
        (0, height / 2, 0), (0.07, height / 2, 0.07), cylinder=True, **look
    )
    under = height - 0.1
    arm = box((-reach, 0.05), (under, height), (-0.04, 0.04), **look)
    head = box(
        (-reach - 0.6, -reach), (under, height + 0.06), (-0.13, 0.13), **look
    )
    return Model.of([*arm, *head], [pole])


def sign(plain_tile: int, sign_tile: int, shape: str) -> Model:
    """A road sign that faces −Z: "disc", "square" or "triangle"."""
    radius, middle, texels = 0.32, 2.36, SIGN_TEXELS
    post = Ball(
        (0, 1.3, 0.05),
        (0.035, 1.3, 0.035),
        plain_tile,
        tint=(0.4, 0.4, 0.42),
        cylinder=True,
    )
    if shape == "disc":
        disc = Ball(
            (0, middle, 0),
            (radius, radius, 0.03),
            sign_tile,
            density=texels / (2 * radius),
            offset=(texels / 2, texels / 2),
        )
        return Model.of(balls=[post, disc])
    low, high = middle - radius, middle + radius
    if shape == "triangle":
        corners = [(-radius, low, 0), (radius, low, 0), (0, high, 0)]
        uv = [(0, texels), (texels, texels), (texels / 2, 0)]
    else:
        corners = [
            (-radius, high, 0),
            (radius, high, 0),
            (radius, low, 0),
            (-radius, low, 0),
        ]
        uv = [(0, 0), (texels, 0), (0, texels)]
    face = Face(corners, sign_tile, inside=(0, middle, 1), uv=uv)
    back = Face(
        [(x, up, 0.01) for x, up, _ in corners],
        plain_tile,
        inside=(0, middle, -1),
        tint=(0.35, 0.35, 0.35),
    )
    return Model.of([face, back], [post])


def wheeled_bin(rng: np.random.Generator, plain_tile: int) -> Model:
    """A wheeled rubbish bin."""
    tint = rng.choice(
        [
            (0.05, 0.05, 0.05),
            (0.03, 0.12, 0.04),
            (0.3, 0.22, 0.02),
            (0.02, 0.06, 0.2),
        ]
    )
    body = box((-0.28, 0.28), (0.06, 0.95), (-0.3, 0.3), plain_tile, tint=tint)
    lid = box(
        (-0.31, 0.31), (0.95, 1.05), (-0.34, 0.34), plain_tile, tint=tint * 1.6
    )
    return Model.of(body + lid)


def barrier(
    tile: int, length: float, height: float, depth: float, tint
) -> Model:
    """A fence, wall or clipped hedge along z, centred."""
    return Model.of(
        box(
            (-depth / 2, depth / 2), (0, height), (-length / 2, length / 2),
            tile, tint=tint, sides="xXYzZ",
        )
    )  # fmt: skip

"""Lamps, signs, bins, hedges, walls and fences."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.shapes import Ball, Face, Model, box

def lamp(plain_tile: int, height: float, reach: float, tint) -> Model:
    """A street lamp whose arm reaches towards −X."""
    pole = Ball(
        (0, height / 2, 0), (0.07, height / 2, 0.07), plain_tile, tint=tint,
        cylinder=True,
    )  # fmt: skip
    arm = box(
        (-reach, 0.05), (height - 0.1, height), (-0.04, 0.04), plain_tile,
        tint=tint,
    )  # fmt: skip
    head = box(
        (-reach - 0.6, -reach), (height - 0.1, height + 0.06), (-0.13, 0.13),
        plain_tile, tint=np.asarray(tint) * 1.2,
    )  # fmt: skip
    return Model.of([*arm, *head], [pole])


def sign(plain_tile: int, sign_tile: int, shape: str, back: float) -> Model:
    """A road sign that faces −Z: "disc", "square" or "triangle"."""
    post = Ball(
        (0, 1.3, 0.05), (0.035, 1.3, 0.035), plain_tile, tint=(0.4, 0.4, 0.42),
        cylinder=True,
    )  # fmt: skip
    if shape == "disc":
        disc = Ball(
            (0, 2.4, 0), (0.32, 0.32, 0.03), sign_tile, density=32 / 0.32,
            offset=(32, 32),
        )  # fmt: skip
        return Model.of(balls=[post, disc])
    side = 0.32
    corners = {
        "square": [(-side, 2.65, 0), (side, 2.65, 0), (side, 2.05, 0), (-side, 2.05, 0)],
        "triangle": [(-side, 2.05, 0), (side, 2.05, 0), (0, 2.65, 0)],
    }[shape]
    uv = {
        "square": [(0, 0), (64, 0), (0, 64)],
        "triangle": [(0, 64), (64, 64), (32, 0)],
    }[shape]
    plate = [
        Face(corners, sign_tile, (0, 2.4, 1), uv=uv),
        Face(
            [(x, up, 0.01) for x, up, _ in corners], plain_tile, (0, 2.4, -1),
            tint=(back,) * 3,
        ),
    ]  # fmt: skip
    return Model.of(plate, [post])


def bin_(rng: np.random.Generator, plain_tile: int) -> Model:
    """A wheeled rubbish bin."""
    tint = rng.choice(
        [(0.05, 0.05, 0.05), (0.03, 0.12, 0.04), (0.3, 0.22, 0.02), (0.02, 0.06, 0.2)]
    )
    body = box(
        (-0.28, 0.28), (0.06, 0.95), (-0.3, 0.3), plain_tile, tint=tint
    )
    lid = box(
        (-0.31, 0.31), (0.95, 1.05), (-0.34, 0.34), plain_tile, tint=tint * 1.6
    )
    return Model.of(body + lid)


def barrier(tile: int, length: float, height: float, depth: float, tint) -> Model:
    """A fence, wall or clipped hedge along z, centred."""
    return Model.of(
        box(
            (-depth / 2, depth / 2), (0, height), (-length / 2, length / 2),
            tile, tint=tint, sides="xXYzZ",
        )
    )  # fmt: skip

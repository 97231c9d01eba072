"""Trees, bushes and wooded hills, composed of leafy ellipsoids."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from scdepth_tf.synthetic.shapes import Ball, Model


@dataclasses.dataclass(frozen=True)
class _Habit:
    """How a kind of tree grows at size 1, metres.

    Attributes:
      trunk: height of the lowest leaves.
      thickness: radius of the trunk.
      crown: radius of the crown.
      height: of the crown.
      blobs: ellipsoids that it is composed of.
    """

    trunk: float
    thickness: float
    crown: float
    height: float
    blobs: int


_HABITS = {
    "round": _Habit(2.6, 0.16, 1.7, 3.4, 10),
    "broad": _Habit(3.2, 0.24, 2.6, 3.9, 14),
    "young": _Habit(1.9, 0.07, 0.9, 2.2, 6),
    "column": _Habit(1.0, 0.15, 0.85, 7.5, 6),
    "fir": _Habit(0.9, 0.16, 1.9, 7.0, 10),
}


def tree(
    rng: np.random.Generator,
    kind: str,
    leaf_tile: int,
    bark_tile: int,
    tint: np.ndarray,
    size: float,
) -> Model:
    """A tree: "round", "broad", "young", "column" or "fir".

    Args:
      rng: source of randomness.
      kind: silhouette.
      leaf_tile: tile of the crown, its A cutting the holes.
      bark_tile: tile of the trunk.
      tint: linear RGB of the leaves.
      size: scale, about 1.
    """
    habit = _HABITS[kind]
    trunk = habit.trunk * rng.uniform(0.85, 1.2)
    radius, height = habit.crown * size, habit.height * size
    grow = {"column": _column, "fir": _fir}.get(kind, _globe)
    crown = [
        _leaves(rng, (x, trunk + up, z), radii, leaf_tile, tint)
        for (x, up, z), radii in grow(rng, radius, height, habit.blobs)
    ]
    top = max(ball.centre[1] for ball in crown)
    thickness = habit.thickness * size
    stem = Ball(
        (0, top / 2, 0),
        (thickness, top / 2, thickness),
        bark_tile,
        offset=rng.uniform(0, 128, 2),
        tint=(0.9, 0.75, 0.6),
        cylinder=True,
    )
    return Model.of(balls=[stem, *crown])


def bush(
    rng: np.random.Generator, leaf_tile: int, tint: np.ndarray, size: float
) -> Model:
    """A bush of about `size` metres radius."""
    balls = []
    for _ in range(int(rng.integers(2, 5))):
        radii = size * rng.uniform(0.45, 0.8, 3)
        x, z = rng.uniform(-0.5, 0.5, 2) * size
        centre = (x, 0.7 * radii[1], z)
        balls.append(_leaves(rng, centre, radii, leaf_tile, tint))
    return Model.of(balls=balls)


def hill(rng: np.random.Generator, leaf_tile: int, tint: np.ndarray) -> Model:
    """A wooded hill for the horizon."""
    radii = rng.uniform(60, 110), rng.uniform(9, 24), rng.uniform(25, 40)
    woods = Ball(
        (0, 0, 0),
        radii,
        leaf_tile,
        density=8.0,
        offset=rng.uniform(0, 256, 2),
        tint=tint,
    )
    return Model.of(balls=[woods])


def _leaves(rng, centre, radii, leaf_tile, tint):
    return Ball(
        centre,
        radii,
        leaf_tile,
        offset=rng.uniform(0, 256, 2),
        tint=tint * rng.uniform(0.8, 1.2),
        leafy=True,
    )


def _globe(rng, radius, height, count) -> Iterator:
    """A core, and blobs spread over it on a golden-angle spiral."""
    half = height / 2
    yield (0, half, 0), (0.75 * radius, 0.8 * half, 0.75 * radius)
    for k in range(count - 1):
        angle = 2.4 * k + rng.uniform(-0.3, 0.3)
        up = -0.75 + 1.6 * (k + 0.5) / (count - 1)
        out = 0.66 * radius * np.sqrt(1 - min(up * up, 0.9))
        centre = (
            out * np.cos(angle),
            half * (1 + 0.7 * up),
            out * np.sin(angle),
        )
        yield centre, radius * rng.uniform(0.38, 0.58) * np.array([1, 0.85, 1])


def _column(rng, radius, height, count) -> Iterator:
    """Blobs one above the other, widest below the middle."""
    for share in np.linspace(0, 1, count):
        wide = radius * (0.66 + 0.44 * np.sin(np.pi * (0.2 + 0.75 * share)))
        x, z = rng.uniform(-0.15, 0.15, 2)
        centre = (x, 0.6 + 0.8 * share * height, z)
        yield centre, (wide, 0.17 * height, wide)


def _fir(rng, radius, height, count) -> Iterator:
    """Drooping tiers that narrow towards the top."""
    for share in np.linspace(0, 1, count):
        wide = radius * (1 - 0.9 * share) * rng.uniform(0.85, 1.1)
        x, z = rng.uniform(-0.12, 0.12, 2) * wide
        centre = (x, 0.5 + 0.88 * share * height, z)
        yield centre, (wide, 0.1 * height + 0.1 * wide, wide)

"""Trees, bushes and wooded hills, composed of leafy ellipsoids."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.shapes import Ball, Model

def tree(
    rng: np.random.Generator,
    kind: str,
    leaf_tile: int,
    bark_tile: int,
    tint,
    size: float,
) -> Model:
    """A tree: "round", "broad", "column", "fir" or "young".

    Args:
      rng: source of randomness.
      kind: silhouette.
      leaf_tile, bark_tile: tiles.
      tint: linear RGB of the leaves.
      size: scale of the crown, about 1.
    """
    trunk = {"round": 2.6, "broad": 3.2, "column": 1.0, "fir": 0.9, "young": 1.9}[kind] * rng.uniform(0.85, 1.2)
    thick = {"round": 0.16, "broad": 0.24, "column": 0.15, "fir": 0.16, "young": 0.07}[kind] * size
    blobs: list[tuple[np.ndarray, np.ndarray]] = []
    if kind in ("round", "broad", "young"):
        radius = {"round": 1.7, "broad": 2.6, "young": 0.9}[kind] * size
        tall = radius * {"round": 1.0, "broad": 0.75, "young": 1.2}[kind]
        blobs.append((np.array([0, trunk + tall, 0]), radius * np.array([0.75, 0.8, 0.75])))
        count = {"round": 9, "broad": 13, "young": 5}[kind]
        for k in range(count):
            angle = 2.4 * k + rng.uniform(-0.3, 0.3)
            up = np.clip(-0.75 + 1.6 * (k + 0.5) / count, -1, 1)
            flat = np.sqrt(1 - min(up * up, 0.9))
            centre = np.array(
                [np.cos(angle) * flat * radius * 0.66,
                 trunk + tall + up * tall * 0.7,
                 np.sin(angle) * flat * radius * 0.66]
            )  # fmt: skip
            blobs.append((centre, radius * rng.uniform(0.38, 0.58) * np.array([1, 0.85, 1])))
    elif kind == "column":
        tall = 7.5 * size
        for k in range(6):
            share = k / 5
            wide = (0.75 + 0.5 * np.sin(np.pi * (0.2 + 0.75 * share))) * size * 0.75
            blobs.append(
                (np.array([rng.uniform(-0.15, 0.15), trunk + 0.6 + share * tall * 0.8, rng.uniform(-0.15, 0.15)]),
                 np.array([wide, tall * 0.17, wide]))
            )  # fmt: skip
    else:
        tall = 7.0 * size
        for k in range(7):
            share = k / 6
            wide = (1 - share * 0.88) * 2.0 * size
            blobs.append(
                (np.array([0, trunk + 0.3 + share * tall * 0.9, 0]),
                 np.array([wide, tall * 0.11, wide]))
            )  # fmt: skip
    top = max(centre[1] for centre, _ in blobs)
    balls = [
        Ball(
            (0, top / 2, 0), (thick, top / 2, thick), bark_tile,
            offset=rng.uniform(0, 128, 2),
            tint=(0.9, 0.75, 0.6), cylinder=True,
        )
    ]  # fmt: skip
    for centre, radii in blobs:
        balls.append(
            Ball(
                centre, radii, leaf_tile, 
                offset=rng.uniform(0, 256, 2),
                tint=np.asarray(tint) * rng.uniform(0.8, 1.2), leafy=True,
            )
        )  # fmt: skip
    return Model.of(balls=balls)


def bush(rng: np.random.Generator, leaf_tile: int, tint, size: float) -> Model:
    balls = []
    for _ in range(int(rng.integers(2, 5))):
        radii = size * rng.uniform(0.45, 0.8, 3)
        centre = rng.uniform(-0.5, 0.5, 3) * size
        balls.append(
            Ball(
                (centre[0], radii[1] * 0.7, centre[2]), radii, leaf_tile,
                offset=rng.uniform(0, 256, 2),
                tint=np.asarray(tint) * rng.uniform(0.8, 1.2), leafy=True,
            )
        )  # fmt: skip
    return Model.of(balls=balls)


def hill(rng: np.random.Generator, leaf_tile: int, tint) -> Model:
    """A wooded hill for the horizon."""
    radii = rng.uniform(60, 110), rng.uniform(9, 24), rng.uniform(25, 40)
    return Model.of(
        balls=[
            Ball(
                (0, 0, 0), radii, leaf_tile, density=8.0,
                offset=rng.uniform(0, 256, 2), tint=tint,
            )
        ]
    )  # fmt: skip

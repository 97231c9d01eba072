"""The scale from how far the camera went: true against predicted metres.

True motion is known as positions (poses, GPS fixes) or as the distance along
the road (speed). Either is compared over stretches long enough for what is
known to be worth something: the camera's way from a stretch's start to its
end, as the crow flies for positions, along the path for distances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scdepth_tf.metrics.odometry import distances_along

BRISK = 90
"""Percentile of the steps that counts as brisk: a stretch is at least half
such a step, so that a camera that stands gives no scale of noise."""


class Stretches(NamedTuple):
    """Scales of stretches of the way."""

    scales: np.ndarray
    """`[M]` metres per scene unit, in time order."""

    left_out: int
    """Stretches in which the prediction does not move."""


def scales_of_positions(
    truth: np.ndarray, predicted: np.ndarray, minimum: float = 0.0
) -> Stretches:
    """S = |z_j − z_i| / |p_j − p_i| of stretches that follow each other.

    Args:
        truth: true positions z `[N, 3]`, metres, any world.
        predicted: positions p `[N, 3]` at the same moments, scene units, any
            world.
        minimum: metres that a stretch has at least.

    Raises:
        ValueError: the numbers of positions differ.
    """
    _check_lengths(truth, predicted)

    def chord(positions: np.ndarray, start: int) -> np.ndarray:
        return np.linalg.norm(positions - positions[start], axis=-1)

    steps = np.linalg.norm(np.diff(truth, axis=0), axis=-1)
    return _stretches(truth, predicted, chord, steps, minimum)


def scales_of_distances(
    truth: np.ndarray, predicted: np.ndarray, minimum: float = 0.0
) -> Stretches:
    """S = (d_j − d_i) / (path from p_i to p_j) of stretches in turn.

    Args:
        truth: metres along the path d `[N]`, growing.
        predicted: world_from_camera `[N, 4, 4]`, scene units.
        minimum: metres that a stretch has at least.

    Raises:
        ValueError: the numbers of frames differ.
    """
    _check_lengths(truth, predicted)

    def along(distances: np.ndarray, start: int) -> np.ndarray:
        return distances - distances[start]

    return _stretches(
        truth, distances_along(predicted), along, np.diff(truth), minimum
    )


def _stretches(truth, predicted, between, steps, minimum) -> Stretches:
    if not len(steps):
        return Stretches(np.zeros(0), 0)
    shortest = max(minimum, 0.5 * float(np.percentile(steps, BRISK)))
    scales, left_out, start = [], 0, 0
    while shortest > 0:
        true_way = between(truth, start)
        reached = np.flatnonzero(true_way[start:] >= shortest)
        if not len(reached):
            break
        end = start + int(reached[0])
        predicted_way = between(predicted, start)[end]
        if predicted_way > 0:
            scales.append(true_way[end] / predicted_way)
        else:
            left_out += 1
        start = end
    return Stretches(np.array(scales), left_out)


def _check_lengths(truth: np.ndarray, predicted: np.ndarray) -> None:
    if len(truth) != len(predicted):
        raise ValueError(
            f"{len(predicted)} predicted positions for {len(truth)} true "
            "ones; give the same frames of both"
        )

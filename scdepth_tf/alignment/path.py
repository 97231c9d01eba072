"""A camera's path from measured steps: which to believe, and what is noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from scdepth_tf.alignment.images import Frame, align
from scdepth_tf.alignment.twists import coordinates, from_coordinates
from scdepth_tf.metrics.odometry import inverse, steps

WINDOW = 256
"""Steps that are smoothed together."""
OVERLAP = 64
"""Steps that a window shares with the next; what is further away than half of
them hardly counts."""
VELOCITY_CHANGE = 0.02
"""How much a vehicle's velocity changes from a frame to the next, as a share
of the usual step: 2 m/s² at 10 m/s and 10 frames a second. A quarter of that
fits steady driving better and is wrong where a car brakes."""
STEP_NOISE = 0.1
"""The same of a step's error, at most; measured on four streets and KITTI's
sequence 06."""
_FLICKERING = 0.25
"""Share of the steps' errors that neighbours do not have in common, of which
alone the steps can tell; measured likewise."""

_HUBER = 1.345
_MOVED, _TURNED = slice(0, 3), slice(3, 6)
_STIFFEST = 16.0
"""Beyond, a window would be too short."""
_FEWEST = 5
"""Steps from which noise can be told."""


def refine(
    frames: Iterable[Frame],
    initial: np.ndarray,
    velocity_change: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """A better path, in the unit of the frames' depth. Holds two frames.

    Args:
        frames: N in time order, read one at a time.
        initial: world_from_camera `[N, 4, 4]`: what `chain` makes of the pose
            network's motions.
        velocity_change: of the carrier from frame to frame, as a share of the
            usual step; infinity does not smooth. None tells it from the steps
            (`common_change`).
        progress: called with frames done and in all.

    Returns:
        world_from_camera `[N, 4, 4]`; the first camera is that of `initial`.

    Raises:
        ValueError: there are not as many frames as poses.
    """
    guessed = steps(initial)
    aligned = np.full_like(guessed, np.nan)
    count, before = 0, None
    for count, frame in enumerate(frames, start=1):
        if before is not None and count <= len(initial):
            aligned[count - 2] = aligned_step(before, frame, guessed[count - 2])
        before = frame
        if progress:
            progress(count, len(initial))
    if count != len(initial):
        raise ValueError(
            f"{count} frames for {len(initial)} poses; give the same frames"
        )
    return refine_path(initial, aligned, velocity_change)


def refine_path(
    initial: np.ndarray,
    aligned: np.ndarray,
    velocity_change: float | None = None,
) -> np.ndarray:
    """A better path, of what the pose network and what alignment says.

    Args:
        initial: world_from_camera `[N, 4, 4]`.
        aligned: see `refine_steps`.
        velocity_change: see `refine`.

    Returns:
        world_from_camera `[N, 4, 4]`, in the unit of the depth.
    """
    path = [initial[0]]
    for step in refine_steps(steps(initial), aligned, velocity_change):
        path.append(path[-1] @ step)
    return np.stack(path)


def refine_steps(
    guessed: np.ndarray,
    aligned: np.ndarray,
    velocity_change: float | None = None,
) -> np.ndarray:
    """The best steps, of what the pose network and what alignment says.

    Args:
        guessed: P_i⁻¹·P_{i+1} `[N, 4, 4]`, scene units.
        aligned: the same by `align`, in the unit of the depth; NaN where
            frames could not be aligned.
        velocity_change: see `refine`.

    Returns:
        `[N, 4, 4]`, in the unit of the depth.
    """
    known = np.isfinite(aligned).all(axis=(1, 2))
    first = coordinates(guessed)
    second = np.full_like(first, np.nan)
    if known.any():
        second[known] = coordinates(aligned[known])
        lengths = [_usual_length(one[known]) for one in (first, second)]
        first[:, :3] *= lengths[1] / lengths[0] if min(lengths) > 0 else 1.0
    steps = np.concatenate(
        [fuse(first[:, part], second[:, part]) for part in (_MOVED, _TURNED)],
        axis=1,
    )
    flicker = _flicker(steps[:, _MOVED]) / max(_usual_length(steps), 1e-30)
    noise = min(STEP_NOISE, flicker / 2**0.5 / _FLICKERING)
    if velocity_change is None:
        velocity_change = VELOCITY_CHANGE
        if np.count_nonzero(known) >= _FEWEST:
            change = common_change(first[known, :3], second[known, :3])
            velocity_change = max(change, velocity_change)
    steps[:, _MOVED] = smooth(steps[:, _MOVED], noise / velocity_change)
    return from_coordinates(steps)


def common_change(first: np.ndarray, second: np.ndarray) -> float:
    """How much a velocity changes from step to step, as a share of its usual
    length: the part of it that two measurements of it have in common.

    A hand changes it by a third; of a vehicle's change nothing is left, because
    as much as the noise that both may have in common is taken off.

    Args:
        first: `[N, 3]`.
        second: `[N, 3]`, the same by another measurement.
    """
    changes = [
        change / max(float(np.median(np.linalg.norm(one, axis=1))), 1e-30)
        for change, one in zip(
            _changes(first, second), (first, second), strict=True
        )
    ]
    common = float(np.mean(np.sum(changes[0] * changes[1], axis=1))) / 3
    return max(common - 2 * (STEP_NOISE * _FLICKERING) ** 2, 0.0) ** 0.5


def fuse(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean of two measurements of one signal, both `[N, C]`, weighted by how
    steady they are (variance of the differences from one to the next); where
    the second is NaN, the first.

    Weights by what only one of them changes would be steeper, and measured
    worse: much of what is wrong does not change from one to the next.
    """
    known = np.isfinite(second).all(axis=1)
    if np.count_nonzero(known) < _FEWEST:
        return first
    variances = [_flicker(one[known]) ** 2 for one in (first, second)]
    weight = variances[0] / max(sum(variances), 1e-30)
    return np.where(known[:, None], first + weight * (second - first), first)


def smooth(values: np.ndarray, ratio: float) -> np.ndarray:
    """A signal `[N, C]` without its noise.

    The signal is a random walk, the noise white, `ratio` times as strong as a
    step of the walk. Outliers count by Huber's weights.
    """
    if len(values) < _FEWEST:
        return values
    ratio = min(ratio, _STIFFEST)
    smoothed = values.copy()
    start = 0
    while True:
        part = slice(start, start + WINDOW)
        at = 0 if start == 0 else OVERLAP // 2
        window = _smooth_window(values[part], ratio)
        smoothed[start + at : part.stop] = window[at:]
        if part.stop >= len(values):
            return smoothed
        start += WINDOW - OVERLAP


def aligned_step(before: Frame, after: Frame, guess: np.ndarray) -> np.ndarray:
    """P_i⁻¹·P_{i+1} by alignment, by the depth of both; NaN where the images
    share too little.
    """
    forward = align(before, after, inverse(guess))
    backward = align(after, before, guess)
    if not (forward.overlap and backward.overlap):
        return np.full((4, 4), np.nan)
    both = np.stack(
        [inverse(forward.source_from_target), backward.source_from_target]
    )
    return from_coordinates(coordinates(both).mean(axis=0)[None])[0]


def _changes(*signals: np.ndarray) -> list[np.ndarray]:
    """Differences `[N - 1, C]` from one to the next, outliers shortened."""
    changes = []
    for signal in signals:
        change = np.diff(signal, axis=0)
        length = np.linalg.norm(change, axis=1, keepdims=True)
        longest = max(3 * float(np.median(length)), 1e-30)
        changes.append(change * np.minimum(1, longest / length.clip(1e-30)))
    return changes


def _flicker(values: np.ndarray) -> float:
    """Robust standard deviation of the steps of `[N, C]`, all C together; 0
    where there is no step.
    """
    if len(values) < 2:
        return 0.0
    steps = np.linalg.norm(np.diff(values, axis=0), axis=1)
    # Of a normal distribution in three dimensions.
    return float(np.median(steps)) / 1.538


def _usual_length(steps: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(steps[:, _MOVED], axis=1)))


def _smooth_window(values: np.ndarray, ratio: float) -> np.ndarray:
    differences = np.diff(np.eye(len(values)), axis=0)
    stiffness = ratio**2 * differences.T @ differences
    weight = np.ones(len(values))
    for _ in range(5):
        smoothed = np.linalg.solve(
            np.diag(weight) + stiffness, weight[:, None] * values
        )
        off = np.linalg.norm(values - smoothed, axis=1)
        usual = max(float(np.median(off)), 1e-12)
        weight = 1 / np.maximum(off / (_HUBER * usual), 1)
    return smoothed

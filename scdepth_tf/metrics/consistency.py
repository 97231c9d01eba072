"""How constant the scale of a video's depth is.

Self-supervised depth has no unit; SC-Depth's claim is that the unknown scale
is at least *one* for the whole video. The scale of an image is what its depth
must be multiplied by to have the median of the truth (`median_scale`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

DRIFT_FRAMES = 100


@dataclasses.dataclass(frozen=True)
class ScaleDrift:
    """How the scale changes along one sequence."""

    spread: float
    """Standard deviation of the images' scales / their median."""

    per_100_frames: float
    """Relative change over 100 frames: exp(100·b) − 1 with b the slope of
    the least-squares line through ln(scale) over the frame's number. 0.02
    is 2 % growth."""

    over_sequence: float
    """The same from the first to the last frame."""

    jitter: float
    """Standard deviation of ln(scale) about that line: what changes from
    frame to frame and is no drift."""


def scale_spread(scales: Sequence[float]) -> float:
    """Standard deviation / median, as SC-SfMLearner-Release prints it."""
    return float(np.std(scales) / np.median(scales))


def scale_drift(
    frames: Sequence[int], scales: Sequence[float]
) -> ScaleDrift | None:
    """Fits one sequence.

    Args:
        frames: numbers of the frames, growing; gaps are fine.
        scales: their scales, > 0.

    Returns:
        None with fewer than two frames, through which there is no line.
    """
    if len(frames) < 2:
        return None
    time = np.asarray(frames, np.float64)
    log_scale = np.log(np.asarray(scales, np.float64))
    centred = time - time.mean()
    slope = float((centred * log_scale).sum() / (centred**2).sum())
    left = log_scale - log_scale.mean() - slope * centred
    return ScaleDrift(
        spread=scale_spread(scales),
        per_100_frames=float(np.expm1(DRIFT_FRAMES * slope)),
        over_sequence=float(np.expm1(slope * (time[-1] - time[0]))),
        jitter=float(np.std(left)),
    )

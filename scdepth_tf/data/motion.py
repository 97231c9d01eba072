"""How far a camera moved between two frames, told from noise: NumPy only.

The published filter for static frames subtracts uint8 images, which wraps
around; all arithmetic here is floating point.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

WIDTH = 64
"""Columns that frames are reduced to: noise averages out, motion stays."""

STATIC_BELOW = 0.00125
"""Change below which two frames are of a standing camera: one pixel of an
image 800 pixels wide."""

_TILE = 8
_GREY_FLOOR = 1.0


def is_static(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two frames differ by noise, or something small that moves,
    alone; frames as in `frame_change`.
    """
    return frame_change(a, b) < STATIC_BELOW


def frame_change(a: np.ndarray, b: np.ndarray) -> float:
    """Apparent motion between two frames, as a fraction of the image width.

    In each tile of the reduced images, |difference| over |gradient| is how
    far edges moved (the normal flow), in reduced pixels. The median over
    tiles is blind to what moves in less than half of the view, such as
    traffic that crosses in front of a standing camera; the median difference
    of brightness is taken off. Much motion is underestimated: it is a measure
    for telling little from none.

    Args:
        a: [H, W] or [H, W, 3], grey levels in [0, 255], of any type.
        b: the same size.

    Returns:
        0 for equal frames; about 0.0002 for noise of 5 grey levels and 0.003
        and more for a car that drives at 10 frames a second.

    Raises:
        ValueError: the frames differ in size.
    """
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(
            f"frames of {a.shape[1]}x{a.shape[0]} and "
            f"{b.shape[1]}x{b.shape[0]} pixels; give two of one size"
        )
    small_a, small_b = _reduce(a), _reduce(b)
    difference = small_b - small_a
    difference = np.abs(difference - np.median(difference))
    gradient = np.hypot(*np.gradient((small_a + small_b) / 2))
    shifts = _tile_means(difference) / (_tile_means(gradient) + _GREY_FLOOR)
    return float(np.median(shifts)) / WIDTH


def _reduce(frame: np.ndarray) -> np.ndarray:
    """Grey float32 [h, WIDTH], each pixel the mean of those it covers."""
    grey = np.asarray(frame, np.float32)
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    height = max(2, round(grey.shape[0] * WIDTH / grey.shape[1]))
    if grey.shape == (height, WIDTH):
        return grey
    small = Image.fromarray(grey).resize((WIDTH, height), Image.Resampling.BOX)
    return np.asarray(small)


def _tile_means(values: np.ndarray) -> np.ndarray:
    """[h, w] to the means of its tiles; the last ones may be smaller."""
    starts = [np.arange(0, size, _TILE) for size in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0]), starts[1], 1)
    sizes = [
        np.diff([*start, size])
        for start, size in zip(starts, values.shape, strict=True)
    ]
    return sums / np.outer(*sizes)

"""The scale from a second camera beside the first.

With the scale s, a point of predicted depth D is s·D metres away and lies
fx·b / (s·D) pixels further left in a camera b metres to the right. Of all s,
the right one makes the other image explain this one best.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from scdepth_tf.metrics.depth import resize_depth
from scdepth_tf.metrics.reprojection import scale_intrinsics

WIDEST = 416
"""Pixels across that the comparison is made at; larger images are shrunk."""

_STEPS = 120
_LARGEST_SHIFT = 0.25
"""Of the image's width, that the median depth may be shifted by."""
_SMALLEST_SHIFT = 0.5
"""Pixels of the same: below, the images are all but equal."""
_CLIP = 0.15
"""Grey levels of [0, 1] at which a pixel counts as not matched at all."""
_CLEAR = 0.9
"""The best error must be below this part of the median over all scales."""


def scale_of_pair(
    image: np.ndarray,
    other: np.ndarray,
    depth: np.ndarray,
    intrinsics: np.ndarray,
    baseline: float,
) -> float | None:
    """Metres per scene unit, from one rectified pair.

    The error of a scale is the mean absolute difference of greys and their
    gradients, clipped, over the pixels that are in view. Its minimum is found
    on a grid of scales, and between them by a parabola.

    Args:
        image: `[H, W, 3]` uint8, whose depth is known.
        other: of the other camera, the same size.
        depth: predicted of `image`, `[h, w]`, scene units.
        intrinsics: `[3, 3]` of both cameras, pixels of the images.
        baseline: metres by which the other camera is further right; negative
            if it is further left.

    Returns:
        None where no scale explains the pair better than most others do.

    Raises:
        ValueError: the images differ in size, or the baseline is 0.
    """
    if image.shape != other.shape:
        raise ValueError(
            f"the images of a pair are {_size(image)} and {_size(other)}; "
            "expected rectified ones of one size"
        )
    if baseline == 0 or not np.isfinite(baseline):
        raise ValueError(f"the baseline is {baseline:g}; give it in metres")
    old = image.shape[:2]
    new = old
    if old[1] > WIDEST:
        new = round(old[0] * WIDEST / old[1]), WIDEST
    ours, theirs = _grey(image, new), _grey(other, new)
    focal = scale_intrinsics(intrinsics, old, new)[0, 0]
    disparity = 1 / resize_depth(depth, new, "disparity").astype(np.float64)
    # Pixels of shift at scale 1; the median decides which scales to try.
    shift = focal * baseline * disparity
    usual = float(np.median(np.abs(shift)))
    scales = np.geomspace(
        usual / (_LARGEST_SHIFT * new[1]), usual / _SMALLEST_SHIFT, _STEPS
    )
    errors = np.array([_error(ours, theirs, shift / s) for s in scales])
    best = int(errors.argmin())
    is_clear = errors[best] < _CLEAR * np.median(errors)
    if best in (0, _STEPS - 1) or not is_clear:
        return None
    return _between(scales, errors, best)


def _between(scales: np.ndarray, errors: np.ndarray, best: int) -> float:
    """The minimum of the parabola through the best and its neighbours."""
    before, at, after = errors[best - 1 : best + 2]
    offset = 0.5 * (before - after) / (before - 2 * at + after)
    step = np.log(scales[1] / scales[0])
    return float(scales[best] * np.exp(offset * step))


def _error(ours: np.ndarray, theirs: np.ndarray, shift: np.ndarray) -> float:
    """How badly `theirs`, read `shift` pixels further left, explains `ours`
    (both `[H, W, C]`), where that is in view. A scale that leaves less than
    half of the image there explains nothing.
    """
    height, width = shift.shape
    column = np.arange(width) - shift
    inside = (column >= 0) & (column <= width - 1)
    column = column.clip(0, width - 1)
    left = np.minimum(column.astype(int), width - 2)
    part = (column - left)[..., None]
    rows = np.arange(height)[:, None]
    seen = (1 - part) * theirs[rows, left] + part * theirs[rows, left + 1]
    if inside.mean() < 0.5:
        return _CLIP
    difference = (seen - ours)[inside]
    # Two cameras may differ in exposure.
    difference -= np.median(difference, axis=0)
    return float(np.minimum(np.abs(difference).mean(axis=-1), _CLIP).mean())


def _grey(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[H, W, 2]`: grey in [0, 1], and its gradient across."""
    height, width = size
    small = Image.fromarray(image).convert("L")
    small = small.resize((width, height), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64) / 255
    return np.stack([grey, np.gradient(grey, axis=1)], axis=-1)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"

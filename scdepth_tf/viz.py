"""Pictures of depth, errors and masks (needs the `viz` extra)."""

from __future__ import annotations

import numpy as np

UNKNOWN = (90, 96, 104)
"""Grey of pixels about which nothing is known."""

_SPARSE = 0.3
"""Share of known pixels below which each is drawn larger, to be seen."""


def color_depth(
    depth: np.ndarray, nearest: float, farthest: float
) -> np.ndarray:
    """Near is bright, far is dark, even steps in disparity.

    Args:
        depth: [H, W] > 0; 0 or less (no measurement, sky) becomes grey.
        nearest: depth that gets the brightest colour.
        farthest: depth that gets the darkest.

    Returns:
        [H, W, 3] uint8 (Matplotlib's magma).
    """
    known = depth > 0
    disparity = 1.0 / np.where(known, depth, farthest)
    low, high = 1.0 / farthest, 1.0 / nearest
    # The square root spreads the far half of a street over more colours.
    level = np.sqrt(np.clip((disparity - low) / (high - low), 0.0, 1.0))
    return np.where(
        known[..., None], _colors(level, "magma"), np.uint8(UNKNOWN)
    )


def legend_depths(nearest: float, farthest: float, count: int) -> np.ndarray:
    """Depths [count] from `nearest` on, whose colours by `color_depth` are
    evenly spaced: what a legend shows.
    """
    low, high = 1.0 / farthest, 1.0 / nearest
    levels = np.linspace(1.0, 0.0, count)
    return 1.0 / (low + levels**2 * (high - low))


def color_ratio(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Relative error: blue is too near, white is right, red is too far.

    Args:
        depth: [H, W] > 0 in the unit of `truth`.
        truth: [H, W]; 0 or less (none) becomes grey.

    Returns:
        [H, W, 3] uint8; the colours saturate at a factor of 1.65 (e^0.5).
    """
    known = truth > 0
    log_ratio = np.log(depth / np.where(known, truth, depth))
    return np.where(
        known[..., None],
        _colors(np.clip(log_ratio + 0.5, 0.0, 1.0), "RdBu_r"),
        np.uint8(UNKNOWN),
    )


def color_weight(
    weight: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """A mask or error in colours (Matplotlib's viridis).

    Args:
        weight: [H, W] in [0, 1].
        known: [H, W]; where it is 0, `weight` means nothing and is grey.

    Returns:
        [H, W, 3] uint8.
    """
    colors = _colors(np.clip(weight, 0.0, 1.0), "viridis")
    if known is None:
        return colors
    return np.where(known[..., None] > 0, colors, np.uint8(UNKNOWN))


def spread_sparse(truth: np.ndarray) -> np.ndarray:
    """Sparse depth that can be seen: each measurement spread over its
    neighbours without one; the nearest wins. Dense depth stays as it is.

    Args:
        truth: [H, W]; 0 is none.

    Returns:
        [H, W].
    """
    if np.mean(truth > 0) > _SPARSE:
        return truth
    padded = np.pad(
        np.where(truth > 0, truth, np.inf), 2, constant_values=np.inf
    )
    height, width = truth.shape
    nearest = np.min(
        [
            padded[row : row + height, column : column + width]
            for row in range(5)
            for column in range(5)
        ],
        axis=0,
    )
    spread = np.where(np.isinf(nearest), 0, nearest)
    return np.where(truth > 0, truth, spread)


def _colors(level: np.ndarray, name: str) -> np.ndarray:
    try:
        from matplotlib import colormaps
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need Matplotlib: pip install 'scdepth-tf[viz]'",
            name=error.name,
        ) from error
    return colormaps[name](level, bytes=True)[..., :3]

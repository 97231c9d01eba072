"""One frame seen from another, in NumPy: what consistency is measured with.

The same numbers as `scdepth_tf.geometry.inverse_warp`, in float64, for one
pair of frames and for depth with holes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAREST_DEPTH = 1e-3
"""z_min, as in `scdepth_tf.geometry.warp`."""


class Reprojection(NamedTuple):
    """The target's points in the source camera; every field `[H, W, ·]`."""

    sampled: np.ndarray
    """`[H, W, C]`: the source's channels, bilinear at p'; 0 where invalid."""

    sampled_depth: np.ndarray
    """D'_b `[H, W]`: the source's depth at p'; 1 where invalid."""

    computed_depth: np.ndarray
    """D_b^a `[H, W]`: the points' depth in the source camera; 1 where
    invalid."""

    valid: np.ndarray
    """`[H, W]` bool: the target's depth is known, the point lies before the
    source camera and projects into its image, and the source's depth is
    known at all of the pixels that it is interpolated from."""


def reproject(
    target_depth: np.ndarray,
    source_depth: np.ndarray,
    source_from_target: np.ndarray,
    intrinsics: np.ndarray,
    source: np.ndarray | None = None,
) -> Reprojection:
    """Looks up the target's points in the source frame.

    X = D(p)·K⁻¹·p̃, X' = R·X + t, p' = (K·X'/Z')_xy (Bian et al., IJCV 2021,
    section 3.2).

    Args:
        target_depth: `[H, W]`; 0 means unknown.
        source_depth: `[H, W]`, of the same unit and camera.
        source_from_target: `[4, 4]` rigid, of the same unit.
        intrinsics: `[3, 3]` in pixels of these maps.
        source: `[H, W, C]` channels to sample; none by default.

    Raises:
        ValueError: the maps differ in size.
    """
    if target_depth.shape != source_depth.shape:
        raise ValueError(
            f"target depth {list(target_depth.shape)} and source depth "
            f"{list(source_depth.shape)} must have one size"
        )
    height, width = target_depth.shape
    v, u = np.mgrid[:height, :width].astype(np.float64)
    rays = (
        np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(intrinsics).T
    )
    points = rays * target_depth[..., None]
    moved = points @ source_from_target[:3, :3].T + source_from_target[:3, 3]
    depth = moved[..., 2]
    known = (target_depth > 0) & (depth > NEAREST_DEPTH)
    depth = np.where(known, depth, 1.0)
    pixels = (moved / depth[..., None]) @ intrinsics[:2].T
    column, row = pixels[..., 0], pixels[..., 1]
    valid = (
        known
        & (column >= 0)
        & (column <= width - 1)
        & (row >= 0)
        & (row <= height - 1)
    )
    channels = np.zeros((height, width, 0)) if source is None else source
    stacked = np.concatenate(
        [channels, source_depth[..., None], source_depth[..., None] > 0],
        axis=-1,
    )
    sampled = _bilinear(
        stacked, np.where(valid, column, 0.0), np.where(valid, row, 0.0)
    )
    # A hole among the four neighbours would mix no depth into depth.
    valid &= sampled[..., -1] > 1 - 1e-9
    return Reprojection(
        sampled=np.where(valid[..., None], sampled[..., :-2], 0.0),
        sampled_depth=np.where(valid, sampled[..., -2], 1.0),
        computed_depth=np.where(valid, depth, 1.0),
        valid=valid,
    )


def inconsistency(reprojection: Reprojection) -> np.ndarray:
    """D_diff = |D_b^a − D'_b| / (D_b^a + D'_b) `[H, W]` in [0, 1) (eq. 5).

    0 where invalid: take means over `valid` alone.
    """
    computed = reprojection.computed_depth
    sampled = reprojection.sampled_depth
    return np.abs(computed - sampled) / (computed + sampled)


def hidden(reprojection: Reprojection, tolerance: float = 0.05) -> np.ndarray:
    """Where the source sees something nearer than the target's point.

    With exact depth and motion this is occlusion.

    Args:
        reprojection: of exact depths.
        tolerance: how much nearer, as a fraction of depth.

    Returns:
        `[H, W]` bool; false where invalid.
    """
    nearer = reprojection.sampled_depth * (1 + tolerance)
    return reprojection.valid & (nearer < reprojection.computed_depth)


def scale_intrinsics(
    intrinsics: np.ndarray, old: tuple[int, int], new: tuple[int, int]
) -> np.ndarray:
    """K `[3, 3]` of an image resized from size `old` to `new` (height,
    width): fx·s, (cx + 0.5)·s − 0.5.
    """
    factors = np.array([new[1] / old[1], new[0] / old[0], 1.0])
    half_pixel = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    return factors[:, None] * (intrinsics + half_pixel) - half_pixel


def resize_nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[h, w, ...]` at another size (height, width), no values mixed."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, values.shape[:2], strict=True)
    )
    return values[rows[:, None], columns]


def _bilinear(
    values: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """`[H, W, C]` read at positions `[h, w]` inside it."""
    height, width = values.shape[:2]
    left = np.minimum(column.astype(int), max(width - 2, 0))
    top = np.minimum(row.astype(int), max(height - 2, 0))
    right, bottom = (
        np.minimum(left + 1, width - 1),
        np.minimum(top + 1, height - 1),
    )
    x, y = (column - left)[..., None], (row - top)[..., None]
    upper = (1 - x) * values[top, left] + x * values[top, right]
    lower = (1 - x) * values[bottom, left] + x * values[bottom, right]
    return (1 - y) * upper + y * lower

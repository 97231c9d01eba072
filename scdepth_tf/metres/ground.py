"""How high the camera is above the road, in scene units.

A point X on the road satisfies n·X = h, where n is the road's unit normal,
pointing down, in the camera's frame and h the camera's height above it. With
q = n / h that is q·X = 1, linear in q; and as X = D·r for the ray r of a
pixel, q·X − 1 is the relative error of its depth D. So the plane that fits the
depth map best in relative depth is a weighted linear least-squares fit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scdepth_tf.metres.scale import robust_std

TOLERANCE = 0.1
"""Relative depth error within which a point is of the plane."""
STEEPEST = np.radians(20.0)
"""How far the road's normal may be off the camera's Y: pitch, roll, slope."""
SMALLEST_SHARE = 0.5
"""Of the points where road should be that must be on the plane."""

_TRIALS = 200
_ITERATIONS = 20
_MOST_POINTS = 4000
_NARROWEST_TOLERANCE = 1e-9
_TUKEY = 4.685
"""Tukey's constant: 95 % as good as least squares on normal errors."""


class Plane(NamedTuple):
    """n·X = height in the camera's frame."""

    normal: np.ndarray
    """`[3]`, unit length, from the camera towards the plane."""

    height: float
    """Of the camera above the plane, in the unit of the points."""

    share: float
    """Of the points that are on it, within `TOLERANCE` of their depth."""


def ground_plane(depth: np.ndarray, intrinsics: np.ndarray) -> Plane | None:
    """The road in a depth map.

    Args:
        depth: `[H, W]` > 0, any unit; 0 and NaN mean unknown.
        intrinsics: `[3, 3]` in pixels of the map.

    Returns:
        None where no plausible road is in sight: too few points where it
        should be, or less than half of them on one plane that lies flat.
    """
    points = points_where_road_is(depth, intrinsics)
    plane = fit_plane(points) if len(points) >= 50 else None
    return plane if plane and plane.share >= SMALLEST_SHARE else None


def points_where_road_is(
    depth: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray:
    """Points straight ahead of the camera and below it.

    Were the camera level and h above the road, these pixels would see it from
    3 to 12 h ahead and up to 1.2 h to either side (at 1.65 m: 5 to 20 m ahead,
    2 m to either side, about a lane). The bonnet is nearer, other cars and
    kerbs are mostly outside.

    Args:
        depth: `[H, W]`; 0 and NaN mean unknown.
        intrinsics: `[3, 3]` in pixels of the map.

    Returns:
        `[N, 3]` points in the camera's frame, in the unit of the depth.
    """
    height, width = depth.shape
    v, u = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    rays = pixels @ np.linalg.inv(intrinsics).T
    below = rays[..., 1]
    is_road = (
        (below > 1 / 12)
        & (below < 1 / 3)
        & (np.abs(rays[..., 0]) < 1.2 * below)
        & np.isfinite(depth)
        & (depth > 0)
    )
    return rays[is_road] * depth[is_road][:, None].astype(np.float64)


def fit_plane(points: np.ndarray, seed: int = 0) -> Plane | None:
    """The plane below the camera that most points are on.

    RANSAC (Fischler and Bolles, 1981) over triples of points, then weighted
    least squares with Tukey's weights until it settles.

    Args:
        points: `[N, 3]`, N ≥ 3, camera frame (Y down).
        seed: of the triples.

    Returns:
        None where no triple makes a plane that lies below the camera, within
        20 degrees of level.
    """
    random = np.random.default_rng(seed)
    if len(points) > _MOST_POINTS:
        points = points[random.choice(len(points), _MOST_POINTS, False)]
    plane = _best_of_triples(points, random)
    if plane is None:
        return None
    for _ in range(_ITERATIONS):
        residual = points @ plane - 1
        close = residual[np.abs(residual) < TOLERANCE]
        tolerance = max(_TUKEY * robust_std(close), _NARROWEST_TOLERANCE)
        weight = np.clip(1 - (residual / tolerance) ** 2, 0, None)
        if np.count_nonzero(weight) < 3:
            break
        plane = np.linalg.lstsq(points * weight[:, None], weight, rcond=None)[0]
    if not _lies_flat(plane[None])[0]:
        return None
    share = float(np.mean(np.abs(points @ plane - 1) < TOLERANCE))
    length = float(np.linalg.norm(plane))
    return Plane(plane / length, 1 / length, share)


def _best_of_triples(
    points: np.ndarray, random: np.random.Generator
) -> np.ndarray | None:
    """Q `[3]` of the triple whose plane most points are near."""
    triples = points[random.integers(len(points), size=(_TRIALS, 3))]
    volumes = np.abs(np.linalg.det(triples))
    sizes = np.linalg.norm(triples, axis=-1).prod(axis=-1)
    triples = triples[volumes > 1e-6 * sizes]
    if not len(triples):
        return None
    planes = np.linalg.solve(triples, np.ones((len(triples), 3, 1)))[..., 0]
    planes = planes[_lies_flat(planes)]
    if not len(planes):
        return None
    # The nearest count most, so that of two good planes the better one wins.
    relative = np.abs(points @ planes.T - 1) / TOLERANCE
    return planes[np.minimum(relative, 1).sum(axis=0).argmin()]


def _lies_flat(planes: np.ndarray) -> np.ndarray:
    """Whether planes q `[N, 3]` lie below the camera, about level."""
    return planes[:, 1] > np.cos(STEEPEST) * np.linalg.norm(planes, axis=1)

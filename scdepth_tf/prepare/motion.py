"""How far the picture moved between two frames, from tracked corners."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import NamedTuple

import numpy as np

from scdepth_tf.prepare import extras

_WIDTH = 320
"""Pixels at which corners are tracked."""
_TILES = 4
"""Along each side; corners are sought in each tile by itself, so that a
caption or a lamp at night does not outshine the rest."""
_CORNERS_A_TILE = 25
_WEAKEST_CORNER = 2e-5
"""Smaller eigenvalue of the gradient's covariance, grey levels in [0, 1]."""
_FEWEST_CORNERS = 20
_LARGEST_ERROR = 1.0
"""Pixels between a corner and itself, tracked there and back."""
_MOVING_QUANTILE = 0.7
"""The motion that 30 % of the corners exceed: far scenery hardly moves on a
drive, and a few passers-by before a standing camera do not make it drive."""
_ROTATION_STEPS = 8


class Motion(NamedTuple):
    """Between two frames; displacements in percent of the picture's width."""

    tracked: float
    """Share of the corners found again, in [0, 1]."""

    displacement: float
    """How far corners moved."""

    parallax: float
    """The part of it that no rotation of the camera explains."""


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A frame made small and grey."""

    grey: np.ndarray
    """uint8 [h, w]."""

    intrinsics: np.ndarray
    """[3, 3] pixels of `grey`."""

    @classmethod
    def of(cls, image: np.ndarray, intrinsics: np.ndarray) -> Picture:
        """Of a frame uint8 [H, W, 3] RGB with intrinsics [3, 3]."""
        cv2 = extras.load("cv2")
        height, width = image.shape[:2]
        scale = _WIDTH / max(height, width)
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        x, y = size[0] / width, size[1] / height
        return cls(grey, np.diag([x, y, 1.0]) @ intrinsics)

    @functools.cached_property
    def corners(self) -> np.ndarray:
        """[N, 1, 2] float32 (x, y), well spread."""
        cv2 = extras.load("cv2")
        height, width = self.grey.shape
        rows = np.linspace(0, height, _TILES + 1).astype(int)
        columns = np.linspace(0, width, _TILES + 1).astype(int)
        found = [np.zeros((0, 1, 2), np.float32)]
        for top, bottom in itertools.pairwise(rows):
            for left, right in itertools.pairwise(columns):
                corners = cv2.goodFeaturesToTrack(
                    self.grey[top:bottom, left:right],
                    _CORNERS_A_TILE,
                    qualityLevel=0.02,
                    minDistance=6,
                )
                if corners is not None:
                    found.append(corners + np.float32([left, top]))
        corners = np.concatenate(found)
        x, y = corners[:, 0].astype(int).T
        strength = cv2.cornerMinEigenVal(np.float32(self.grey) / 255, 3)
        return corners[strength[y, x] > _WEAKEST_CORNER]

    @property
    def featureless(self) -> bool:
        """There is nothing to track: black, white, out of focus."""
        return len(self.corners) < _FEWEST_CORNERS


def measure_motion(before: Picture, after: Picture) -> Motion:
    """Motion from one picture to a later one.

    Corners are tracked by pyramidal Lucas–Kanade, there and back.
    """
    here, there = _track(before, after)
    share = len(here) / max(1, len(before.corners))
    if len(here) < _FEWEST_CORNERS // 2:
        return Motion(share, 0.0, 0.0)
    turned = _turned(here, there, before.intrinsics)
    width = before.grey.shape[1]
    return Motion(
        round(share, 4),
        _percent(there - here, width),
        _percent(there - turned, width),
    )


def _track(before: Picture, after: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Corners [N, 2] found again, and where."""
    if not len(before.corners):
        return np.zeros((0, 2)), np.zeros((0, 2))
    track = extras.load("cv2").calcOpticalFlowPyrLK
    options = {"winSize": (15, 15), "maxLevel": 4}
    there, found, _ = track(
        before.grey, after.grey, before.corners, None, **options
    )
    back, found_back, _ = track(after.grey, before.grey, there, None, **options)
    error = np.linalg.norm(back - before.corners, axis=-1)[:, 0]
    kept = (found & found_back).ravel().astype(bool) & (error < _LARGEST_ERROR)
    return before.corners[kept, 0], there[kept, 0]


def _turned(
    here: np.ndarray, there: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray:
    """Where the corners would be had the camera only rotated.

    The rotation that explains most corners: Kabsch's, each corner weighted by
    the inverse of its last error.
    """
    rays_here, rays_there = (_rays(p, intrinsics) for p in (here, there))
    weights = np.ones(len(here))
    for _ in range(_ROTATION_STEPS):
        u, _, vt = np.linalg.svd((rays_there * weights[:, None]).T @ rays_here)
        sign = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
        seen = rays_here @ (u @ sign @ vt).T @ intrinsics.T
        turned = seen[:, :2] / seen[:, 2:]
        weights = 1 / (np.linalg.norm(turned - there, axis=1) + 0.05)
    return turned


def _rays(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    ones = np.ones((len(points), 1))
    rays = np.hstack([points, ones]) @ np.linalg.inv(intrinsics).T
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _percent(vectors: np.ndarray, width: int) -> float:
    length = np.quantile(np.linalg.norm(vectors, axis=1), _MOVING_QUANTILE)
    return round(float(100 * length / width), 4)

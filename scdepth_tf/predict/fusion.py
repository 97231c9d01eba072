"""Which pixels of a sequence may become points: those that other views
confirm.

Only keyframes are looked at, a new one wherever the camera has moved or
turned, so that a standing camera adds nothing twice and the neighbours of a
keyframe see the scene from elsewhere, at any frame rate. A pixel is kept where

- the surface is neither an edge, whose blurred depth would fly between
  foreground and background, nor seen at a grazing angle;
- it is not too far;
- all neighbouring keyframes that have it in view agree, and some do: D_diff,
  which is 1 - M_s of the method, is small. What moves is somewhere else there.
  What is merely hidden there is dropped here, too; the keyframes that see it
  bring it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from scdepth_tf.metrics.odometry import inverse, rotation_angle
from scdepth_tf.metrics.reprojection import inconsistency, reproject
from scdepth_tf.predict.sequence import PredictedFrame
from scdepth_tf.predict.sequence import Sequence as Predicted

NEIGHBOURS = (-4, -2, -1, 1, 2, 4)
"""Keyframes that each keyframe is compared with."""

TOLERANCE = 0.05
"""D_diff up to which two views agree: 10 % of depth."""

LEAST_AGREEING = 2
"""Views that must agree."""

_KEYFRAME_DISTANCE = 0.04
"""Motion, in median depths, after which a new keyframe begins."""

_KEYFRAME_TURN = np.deg2rad(5)

_STEEPEST = 0.1
"""Change of depth from a pixel to the next, as a fraction, above which a
surface counts as edge or grazing."""


class View(NamedTuple):
    """A keyframe."""

    depth: np.ndarray
    """[h, w] scene units."""

    colors: np.ndarray
    """uint8 [h, w, 3]."""

    pose: np.ndarray
    """[4, 4] world_from_camera."""

    def points(
        self, kept: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points [N, 3] of the world, their colours [N, 3] and depths [N].

        Args:
            kept: [h, w] bool, the pixels to take.
            intrinsics: [3, 3] in pixels of the depth map.
        """
        row, column = np.nonzero(kept)
        depth = self.depth[kept].astype(np.float64)
        pixels = np.stack([column, row, np.ones_like(row)], axis=-1)
        points = pixels @ np.linalg.inv(intrinsics).T * depth[:, None]
        world = points @ self.pose[:3, :3].T + self.pose[:3, 3]
        return world, self.colors[kept], depth


Sink = Callable[[View, np.ndarray], None]
"""Takes a keyframe and the pixels [h, w] of it that are kept."""


@contextlib.contextmanager
def fuse(
    sequence: Predicted, sinks: Sequence[Sink]
) -> Iterator[Callable[[PredictedFrame], None]]:
    """Gives the keyframes of a sequence, with the pixels that are kept, to
    the sinks; holds nine keyframes.
    """
    keyframes = Keyframes(sequence.depth.median)
    window = Window(sequence.depth_intrinsics, sequence.farthest)

    def give(view: View, kept: np.ndarray) -> None:
        for sink in sinks:
            sink(view, kept)

    def add(frame: PredictedFrame) -> None:
        if keyframes.is_due(frame.pose):
            colors = _resized(frame.image, frame.depth.shape)
            for judged in window.add(View(frame.depth, colors, frame.pose)):
                give(*judged)

    yield add
    for judged in window.finish():
        give(*judged)


class Keyframes:
    """Says which frames are keyframes.

    Args:
        median_depth: of the sequence.
    """

    def __init__(self, median_depth: float):
        self._distance = _KEYFRAME_DISTANCE * median_depth
        self._last: np.ndarray | None = None

    def is_due(self, pose: np.ndarray) -> bool:
        """Whether the frame at `pose` [4, 4] is a keyframe; ask in order."""
        if self._last is not None:
            motion = inverse(self._last) @ pose
            near = np.linalg.norm(motion[:3, 3]) < self._distance
            if near and rotation_angle(motion) < _KEYFRAME_TURN:
                return False
        self._last = pose
        return True


class Window:
    """Judges keyframes as soon as their later neighbours are there.

    Args:
        intrinsics: [3, 3] in pixels of the depth maps.
        farthest: depth from which pixels are dropped.
    """

    def __init__(self, intrinsics: np.ndarray, farthest: float):
        self._intrinsics = intrinsics
        self._farthest = farthest
        self._views: deque[View] = deque(maxlen=1 + 2 * max(NEIGHBOURS))
        self._waiting = 0

    def add(self, view: View) -> Iterator[tuple[View, np.ndarray]]:
        """Take a keyframe; yields the one that can be judged now, if any."""
        self._views.append(view)
        self._waiting += 1
        if self._waiting > max(NEIGHBOURS):
            yield self._judge()

    def finish(self) -> Iterator[tuple[View, np.ndarray]]:
        """Yields the rest."""
        while self._waiting:
            yield self._judge()

    def _judge(self) -> tuple[View, np.ndarray]:
        index = len(self._views) - self._waiting
        self._waiting -= 1
        others = [
            self._views[index + offset]
            for offset in NEIGHBOURS
            if 0 <= index + offset < len(self._views)
        ]
        view = self._views[index]
        kept = is_smooth(view.depth) & (view.depth < self._farthest)
        return view, kept & is_confirmed(view, others, self._intrinsics)


def is_confirmed(
    view: View, others: Sequence[View], intrinsics: np.ndarray
) -> np.ndarray:
    """Where all other views that have a pixel in view agree, enough of them.

    Args:
        view: the keyframe.
        others: its neighbours.
        intrinsics: [3, 3] in pixels of the depth maps.

    Returns:
        [h, w] bool.
    """
    agreeing = np.zeros(view.depth.shape, int)
    confirmed = np.ones(view.depth.shape, bool)
    for other in others:
        seen = reproject(
            view.depth,
            other.depth,
            inverse(other.pose) @ view.pose,
            intrinsics,
        )
        agrees = seen.valid & (inconsistency(seen) < TOLERANCE)
        agreeing += agrees
        confirmed &= agrees | ~seen.valid
    return confirmed & (agreeing >= LEAST_AGREEING)


def is_smooth(depth: np.ndarray) -> np.ndarray:
    """Where depth [h, w] changes little from pixel to pixel, both ways."""
    smooth = np.ones(depth.shape, bool)
    for axis in (0, 1):
        ahead = np.moveaxis(depth, axis, 0)
        step = np.abs(np.diff(ahead, axis=0))
        steep = step > _STEEPEST * np.minimum(ahead[1:], ahead[:-1])
        flat = np.moveaxis(smooth, axis, 0)
        flat[1:] &= ~steep
        flat[:-1] &= ~steep
    return smooth


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    if image.shape[:2] == size:
        return image
    picture = Image.fromarray(image)
    return np.asarray(
        picture.resize((width, height), Image.Resampling.BILINEAR)
    )

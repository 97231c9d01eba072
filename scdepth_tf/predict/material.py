"""Frames of a footage to refine on, and others held out to judge by."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable

import numpy as np

from scdepth_tf.lite import resize
from scdepth_tf.metrics.reprojection import scale_intrinsics
from scdepth_tf.predict.sources import Source

BLOCK = 8
"""Frames that are held out in a row: neighbours resemble each other."""

EVERY = 5
"""Of so many blocks one is held out."""

_HELD_OUT_BLOCK = 2

MOST_HELD_OUT = 48
"""Triplets."""

MOST_WITH_TRUTH = 50
"""Frames."""

_MOST_BYTES = 256e6
"""Of triplets to train on; of a longer footage a random choice."""

_FEWEST = 4
"""Triplets on either side."""


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Triplets (before, target, after) at the network's size."""

    training: np.ndarray
    """uint8 [N, 3, h, w, 3], the target first."""

    held_out: np.ndarray
    """uint8 [M, 3, h, w, 3]; no frame of them is in `training`."""

    intrinsics: np.ndarray
    """[3, 3] in pixels of them."""

    with_truth: list[tuple[np.ndarray, np.ndarray]]
    """Frames uint8 [h, w, 3] and their ground truth float32 [H, W], metres, 0
    where unknown."""

    @property
    def is_too_short(self) -> bool:
        """Whether one of the sides has next to nothing."""
        return min(len(self.training), len(self.held_out)) < _FEWEST


def gather(source: Source, image_size: tuple[int, int]) -> Material:
    """Read a footage once; memory does not grow with its length.

    Args:
        source: the footage; its camera is known.
        image_size: height and width the networks work at.
    """
    height, width = image_size
    most = int(_MOST_BYTES / (3 * height * width * 3))
    rng = np.random.default_rng(0)
    training, held_out = _Sample(most, rng), _Sample(MOST_HELD_OUT, rng)
    with_truth = []
    every = max(1, -(-source.expected_frames // MOST_WITH_TRUTH))
    recent: deque[_Small] = deque(maxlen=3)
    for index, frame in enumerate(source.frames()):
        recent.append(_Small(frame.read, image_size))
        truth = source.truth and index % every == 0 and source.truth(index)
        if isinstance(truth, np.ndarray):
            with_truth.append((recent[-1].pixels, truth))
        sides = {is_held_out(index - back) for back in range(3)}
        if len(recent) == 3 and len(sides) == 1:
            sample = held_out if sides.pop() else training
            before, target, after = recent
            sample.offer(
                lambda three=(target, before, after): np.stack(
                    [small.pixels for small in three]
                )
            )
    return Material(
        training=training.stacked(image_size),
        held_out=held_out.stacked(image_size),
        intrinsics=scale_intrinsics(
            source.intrinsics, source.image_size, image_size
        ),
        with_truth=with_truth,
    )


def is_held_out(index: int) -> bool:
    """Whether the frame is in a block that is held out."""
    return index // BLOCK % EVERY == _HELD_OUT_BLOCK


class _Small:
    """A frame at the network's size, read when first asked for."""

    def __init__(
        self, read: Callable[[], np.ndarray], image_size: tuple[int, int]
    ):
        self._read, self._image_size = read, image_size

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [h, w, 3]."""
        return np.rint(resize(self._read(), self._image_size)).astype(np.uint8)


class _Sample:
    """Up to so many of the things that are offered, each equally likely
    (Vitter 1985, algorithm R).
    """

    def __init__(self, most: int, rng: np.random.Generator):
        self._most, self._rng = most, rng
        self._offered = 0
        self._kept: list[np.ndarray] = []

    def offer(self, read: Callable[[], np.ndarray]) -> None:
        """Take it, or not; it is read only if it is taken."""
        self._offered += 1
        if len(self._kept) < self._most:
            self._kept.append(read())
            return
        place = int(self._rng.integers(self._offered))
        if place < self._most:
            self._kept[place] = read()

    def stacked(self, image_size: tuple[int, int]) -> np.ndarray:
        """uint8 [N, 3, h, w, 3]."""
        empty = np.empty((0, 3, *image_size, 3), np.uint8)
        return np.stack(self._kept) if self._kept else empty

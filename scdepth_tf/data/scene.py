"""A scene: the frames of one camera in time order, and what is known of
them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scdepth_tf.data import images
from scdepth_tf.data.records import PackedFile

MINIMUM_FRAMES = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """Frames that one camera took in time order.

    Files are named here and read later: `image`, `depth` and `instance` read
    one frame each.
    """

    name: str
    """What train.txt, val.txt and the `scenes` filter call it."""

    frames: tuple[Path | PackedFile, ...]
    """Image files, all of one size."""

    intrinsics: np.ndarray
    """[3, 3] float64, in pixels of the files."""

    image_size: tuple[int, int]
    """Height and width of the files in pixels."""

    depths: tuple[Path | PackedFile | None, ...] | None = None
    """Ground-truth file of each frame (None: this frame has none); None: the
    scene has none."""

    poses: np.ndarray | None = None
    """[N, 4, 4] float64 world_from_camera, metres; None where unknown."""

    frame_numbers: tuple[int, ...] | None = None
    """Where set, only frames whose numbers are `stride` apart are
    neighbours; None: consecutive files are consecutive in time."""

    depth_reader: Callable[[Path | PackedFile], np.ndarray] = images.load_depth
    """Turns an entry of `depths` into [H, W] float32 metres, 0 = none."""

    timestamps: np.ndarray | None = None
    """[N] int64 nanoseconds by the recorder's clock; None where unknown."""

    targets: tuple[bool, ...] | None = None
    """Where set, only these frames may be the middle of a triplet: a split
    file names them, the others are there as their neighbours."""

    is_pair: bool = False
    """Two frames that train together, and nothing else of the recording: no
    video (see `data.pairs`). Several pairs may have one name."""

    def __len__(self) -> int:
        return len(self.frames)

    def image(self, index: int) -> np.ndarray:
        """Frame `index`: uint8 [H, W, 3], RGB."""
        return images.load_image(self.frames[index])

    def depth(self, index: int) -> np.ndarray | None:
        """Ground truth of frame `index`: float32 [H, W], metres along the
        camera's Z, 0 where unknown; None where the frame has none.
        """
        path = self.depths[index] if self.depths else None
        return self.depth_reader(path) if path else None

    def instance(self, index: int) -> np.ndarray | None:
        """Object mask of frame `index` (see `images.load_instance`), or
        None.
        """
        path = self.depths[index] if self.depths else None
        return images.load_instance(path) if path else None

    def part(self, start: int, stop: int) -> Scene:
        """The frames `start` to `stop - 1`, with what is known of them."""
        return self.select(range(start, min(stop, len(self))))

    def select(self, indices: Sequence[int]) -> Scene:
        """The frames with these indices, with what is known of them."""
        chosen = list(indices)

        def pick(values: tuple | None) -> tuple | None:
            return values and tuple(values[index] for index in chosen)

        return dataclasses.replace(
            self,
            frames=pick(self.frames),
            depths=pick(self.depths),
            poses=None if self.poses is None else self.poses[chosen],
            frame_numbers=pick(self.frame_numbers),
            timestamps=(
                None if self.timestamps is None else self.timestamps[chosen]
            ),
            targets=pick(self.targets),
        )

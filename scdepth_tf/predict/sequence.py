"""A sequence whose depth and trajectory are known, as the outputs see it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from PIL import Image

from scdepth_tf.config import PredictConfig
from scdepth_tf.metrics.reprojection import scale_intrinsics
from scdepth_tf.predict.store import DepthStatistics

CODES = 65534
"""The largest depth code of a 16-bit PNG; many readers take 65535 as none."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sequence:
    """Everything that is the same for all frames."""

    name: str
    folder: Path
    """In which its outputs go."""

    image_size: tuple[int, int]
    """Height and width of the frames."""

    depth_size: tuple[int, int]
    """Height and width of the depth maps."""

    intrinsics: np.ndarray | None
    """[3, 3] in pixels of the frames; None where the camera is unknown."""

    depth: DepthStatistics
    poses: np.ndarray
    """[N, 4, 4] world_from_camera, scene units; the world is the first
    camera."""

    times: np.ndarray
    """[N] seconds."""

    config: PredictConfig

    @property
    def depth_intrinsics(self) -> np.ndarray:
        """[3, 3] in pixels of the depth maps; the camera must be known."""
        return scale_intrinsics(
            self.intrinsics, self.image_size, self.depth_size
        )

    @property
    def voxel(self) -> float:
        """Edge of the cells of the cloud, scene units."""
        return self.config.voxel or self.depth.median / 100

    @property
    def farthest(self) -> float:
        """Up to which depth cloud and mesh take points, scene units."""
        return self.config.farthest or 2 * self.depth.median

    @property
    def frame_rate(self) -> float:
        """Frames a second, the usual one."""
        periods = np.diff(self.times)
        usual = np.median(periods[periods > 0]) if (periods > 0).any() else 0.1
        return float(1 / usual)

    @property
    def codes_per_unit(self) -> float:
        """Codes of a 16-bit PNG for a scene unit: 1, 2 or 5 times a power of
        ten, so that the farthest depth (99 %) and twice that can be told.
        """
        limit = CODES / (2 * self.depth.farthest)
        power = 10.0 ** np.floor(np.log10(limit))
        return float(max(f * power for f in (1, 2, 5) if f * power <= limit))


@dataclasses.dataclass(frozen=True, eq=False)
class PredictedFrame:
    """One frame with what is predicted of it."""

    index: int
    name: str
    time: float
    """Seconds."""

    depth: np.ndarray
    """[h, w] float32 > 0, scene units."""

    pose: np.ndarray
    """[4, 4] world_from_camera, scene units."""

    read: Callable[[], np.ndarray]

    @functools.cached_property
    def image(self) -> np.ndarray:
        """uint8 [H, W, 3] RGB; read when first asked for."""
        return self.read()


Output = Callable[
    [Sequence], AbstractContextManager[Callable[[PredictedFrame], None]]
]
"""Opens the files of an output; inside the block each frame is given in
order, and leaving it without an error gives the files their names."""


def encode_depth(depth: np.ndarray, codes_per_unit: float) -> np.ndarray:
    """Depth [H, W] as uint16 codes, 0 where it is too far for one."""
    codes = np.rint(depth * np.float64(codes_per_unit))
    return np.where(codes <= CODES, codes, 0).astype(np.uint16)


def resize_depth(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth [h, w] > 0 as float32 [H, W], bilinear in disparity, which is
    linear over planes.
    """
    disparity = Image.fromarray((1 / depth).astype(np.float32))
    height, width = size
    resized = disparity.resize((width, height), Image.Resampling.BILINEAR)
    return 1 / np.asarray(resized)

"""A sequence whose depth and trajectory are known, as the outputs see it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from scdepth_tf.config import PredictConfig
from scdepth_tf.metres import Scale
from scdepth_tf.metrics.reprojection import scale_intrinsics
from scdepth_tf.predict.store import DepthStatistics

if TYPE_CHECKING:
    from scdepth_tf.predict.refining import Refinement

CODES = 65534
"""The largest depth code of a 16-bit PNG; many readers take 65535 as none."""

TUM_CODES = 5000.0
"""Codes a metre in TUM's RGB-D datasets; they reach 13 m."""


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
    """[N, 4, 4] world_from_camera; the world is the first camera."""

    times: np.ndarray
    """[N] seconds."""

    config: PredictConfig

    scale: Scale | None = None
    """How the lengths became metres; None: they are scene units."""

    refinement: Refinement | None = None
    """What refining on the footage brought; None: not asked for."""

    @property
    def unit(self) -> str:
        """Of all lengths: depth, positions and points."""
        return "metres" if self.scale else "scene units"

    @property
    def described_world(self) -> str:
        """For headers of files."""
        return (
            f"world: the first camera, x right, y down, z forward, {self.unit}"
        )

    @property
    def depth_intrinsics(self) -> np.ndarray:
        """[3, 3] in pixels of the depth maps; the camera must be known."""
        return scale_intrinsics(
            self.intrinsics, self.image_size, self.depth_size
        )

    @property
    def voxel(self) -> float:
        """Edge of the cells of the cloud."""
        return self.config.voxel or self.depth.median / 100

    @property
    def farthest(self) -> float:
        """Up to which depth cloud and mesh take points."""
        return self.config.farthest or 2 * self.depth.median

    @property
    def frame_rate(self) -> float:
        """Frames a second, the usual one."""
        periods = np.diff(self.times)
        usual = np.median(periods[periods > 0]) if (periods > 0).any() else 0.1
        return float(1 / usual)

    @property
    def codes_per_unit(self) -> float:
        """Codes of a 16-bit PNG for a unit of depth: 1, 2 or 5 times a power
        of ten, so that the farthest depth (99 %) and twice that can be told;
        of a metre at most TUM's 5000.
        """
        limit = CODES / (2 * self.depth.farthest)
        if self.scale:
            limit = min(limit, TUM_CODES)
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
    """[h, w] float32 > 0."""

    pose: np.ndarray
    """[4, 4] world_from_camera."""

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

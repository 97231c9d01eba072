"""Small scenes and KITTI drives written for one test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CAM_TXT = "50.0 0.0 31.5\n0.0 50.0 15.5\n0.0 0.0 1.0\n"

CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
R_rect_00: 1 0 0 0 1 0 0 0 1
S_rect_02: 6.400000e+01 3.200000e+01
P_rect_02: 50 0 31.5 3 0 50 15.5 0 0 0 1 0
S_rect_03: 6.400000e+01 3.200000e+01
P_rect_03: 50 0 31.5 -24 0 50 15.5 0 0 0 1 0
"""
VELO_TO_CAM = "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\ndelta_f: 0 0\n"
IMU_TO_VELO = "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n"


def write_frames(
    folder: Path, names: list[str], size: tuple[int, int] = (32, 64)
) -> None:
    """Frames of one grey level each: 3 × their index."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        pixels = np.full((*size, 3), 3 * index, np.uint8)
        Image.fromarray(pixels).save(folder / name)


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Path]:
    """Writes DATA/SCENE with its cam.txt and returns the scene's folder."""

    def make(
        name: str = "street",
        frames: int = 5,
        size: tuple[int, int] = (32, 64),
        suffix: str = ".png",
    ) -> Path:
        folder = tmp_path / "data" / name
        names = [f"{index:06d}{suffix}" for index in range(frames)]
        write_frames(folder, names, size)
        (folder / "cam.txt").write_text(CAM_TXT)
        return folder

    return make


@pytest.fixture
def make_drive(tmp_path: Path) -> Callable[..., Path]:
    """Writes a KITTI drive with both colour cameras and returns the root."""

    def make(
        name: str = "2011_09_26_drive_0001_sync",
        numbers: tuple[int, ...] = tuple(range(6)),
    ) -> Path:
        day = tmp_path / "raw" / "2011_09_26"
        for camera in ("02", "03"):
            write_frames(
                day / name / f"image_{camera}" / "data",
                [f"{number:010d}.png" for number in numbers],
            )
        (day / "calib_cam_to_cam.txt").write_text(CAM_TO_CAM)
        (day / "calib_velo_to_cam.txt").write_text(VELO_TO_CAM)
        (day / "calib_imu_to_velo.txt").write_text(IMU_TO_VELO)
        return day.parent

    return make


@pytest.fixture
def truncate() -> Callable[[Path], None]:
    """Cuts the second half of a file off."""

    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return cut

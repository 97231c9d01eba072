"""Small data in KITTI's layouts, synthesized: no pixel is KITTI's."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 96)
TRAIN_DRIVES = tuple(f"2011_09_26_drive_{n:04d}_sync" for n in (1, 5, 11))
TEST_DRIVE = "2011_09_26_drive_0002_sync"
DAY = "2011_09_26"

CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
R_rect_00: 1 0 0 0 1 0 0 0 1
S_rect_02: 9.600000e+01 3.200000e+01
P_rect_02: 60 0 47.3 3 0 50 15.8 0 0 0 1 0
S_rect_03: 9.600000e+01 3.200000e+01
P_rect_03: 60 0 47.3 -29 0 50 15.8 0 0 0 1 0
"""


def pixels(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth random picture, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 12, 3), dtype=np.uint8)
    height, width = size
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def write_raw(root: Path) -> Path:
    """Three drives to train on and one of Eigen's test drives."""
    day = root / DAY
    for seed, drive in enumerate((*TRAIN_DRIVES, TEST_DRIVE)):
        for camera in ("02", "03"):
            write_camera(day / drive / f"image_{camera}", range(6), seed)
        _write_oxts(day / drive / "oxts", 6)
        _write_scans(day / drive / "velodyne_points", range(6), seed)
    # Of its frames, 0, 3, 42 and 54 are in the Eigen list.
    test = day / TEST_DRIVE
    write_camera(test / "image_02", (42, 54, 61), 9)
    _write_scans(test / "velodyne_points", (42, 54, 61), 9)
    (test / "oxts" / "data" / f"{0:010d}.txt").unlink()
    (day / "calib_cam_to_cam.txt").write_text(CAM_TO_CAM)
    (day / "calib_velo_to_cam.txt").write_text(
        "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n"
    )
    (day / "calib_imu_to_velo.txt").write_text(
        "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n"
    )
    return root


def write_camera(folder: Path, numbers, seed: int) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = pixels(100 * seed + number)
        Image.fromarray(picture).save(folder / "data" / f"{number:010d}.png")
    seconds = np.arange(max(numbers) + 1) / 10
    lines = [f"2011-09-26 13:02:{second:012.9f}\n" for second in seconds % 60]
    (folder / "timestamps.txt").write_text("".join(lines))


def _write_oxts(folder: Path, count: int) -> None:
    (folder / "data").mkdir(parents=True)
    for number in range(count):
        record = [49.0, 8.4 + number * 1e-5, 110.0, *[0.0] * 27]
        (folder / "data" / f"{number:010d}.txt").write_text(
            " ".join(map(str, record))
        )


def _write_scans(folder: Path, numbers, seed: int) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in numbers:
        scan = rng.uniform((5, -8, -1, 0), (40, 8, 2, 1), (300, 4))
        scan.astype(np.float32).tofile(folder / "data" / f"{number:010d}.bin")


def write_odometry(root: Path) -> Path:
    """Sequences 00, 09 and 12, all four cameras."""
    for seed, name in enumerate(("00", "09", "12")):
        sequence = root / "sequences" / name
        for camera in range(4):
            folder = sequence / f"image_{camera}"
            folder.mkdir(parents=True)
            for number in range(5):
                picture = Image.fromarray(pixels(50 * seed + number))
                if camera < 2:
                    picture = picture.convert("L")
                picture.save(folder / f"{number:06d}.png")
        (sequence / "calib.txt").write_text(
            "".join(
                f"P{camera}: 60 0 47.3 {-30 * camera} 0 50 15.8 0 0 0 1 0\n"
                for camera in range(4)
            )
        )
        (sequence / "times.txt").write_text("0.0\n0.1\n0.2\n0.3\n0.4\n")
        if name != "12":
            rows = [f"1 0 0 0 0 1 0 0 0 0 1 {number}\n" for number in range(5)]
            (root / "poses").mkdir(exist_ok=True)
            (root / "poses" / f"{name}.txt").write_text("".join(rows))
    return root


def write_scenes(root: Path, scenes: int = 3, frames: int = 40) -> Path:
    """Own footage: more frames than an example holds, some with depth."""
    for seed in range(scenes):
        scene = root / f"street_{seed}"
        (scene / "depth").mkdir(parents=True)
        for number in range(frames):
            Image.fromarray(pixels(1000 * seed + number)).save(
                scene / f"{number:04d}.jpg"
            )
        depth = np.full(SIZE, 7.5, np.float32)
        np.save(scene / "depth" / "0003.npy", depth)
        np.savetxt(scene / "cam.txt", [[60, 0, 47.3], [0, 50, 15.8], [0, 0, 1]])
    return root

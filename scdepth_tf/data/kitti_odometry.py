"""KITTI odometry sequences, read as they are unpacked.

    ROOT/sequences/06/calib.txt             P0 to P3
    ROOT/sequences/06/image_2/000000.png    image_0, image_1 grey; 2, 3 colour
    ROOT/sequences/06/times.txt             optional: seconds
    ROOT/poses/06.txt                       optional: 00 to 10 are public

Formats: the benchmark's development kit (Geiger et al., Are we ready for
Autonomous Driving?, CVPR 2012). ROOT may hold them in a folder `dataset`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scdepth_tf.data import folder, images, kitti
from scdepth_tf.data.scene import MINIMUM_FRAMES, Scene


def camera_folders(root: Path) -> dict[str, Path]:
    """Image folders under `root` by scene name, NN/image_X; nothing where
    `root` is no KITTI odometry folder.
    """
    if not any(
        (base / "sequences").is_dir() for base in (root, root / "dataset")
    ):
        return {}
    return {
        f"{sequence}/{camera.name}": camera
        for sequence, path in sequence_folders(root).items()
        for camera in sorted(path.glob("image_[0-3]"))
    }


def open_camera(path: Path, name: str) -> Scene:
    """The scene of an image folder; see `open_sequence`."""
    return open_sequence(path.parent, int(path.name[-1]), name)


def sequence_folders(root: Path) -> dict[str, Path]:
    """Folders of the sequences under `root` by their two digits."""
    for base in (root, root / "dataset"):
        if (base / "sequences").is_dir():
            return {
                path.name: path
                for path in sorted((base / "sequences").iterdir())
                if path.name.isdigit() and path.is_dir()
            }
    raise FileNotFoundError(
        f"{root}: no folder `sequences`; give the folder into which the KITTI "
        "odometry archives were unpacked"
    )


def open_sequence(
    path: Path, camera: int, name: str, check_frames: bool = True
) -> Scene:
    """One camera of one sequence.

    Poses are world_from_camera of this camera; the world is camera 0 of the
    first frame, as in the published files.

    Args:
        path: sequences/NN.
        camera: 0 or 1 (grey, left and right), 2 or 3 (colour).
        name: what to call the scene.
        check_frames: look into every frame now. Without, `image_size` is the
            first readable frame's, and the caller checks what it reads.

    Raises:
        FileNotFoundError: calibration or images are missing.
        ValueError: a file is unusable; the line says what.
    """
    source = path / f"image_{camera}"
    frames = tuple(folder.find_frames(source)) if source.is_dir() else ()
    if len(frames) < MINIMUM_FRAMES:
        raise ValueError(
            f"{source}: {len(frames)} frames, a scene needs at least "
            f"{MINIMUM_FRAMES}; unpack the sequence again or leave it out"
        )
    numbers = tuple(kitti.frame_number(frame) for frame in frames)
    projection = kitti.read_projection(path / "calib.txt", f"P{camera}")
    return Scene(
        name=name,
        frames=frames,
        intrinsics=projection[:, :3],
        image_size=(
            images.common_size(frames)
            if check_frames
            else images.first_size(frames)
        ),
        poses=_find_poses(
            path.parent.parent / "poses" / f"{path.name}.txt",
            numbers,
            projection,
        ),
        frame_numbers=numbers,
        timestamps=_find_timestamps(path / "times.txt", numbers),
    )


def _find_poses(
    path: Path, numbers: tuple[int, ...], projection: np.ndarray
) -> np.ndarray | None:
    if not path.is_file():
        return None
    world_from_left_grey = folder.read_poses(path)
    if numbers[-1] >= len(world_from_left_grey):
        raise ValueError(
            f"{path}: {len(world_from_left_grey)} poses, but there is a frame "
            f"{numbers[-1]}; unpack the poses again"
        )
    camera_from_left_grey = kitti.camera_from_rectified(projection)
    return world_from_left_grey[list(numbers)] @ np.linalg.inv(
        camera_from_left_grey
    )


def _find_timestamps(path: Path, numbers: tuple[int, ...]) -> np.ndarray | None:
    if not path.is_file():
        return None
    lines = path.read_text().split()
    try:
        seconds = np.array([float(lines[number]) for number in numbers])
    except (IndexError, ValueError):
        raise ValueError(
            f"{path}: expected a time in seconds for each of the frames up to "
            f"{numbers[-1]}, got {len(lines)}; unpack it again"
        ) from None
    return np.round(seconds * 1e9).astype(np.int64)

"""Folders of frames: the layout of the published pre-processed sets.

    DATA/train.txt, val.txt         optional: scene names, one a line
    DATA/test.txt                   optional: scenes for evaluation alone
    DATA/SCENE/*.jpg or *.png       frames, in the natural order of their names
    DATA/SCENE/cam.txt              3x3 intrinsic matrix in pixels
    DATA/SCENE/depth/               optional: FRAME.npz, .npy or 16-bit .png
    DATA/SCENE/poses.txt            optional: KITTI rows, camera to world

A folder with a cam.txt of its own is one scene.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

import numpy as np

from scdepth_tf.data import images
from scdepth_tf.data.scene import MINIMUM_FRAMES, Scene


def scene_folders(root: Path) -> dict[str, Path]:
    """Folders under `root` that hold frames or a cam.txt, by scene name.

    `root` itself is the only scene where it has a cam.txt, or frames and no
    such folders.
    """
    if (root / "cam.txt").is_file():
        return {root.absolute().name: root}
    listed = [
        name
        for file in ("train.txt", "val.txt", "test.txt")
        for name in read_list(root / file) or ()
    ]
    found = [
        folder.name
        for folder in root.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and _looks_like_scene(folder)
    ]
    names = sorted({*listed, *found}, key=natural_key)
    if not names and find_frames(root):
        return {root.absolute().name: root}
    return {name: root / name for name in names}


def read_list(path: Path) -> tuple[str, ...] | None:
    """Scene names of a train.txt, val.txt or test.txt, or None where there is
    no such file. Blank lines, CRLF and a missing last newline are fine.

    Raises:
        FileNotFoundError: the list names a folder that does not exist.
        ValueError: the list is empty or names a scene twice.
    """
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    names = tuple(line.strip().rstrip("/") for line in lines if line.strip())
    if not names:
        raise ValueError(
            f"{path}: names no scene; write one scene folder a line or delete "
            "the file"
        )
    for name in names:
        if not (path.parent / name).is_dir():
            raise FileNotFoundError(
                f"{path}: names the scene {name}, but there is no folder "
                f"{path.parent / name}; copy it there or delete the line"
            )
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{path}: names the scene {repeated} twice; delete one line"
        )
    return names


def open_scene(folder: Path, name: str, check_frames: bool = True) -> Scene:
    """One scene folder.

    Args:
        folder: that holds the frames.
        name: what to call the scene.
        check_frames: look into every frame now. Without, `image_size` is the
            first readable frame's, and the caller checks what it reads.

    Raises:
        FileNotFoundError: cam.txt or a frame is missing.
        ValueError: something in the folder is unusable; the line says what.
    """
    frames = tuple(find_frames(folder))
    if len(frames) < MINIMUM_FRAMES:
        raise ValueError(
            f"{folder}: {len(frames)} frames (.jpg or .png), a scene needs at "
            f"least {MINIMUM_FRAMES}; add frames or remove the folder"
        )
    intrinsics = read_intrinsics(folder / "cam.txt")
    return Scene(
        name=name,
        frames=frames,
        intrinsics=intrinsics,
        image_size=(
            images.common_size(frames)
            if check_frames
            else images.first_size(frames)
        ),
        depths=_find_depths(folder / "depth", frames),
        poses=_find_poses(folder / "poses.txt", len(frames)),
    )


def find_frames(folder: Path) -> list[Path]:
    """Image files directly in `folder`, in natural order: 9.png before 10.png.

    Raises:
        ValueError: two files are the same frame (1.jpg and 1.png).
    """
    files = sorted(
        (
            file
            for file in folder.iterdir()
            if file.suffix.lower() in images.IMAGE_SUFFIXES
            and not file.name.startswith(".")
        ),
        key=lambda file: natural_key(file.name),
    )
    for file, following in itertools.pairwise(files):
        if file.stem == following.stem:
            raise ValueError(
                f"{following}: {file.name} is the same frame; delete one of "
                "the two files"
            )
    return files


def natural_key(name: str) -> tuple:
    """Sort key that reads runs of digits as numbers."""
    pieces = re.split(r"(\d+)", name)
    return (
        *(
            (piece, int(digits))
            for piece, digits in zip(
                pieces[0::2], [*pieces[1::2], "0"], strict=True
            )
        ),
        name,
    )


def read_intrinsics(path: Path) -> np.ndarray:
    """cam.txt: the 3x3 intrinsic matrix in pixels, float64.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a 3x3 matrix of a pinhole camera.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; write the camera's 3x3 intrinsic matrix "
            "there: fx 0 cx / 0 fy cy / 0 0 1, in pixels of the frames"
        )
    matrix = _read_numbers(path)
    if matrix.shape != (3, 3):
        raise ValueError(
            f"{path}: expected a 3x3 intrinsic matrix, got {matrix.shape[0]} "
            f"rows of {matrix.shape[1]} numbers; write fx 0 cx / 0 fy cy / "
            "0 0 1, one row a line"
        )
    check_intrinsics(matrix, path)
    return matrix


def check_intrinsics(matrix: np.ndarray, origin: Path) -> None:
    """Raises ValueError, naming `origin`, unless the 3x3 `matrix` can be a
    pinhole camera's.
    """
    if not np.isfinite(matrix).all():
        raise ValueError(
            f"{origin}: has a value that is not finite; write "
            "the camera's intrinsic matrix in pixels"
        )
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise ValueError(
            f"{origin}: focal lengths fx {matrix[0, 0]:g} and fy "
            f"{matrix[1, 1]:g} must be positive, in pixels of the frames"
        )
    if not np.array_equal(matrix[2], (0, 0, 1)) or matrix[1, 0] != 0:
        raise ValueError(
            f"{origin}: expected fx 0 cx / 0 fy cy / 0 0 1 (is the matrix "
            "transposed?), got last row "
            f"{' '.join(f'{value:g}' for value in matrix[2])}"
        )


def _looks_like_scene(folder: Path) -> bool:
    return (folder / "cam.txt").is_file() or bool(find_frames(folder))


def _find_depths(
    folder: Path, frames: tuple[Path, ...]
) -> tuple[Path | None, ...] | None:
    if not folder.is_dir():
        return None
    files = {}
    for suffix in reversed(images.DEPTH_SUFFIXES):  # .npz is preferred
        files.update({file.stem: file for file in folder.glob(f"*{suffix}")})
    depths = tuple(files.get(frame.stem) for frame in frames)
    if not any(depths):
        raise ValueError(
            f"{folder}: no depth file belongs to a frame; name them after the "
            f"frames ({frames[0].stem}.npz, .npy or .png) or remove the folder"
        )
    return depths


def _find_poses(path: Path, frames: int) -> np.ndarray | None:
    if not path.is_file():
        return None
    poses = read_poses(path)
    if len(poses) != frames:
        raise ValueError(
            f"{path}: {len(poses)} poses for {frames} frames; write one row a "
            "frame or remove the file"
        )
    return poses


def intrinsics_are_a_guess(root: str | os.PathLike) -> bool:
    """Whether `scdepth prepare` made this folder with --assume-fov."""
    try:
        described = json.loads((Path(root) / "prepare.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and described.get("assumed") is True


def read_poses(path: Path) -> np.ndarray:
    """KITTI rows as float64 [N, 4, 4] world_from_camera, metres.

    Raises:
        ValueError: the file holds something else.
    """
    rows = _read_numbers(path)
    if rows.shape[1] != 12 or not np.isfinite(rows).all():
        raise ValueError(
            f"{path}: expected 12 finite numbers a row (KITTI poses, camera to "
            f"world), got {rows.shape[1]} a row"
        )
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows.reshape(-1, 3, 4)
    return poses


def _read_numbers(path: Path) -> np.ndarray:
    """Text of whitespace- or comma-separated numbers as float64 [rows,
    columns].
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [
            [float(number) for number in line.replace(",", " ").split()]
            for line in text.splitlines()
            if line.strip()
        ]
    except ValueError as error:
        raise ValueError(f"{path}: expected numbers ({error})") from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(
            f"{path}: expected rows of equally many numbers, got "
            f"{', '.join(str(len(row)) for row in rows[:4]) or 'none'}"
        )
    return np.array(rows, np.float64)

"""Rectified pairs, as Unsupervised-Indoor-Depth publishes NYUv2.

    SCENE/*.jpg or *.png    two images a pair, in the natural order of their
                            names (000000_0.jpg, 000000_1.jpg, 000001_0.jpg …)
    SCENE/*.txt             the 3x3 intrinsic matrix of each pair, in the same
                            order (000000_cam.txt, 000001_cam.txt …)

The images of a pair were turned until only translation was left between them,
so that each pair has a camera of its own and nothing joins it to the next one.
The scenes that validate there are ordinary ones, with one cam.txt and depth.
"""

from __future__ import annotations

from pathlib import Path

from scdepth_tf.data import folder, images
from scdepth_tf.data.scene import Scene

_NO_CAMERAS = ("poses.txt", "train.txt", "val.txt", "test.txt")


def holds_pairs(path: Path) -> bool:
    """Whether a scene's folder holds pairs and not video: beside its images
    there are matrices in other files than cam.txt.
    """
    return (
        not (path / "cam.txt").is_file()
        and bool(find_cameras(path))
        and bool(folder.find_frames(path))
    )


def is_set_of_pairs(root: Path) -> bool:
    """Whether the first scene of `root`/train.txt holds pairs.

    Raises:
        FileNotFoundError, ValueError: as `folder.read_list`.
    """
    listed = folder.read_list(root / "train.txt")
    return listed is not None and holds_pairs(root / listed[0])


def find_cameras(path: Path) -> list[Path]:
    """Files with the matrices of a scene's pairs, in order."""
    files = (file for file in path.glob("*.txt") if not _is_other(file))
    return sorted(files, key=lambda file: folder.natural_key(file.name))


def open_pairs(path: Path, name: str) -> list[Scene]:
    """Every pair of a scene's folder as a `Scene` of two frames.

    Args:
        path: the scene's folder.
        name: what to call each of them.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: there is not one matrix for each two images, or a file
            cannot be used; the line says why.
    """
    frames = folder.find_frames(path)
    cameras = find_cameras(path)
    if len(frames) != 2 * len(cameras):
        raise ValueError(
            f"{path}: {len(cameras)} matrices (.txt) for {len(frames)} images "
            "and no cam.txt; expected one matrix for each two images (pairs) "
            "or a cam.txt for all (video), so unpack the set again or add the "
            "cam.txt"
        )
    size = images.common_size(frames)
    return [
        Scene(
            name=name,
            frames=pair,
            intrinsics=folder.read_intrinsics(camera),
            image_size=size,
            is_pair=True,
        )
        for pair, camera in zip(
            zip(frames[::2], frames[1::2], strict=True), cameras, strict=True
        )
    ]


def _is_other(file: Path) -> bool:
    return file.name in _NO_CAMERAS or file.name.startswith(".")

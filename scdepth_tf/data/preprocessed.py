"""Pre-processed sets as sc_depth_pl publishes them (NYUv2 among them), and
the rectified pairs of Unsupervised-Indoor-Depth.

    ROOT/training/train.txt, val.txt    scene names, one a line
    ROOT/training/SCENE/*.jpg, cam.txt  as in `data.folder`
    ROOT/training/SCENE/depth/*.png     of the scenes that validate
    ROOT/testing/color/*.png or *.jpg   single images
    ROOT/testing/depth/*.png            their ground truth

Depth `.png` are in 1/5000 m there, not in millimetres. Images and depth files
belong together in the order of their names, and scenes too short for a triplet
are passed over. The scenes that train may hold pairs (`data.pairs`); then ROOT
may be what is called `training` here, under any name.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from scdepth_tf.data import folder, images, pairs
from scdepth_tf.data.scene import MINIMUM_FRAMES, Scene

TESTING = "testing"
"""Name of the scene that the test images are."""

_LOG = logging.getLogger(__name__)


def training_folder(root: Path) -> Path | None:
    """ROOT/training; None where `root` is not such a set. The folder
    `training` itself will do, too, where `testing` is beside it, or where it
    holds pairs: else its depth would be read in another unit.

    Raises:
        FileNotFoundError, ValueError: as `folder.read_list`.
    """
    if (root / "training" / "train.txt").is_file():
        return root / "training"
    beside = root.absolute().parent / TESTING / "color"
    if (
        root.absolute().name == "training"
        and (root / "train.txt").is_file()
        and beside.is_dir()
    ):
        return root
    return root if pairs.is_set_of_pairs(root) else None


def scene_folders(training: Path) -> dict[str, Path]:
    """Folders of the scenes that are long enough, by name."""
    folders = folder.scene_folders(training)
    short = {
        name
        for name, path in folders.items()
        if len(folder.find_frames(path)) < MINIMUM_FRAMES
        and not pairs.holds_pairs(path)
    }
    if short:
        _LOG.warning(
            "%s: passed over %d of %d scenes, which have fewer than %d frames",
            training,
            len(short),
            len(folders),
            MINIMUM_FRAMES,
        )
    return {name: path for name, path in folders.items() if name not in short}


def open_scene(path: Path, name: str) -> Scene:
    """One scene of `training`.

    Raises:
        FileNotFoundError: cam.txt or a frame is missing.
        ValueError: something in the folder is unusable; the line says what.
    """
    frames = tuple(folder.find_frames(path))
    return Scene(
        name=name,
        frames=frames,
        intrinsics=folder.read_intrinsics(path / "cam.txt"),
        image_size=images.common_size(frames),
        depths=_find_depths(path / "depth", frames),
        depth_reader=_load_depth,
    )


def open_testing(training: Path) -> Scene:
    """The test images as one scene; they have no cam.txt, and get the camera
    of the first training scene, scaled to their size.

    Raises:
        FileNotFoundError: the set has no test images.
        ValueError: they are unusable; the line says why.
    """
    testing = training.absolute().parent / TESTING
    color = testing / "color"
    frames = tuple(folder.find_frames(color)) if color.is_dir() else ()
    if not frames:
        raise FileNotFoundError(
            f"{color}: no test images (.png or .jpg); unpack the whole set "
            f"nyu: its folder testing belongs beside {training.absolute().name}"
        )
    depths = _find_depths(testing / "depth", frames)
    if depths is None:
        raise FileNotFoundError(
            f"{testing / 'depth'}: no such folder; unpack the whole set nyu: "
            "it has testing/color and testing/depth"
        )
    size = images.common_size(frames)
    return Scene(
        name=TESTING,
        frames=frames,
        intrinsics=_intrinsics(training, size),
        image_size=size,
        depths=depths,
        depth_reader=_load_depth,
    )


def _find_depths(
    source: Path, frames: tuple[Path, ...]
) -> tuple[Path, ...] | None:
    if not source.is_dir():
        return None
    files = sorted(
        (
            file
            for file in source.iterdir()
            if file.suffix in images.DEPTH_SUFFIXES
        ),
        key=lambda file: folder.natural_key(file.name),
    )
    if len(files) != len(frames):
        raise ValueError(
            f"{source}: {len(files)} depth files for {len(frames)} images; "
            "they belong together in the order of their names, so unpack the "
            "set again"
        )
    return tuple(files)


def _load_depth(path: Path) -> np.ndarray:
    """float32 [H, W] metres, 0 = none."""
    if path.suffix == ".png":
        return images.load_tum_depth(path)
    return images.load_depth(path)


def _intrinsics(training: Path, size: tuple[int, int]) -> np.ndarray:
    scenes = sorted(
        filter(folder.find_frames, folder.scene_folders(training).values()),
        key=pairs.holds_pairs,  # last: their cameras were turned
    )
    if not scenes:
        raise ValueError(f"{training}: holds no scene; unpack the set again")
    first, camera = scenes[0], scenes[0] / "cam.txt"
    if pairs.holds_pairs(first):
        camera = pairs.find_cameras(first)[0]
    old = images.first_size(tuple(folder.find_frames(first)))
    y, x = np.divide(size, old)
    # Pixel centres are at integers: the principal point scales about −0.5.
    scale = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return scale @ folder.read_intrinsics(camera)

"""Opening data of any layout we read, and splitting it for training."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from scdepth_tf.data import (
    folder,
    kitti,
    kitti_odometry,
    pairs,
    preprocessed,
    tfds,
)
from scdepth_tf.data.scene import MINIMUM_FRAMES, Scene

Split = Literal["train", "val", "test", "all"]

_HoldOut = Callable[[tuple[str, ...], Split], tuple[tuple[str, ...], bool]]
"""Names and a side to the names on it, and whether they are one recording
that is still to be split in time."""

_Open = Callable[[Path, str], list[Scene]]
"""A folder and its name to what is in it: a scene, or pairs."""


def open_scenes(
    path: str | Path,
    split: Split = "all",
    scenes: str | Sequence[str] = (),
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> list[Scene]:
    """Opens a KITTI root (raw or odometry), a folder of scenes or a TFDS
    dataset.

    train.txt and val.txt decide the split where they exist; with val.txt
    alone every other scene trains. Without val.txt the recordings are ranked
    by the SHA-256 of seed and name, and the first `validation_fraction` of
    them, at least one, validate; both cameras of a KITTI drive are one
    recording. A single recording is split in time: its last frames validate.
    A TFDS dataset brings its splits; where it has no "val", its "train" is
    split the same way.

    Args:
        path: the folder, in the layout of `data.folder` or `data.kitti` (one
            scene or one drive is fine too), `data.kitti_odometry`,
            `data.pairs` or `data.preprocessed`, or `tfds:NAME` (see
            `data.tfds`).
        split: the side to open, or all scenes but those of a test split, which
            TFDS datasets and folders with a test.txt have.
        scenes: keep only the scenes with these names or, where no name is
            equal, those whose name contains the pattern ("0023",
            "drive_00*/image_02").
        validation_fraction: share of the recordings (or of the frames of a
            single one) for validation, in (0, 1).
        seed: another seed, another split.

    Raises:
        FileNotFoundError: a file or folder that should be there is not.
        ValueError: the data cannot be used; the line says why.
    """
    if split not in get_args(Split):
        raise ValueError(f"split is {split!r}; give train, val, test or all")
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"validation_fraction is {validation_fraction:g}; give a number "
            "between 0 and 1"
        )
    patterns = (scenes,) if isinstance(scenes, str) else scenes
    hold_out = functools.partial(
        _hold_out, fraction=validation_fraction, seed=seed
    )
    open_side = _open_stored if tfds.is_tfds(path) else _open_in_folder
    opened, only_recording = open_side(path, split, patterns, hold_out)
    if split in ("train", "val") and only_recording:
        return _split_in_time(opened, split, validation_fraction)
    return opened


def spread_images(scenes: Sequence[Scene], count: int) -> Iterator[np.ndarray]:
    """At most `count` images, evenly spread over all frames of the scenes.

    Yields:
        uint8 [H, W, 3] RGB, read one at a time.
    """
    frames = [(scene, index) for scene in scenes for index in range(len(scene))]
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    for position in chosen.round().astype(int):
        scene, index = frames[position]
        yield scene.image(index)


def held_out(
    recordings: Iterable[str], fraction: float = 0.1, seed: int = 0
) -> tuple[str, ...]:
    """The recordings that validate: at least one, and not all.

    They are ranked by the SHA-256 of seed and name, so that neither their
    order nor Python's hashing has a say.
    """

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{seed}:{name}".encode()).digest()

    ranked = sorted(set(recordings), key=rank)
    count = min(max(1, round(fraction * len(ranked))), len(ranked) - 1)
    return tuple(ranked[:count])


def _open_in_folder(
    path: str | Path,
    split: Split,
    patterns: Sequence[str],
    hold_out: _HoldOut,
) -> tuple[list[Scene], bool]:
    """Scenes of a split, and whether they are one recording that is still to
    be split in time.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: {'is a file' if root.exists() else 'no such folder'}; "
            "give a folder of scenes, a KITTI raw "
            "root or tfds:NAME"
        )
    training = preprocessed.training_folder(root)
    if training and split == "test":
        _matching((preprocessed.TESTING,), patterns, str(root))
        return [preprocessed.open_testing(training)], False
    if training:
        root, open_folder = training, _or_pairs(preprocessed.open_scene)
        folders = preprocessed.scene_folders(training)
    else:
        folders, open_folder = _find(root)
    names = _matching(tuple(folders), patterns, str(root))
    names, only_recording = _side(root, names, split, hold_out)
    opened = [
        scene for name in names for scene in open_folder(folders[name], name)
    ]
    return opened, only_recording


def _open_stored(
    path: str | Path,
    split: Split,
    patterns: Sequence[str],
    hold_out: _HoldOut,
) -> tuple[list[Scene], bool]:
    """The same of a TFDS dataset."""
    stored = tfds.open_dataset(str(path))
    if split == "all":
        found = [
            scene
            for side in ("train", "val")
            for scene in stored.get(side, {}).values()
        ]
        names = _matching(
            tuple(dict.fromkeys(scene.name for scene in found)),
            patterns,
            str(path),
        )
        return [scene for scene in found if scene.name in names], False
    side = "train" if split == "val" and "val" not in stored else split
    if side not in stored:
        raise ValueError(
            f"{path}: has no split {split}; it has {', '.join(stored)}"
        )
    names = _matching(tuple(stored[side]), patterns, str(path))
    only_recording = False
    if split != "test" and "val" not in stored:
        names, only_recording = hold_out(names, split)
    return [stored[side][name] for name in names], only_recording


def _find(root: Path) -> tuple[dict[str, Path], _Open]:
    cameras = kitti.camera_folders(root)
    if cameras:
        return cameras, _alone(kitti.open_camera)
    sequences = kitti_odometry.camera_folders(root)
    if sequences:
        return sequences, _alone(kitti_odometry.open_camera)
    scenes = folder.scene_folders(root)
    if not scenes:
        raise ValueError(
            f"{root}: holds no scenes; expected SCENE/*.jpg or *.png with "
            "SCENE/cam.txt, or KITTI's DATE/DRIVE_sync/image_02/data"
        )
    return scenes, _or_pairs(folder.open_scene)


def _alone(open_scene: Callable[[Path, str], Scene]) -> _Open:
    return lambda path, name: [open_scene(path, name)]


def _or_pairs(open_scene: Callable[[Path, str], Scene]) -> _Open:
    def open_folder(path: Path, name: str) -> list[Scene]:
        if pairs.holds_pairs(path):
            return pairs.open_pairs(path, name)
        return [open_scene(path, name)]

    return open_folder


def _matching(
    names: tuple[str, ...], patterns: Sequence[str], origin: str
) -> tuple[str, ...]:
    """The names that some pattern selects; all without patterns."""
    if not patterns:
        return names
    chosen: set[str] = set()
    for pattern in patterns:
        found = [name for name in names if name == pattern] or [
            name for name in names if fnmatch.fnmatchcase(name, f"*{pattern}*")
        ]
        if not found:
            raise ValueError(
                f"{origin}: no scene matches {pattern!r}; there are "
                f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
            )
        chosen.update(found)
    return tuple(name for name in names if name in chosen)


def _side(
    root: Path,
    names: tuple[str, ...],
    split: Split,
    hold_out: _HoldOut,
) -> tuple[tuple[str, ...], bool]:
    """Names on one side of the split, and whether they are one recording that
    is still to be split in time.
    """
    lists = {
        side: folder.read_list(root / f"{side}.txt")
        for side in ("train", "val", "test")
    }
    for one, other in itertools.combinations(lists, 2):
        for name in set(lists[one] or ()) & set(lists[other] or ()):
            raise ValueError(
                f"{root / other}.txt: the scene {name} is in {one}.txt too; "
                "delete one of the lines"
            )
    if split == "test" and lists["test"] is None:
        raise ValueError(
            f"{root}: has no test split; name its scenes in test.txt, or give "
            "train, val or all"
        )
    test = lists["test"] or ()
    names = tuple(name for name in names if (name in test) == (split == "test"))
    if split in ("all", "test"):
        return _not_empty(names, root, split), False
    train, val = lists["train"], lists["val"]
    if train is not None:
        names = tuple(name for name in names if name in {*train, *(val or ())})
    if val is None:
        return hold_out(_not_empty(names, root, split), split)
    side = tuple(name for name in names if (name in val) == (split == "val"))
    return _not_empty(side, root, split), False


def _not_empty(
    names: tuple[str, ...], root: Path, split: Split
) -> tuple[str, ...]:
    if not names:
        raise ValueError(
            f"{root}: no scene is left for {split}; check train.txt, val.txt, "
            "test.txt and the chosen scenes"
        )
    return names


def _hold_out(
    names: tuple[str, ...], split: Split, fraction: float, seed: int
) -> tuple[tuple[str, ...], bool]:
    """As `_side`, where no list decides."""
    recordings = {_recording(name) for name in names}
    if len(recordings) == 1:
        return names, True
    val = held_out(recordings, fraction, seed)
    return (
        tuple(
            name
            for name in names
            if (_recording(name) in val) == (split == "val")
        ),
        False,
    )


def _recording(name: str) -> str:
    """Cameras of one KITTI drive (…/image_02, …/image_03) are one
    recording.
    """
    return name.rpartition("/image_")[0] or name


def _split_in_time(
    scenes: list[Scene], split: Literal["train", "val"], fraction: float
) -> list[Scene]:
    """Scenes of one recording: the cameras that took it, or its pairs."""
    if not scenes[0].is_pair:
        return [_side_in_time(scene, split, fraction) for scene in scenes]
    start = len(scenes) - max(1, round(fraction * len(scenes)))
    if start < 1:
        raise ValueError(
            f"{scenes[0].name}: one pair in the only scene is too little to "
            "train on some and validate on others; give two pairs or more, or "
            "another scene"
        )
    return scenes[:start] if split == "train" else scenes[start:]


def _side_in_time(
    scene: Scene, split: Literal["train", "val"], fraction: float
) -> Scene:
    count = max(MINIMUM_FRAMES, round(fraction * len(scene)))
    start = len(scene) - count
    if start < MINIMUM_FRAMES:
        raise ValueError(
            f"{scene.name}: {len(scene)} frames in the only scene are too few "
            f"to train on some and validate on others; give "
            f"{2 * MINIMUM_FRAMES} frames or more, or another scene"
        )
    if split == "train":
        return scene.part(0, start)
    return scene.part(start, len(scene))

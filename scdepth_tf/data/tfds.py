"""TFDS datasets of sequences (`tfds_kitti`) as scenes.

A dataset is called `tfds:NAME`, `tfds:NAME/CONFIG` or, exactly,
`tfds:NAME/CONFIG:1.0.0`, and looked for where TFDS keeps its data
(TFDS_DATA_DIR, else ~/tensorflow_datasets); or `tfds:FOLDER`, the folder of
one version of it. Frames are found in the shards (`records`) and read one by
one, as from a folder, so that everything that works on scenes works on them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf.data import images
from scdepth_tf.data.records import PackedFile, Span, read_examples
from scdepth_tf.data.scene import Scene

if TYPE_CHECKING:
    import tensorflow_datasets

PREFIX = "tfds:"


def is_tfds(path: str | os.PathLike) -> bool:
    """Whether `path` names a TFDS dataset, not a folder."""
    return os.fspath(path).startswith(PREFIX)


def absolute(path: str | os.PathLike) -> str:
    """A name of data that holds in another working directory too."""
    name = os.fspath(path)
    if not is_tfds(name):
        return str(Path(name).resolve())
    folder = Path(name.removeprefix(PREFIX))
    return f"{PREFIX}{folder.resolve()}" if _is_version(folder) else name


def short_name(path: str | os.PathLike) -> str:
    """What to call data in a description, without where they lie."""
    name = os.fspath(path)
    if not is_tfds(name):
        return Path(name).name
    return "/".join(Path(name.removeprefix(PREFIX)).parts[-3:])


def open_dataset(name: str) -> dict[str, dict[str, Scene]]:
    """The scenes of each split that the dataset has, by their names.

    Raises:
        ImportError: TFDS is not installed.
        FileNotFoundError: the dataset has not been built.
        ValueError: it is not one of sequences, or is damaged.
    """
    builder = _open_builder(name)
    splits = {}
    for split, info in builder.info.splits.items():
        shards = [Path(os.fspath(path)) for path in info.filepaths]
        if any(".tfrecord" not in shard.name for shard in shards):
            raise ValueError(
                f"{name}: stored as {shards[0].name}; build it again in TFDS' "
                "default format, tfrecord"
            )
        splits[split] = _scenes(shards, name)
    return splits


def _open_builder(name: str) -> tensorflow_datasets.core.DatasetBuilder:
    try:
        import tensorflow_datasets as tfds

        import tfds_kitti  # noqa: F401  registers the default configs
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs TensorFlow Datasets: pip install 'scdepth-tf[tfds]'"
            f" ({error})",
            name=error.name,
        ) from error
    wanted = name.removeprefix(PREFIX)
    try:
        if _is_version(Path(wanted)):
            return tfds.builder_from_directory(wanted)
        return tfds.core.read_only_builder.builder_from_files(wanted)
    except (ValueError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"{name}: no such dataset in {tfds.core.constants.DATA_DIR} "
            "(TFDS_DATA_DIR); build it (python -m tfds_kitti --help), or name "
            "the folder of one version: tfds:FOLDER"
        ) from error


def _is_version(folder: Path) -> bool:
    """Whether it is a built dataset, not a folder that is called like one."""
    return (folder / "dataset_info.json").is_file()


def _scenes(shards: Iterable[Path], name: str) -> dict[str, Scene]:
    chunks: dict[str, list[tuple[int, Scene]]] = {}
    for shard in shards:
        for features in read_examples(shard):
            try:
                sequence = _string(shard, features["sequence"][0])
                (first,) = features["first_frame"]
                chunk = _chunk(shard, sequence, features)
            except (KeyError, IndexError) as error:
                raise ValueError(
                    f"{name}: not a dataset of sequences (no {error}); give "
                    "one that tfds_kitti builds"
                ) from None
            if len(chunk):
                chunks.setdefault(sequence, []).append((first, chunk))
    return {
        sequence: _join(chunk for _, chunk in sorted(parts, key=_first_frame))
        for sequence, parts in sorted(chunks.items())
    }


def _first_frame(part: tuple[int, Scene]) -> int:
    return part[0]


def _chunk(shard: Path, sequence: str, features: dict[str, list]) -> Scene:
    """The frames of one example."""
    numbers = tuple(features["frames/number"])

    def packed(span: Span, number: int) -> PackedFile:
        return PackedFile(shard, span, f"{sequence}/{number:010d}")

    depths: list[PackedFile | None] = [None] * len(numbers)
    for index, span in zip(
        features["depths/frame"], features["depths/depth"], strict=True
    ):
        depths[index] = packed(span, numbers[index])
    frames = tuple(
        packed(span, number)
        for span, number in zip(features["frames/image"], numbers, strict=True)
    )
    height, width = features["image_size"]
    return Scene(
        name=sequence,
        frames=frames,
        intrinsics=_matrices(shard, features["intrinsics"], 3)[0],
        image_size=(height, width),
        depths=tuple(depths),
        poses=_matrices(shard, features["frames/world_from_camera"], 4),
        frame_numbers=numbers,
        depth_reader=images.load_kitti_depth,
        timestamps=np.array(features["frames/timestamp"], np.int64),
        targets=tuple(map(bool, features["frames/is_target"])),
    )


def _join(chunks: Iterable[Scene]) -> Scene:
    """Chunks in time order as one scene; what no frame has becomes None."""
    parts = list(chunks)
    depths = tuple(depth for part in parts for depth in part.depths)
    poses = np.concatenate([part.poses for part in parts])
    times = np.concatenate([part.timestamps for part in parts])
    targets = tuple(target for part in parts for target in part.targets)
    return Scene(
        name=parts[0].name,
        frames=tuple(frame for part in parts for frame in part.frames),
        intrinsics=parts[0].intrinsics,
        image_size=parts[0].image_size,
        depths=depths if any(depths) else None,
        poses=poses if np.isfinite(poses).all() else None,
        frame_numbers=tuple(
            number for part in parts for number in part.frame_numbers
        ),
        depth_reader=images.load_kitti_depth,
        timestamps=times if (times >= 0).all() else None,
        targets=None if all(targets) else targets,
    )


def _matrices(shard: Path, spans: list[Span], size: int) -> np.ndarray:
    """float64 [n, size, size] from the bytes of each."""
    content = b"".join(_content(shard, span) for span in spans)
    return np.frombuffer(content, np.float64).reshape(-1, size, size).copy()


def _string(shard: Path, span: Span) -> str:
    return _content(shard, span).decode()


def _content(shard: Path, span: Span) -> bytes:
    return PackedFile(shard, span, "").read_bytes()

"""What is evaluated: images with their ground truth, and the baselines."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scdepth_tf.data.scene import Scene
from scdepth_tf.metrics.baselines import (
    Baseline,
    constant_depth,
    fixed_depth,
    ground_plane,
    mean_depth_map,
)
from scdepth_tf.metrics.depth import Protocol

MOVING = 2
"""Code of moving objects in an instance mask (`data.load_instance`)."""


class Sample(NamedTuple):
    """One image with its ground truth."""

    name: str
    """SCENE/FRAME."""

    image: np.ndarray
    """`[H, W, 3]` uint8 RGB."""

    ground_truth: np.ndarray | None
    """`[h, w]` metres, dense or sparse, of any size; 0 means none. None: the
    image has none, which is counted and reported."""

    intrinsics: np.ndarray | None = None
    """`[3, 3]` in pixels of the image; some baselines need it."""

    moving: np.ndarray | None = None
    """`[h, w]` bool, of the ground truth's size: pixels on moving objects;
    None where unknown."""


def depth_samples(
    scenes: Iterable[Scene], only: Sequence[str] | None = None
) -> list[Callable[[], Sample]]:
    """Every frame that has ground truth, each read when it is called.

    Args:
        scenes: from `data.open_scenes`.
        only: where given, exactly these frames in this order, with or without
            ground truth: the ends of their paths, as in the lines of the
            Eigen test list (2011_09_26/…_sync/image_02/data/0000000069.png).
            The ending does not matter: .jpg is as good as .png.

    Raises:
        FileNotFoundError: a listed frame is not among the scenes.
    """
    scenes = list(scenes)
    if only is not None:
        return [
            functools.partial(read_sample, *at) for at in _listed(scenes, only)
        ]
    return [
        functools.partial(read_sample, scene, index)
        for scene in scenes
        for index, path in enumerate(scene.depths or ())
        if path is not None
    ]


def read_frame_list(path: str | Path) -> list[str]:
    """Lines of a list of frames; blank ones are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; give a list of frames, one path a line"
        )
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    frames = [line.strip() for line in lines if line.strip()]
    if not frames:
        raise ValueError(f"{path}: names no frame; write one path a line")
    return frames


def training_baselines(
    scenes: Iterable[Scene],
    image_size: tuple[int, int],
    protocol: Protocol,
    every: int = 1,
) -> dict[str, Baseline]:
    """The baselines of our tables: constant, mean map, ground plane.

    Args:
        scenes: training scenes; the mean map is that of their ground truth,
            and is left out where they have none.
        image_size: height and width of the mean map.
        protocol: which ground truth counts.
        every: read only every so-manieth ground truth map.
    """
    chosen = {
        "constant depth": constant_depth(),
        "ground plane": ground_plane(maximum_depth=protocol.maximum_depth),
    }
    depths = (
        scene.depth(index)
        for scene in scenes
        for index in range(0, len(scene.depths or ()), every)
        if scene.depths[index] is not None
    )
    first = next(depths, None)
    if first is not None:
        chosen["mean depth map"] = fixed_depth(
            mean_depth_map(
                itertools.chain([first], depths), image_size, protocol
            )
        )
    return chosen


def contiguous_parts(scene: Scene) -> list[Scene]:
    """The scene, cut where its frame numbers have a gap; parts of a single
    frame are left out. Motion from frame to frame is only defined within a
    part.

    Raises:
        ValueError: the scene is one of many pairs, not video.
    """
    if scene.is_pair:
        raise ValueError(
            f"{scene.name} holds pairs of images, but this needs video, frame "
            "after frame; give other data or choose other scenes by --scenes"
        )
    numbers = scene.frame_numbers
    if numbers is None:
        return [scene]
    cuts = [
        index
        for index in range(1, len(numbers))
        if numbers[index] != numbers[index - 1] + 1
    ]
    bounds = itertools.pairwise([0, *cuts, len(numbers)])
    parts = [scene.part(*bound) for bound in bounds if bound[1] > bound[0] + 1]
    if len(parts) < 2:
        return parts
    return [
        dataclasses.replace(
            part,
            name=f"{part.name}/{part.frame_numbers[0]}-"
            f"{part.frame_numbers[-1]}",
        )
        for part in parts
    ]


def frame_name(scene: Scene, index: int) -> str:
    """SCENE/FRAME, what tables and files call a frame."""
    return f"{scene.name}/{scene.frames[index].stem}"


def read_sample(scene: Scene, index: int) -> Sample:
    """One frame with everything known of it.

    Raises:
        ValueError: its instance mask is not of its depth's size.
    """
    instance, truth = scene.instance(index), scene.depth(index)
    if instance is not None and instance.shape != truth.shape:
        raise ValueError(
            f"{frame_name(scene, index)}: the instance mask is "
            f"{_size(instance)} and the depth {_size(truth)}; write both at "
            "one size"
        )
    return Sample(
        name=frame_name(scene, index),
        image=scene.image(index),
        ground_truth=truth,
        intrinsics=scene.intrinsics,
        moving=None if instance is None else instance == MOVING,
    )


def _listed(
    scenes: Sequence[Scene], only: Sequence[str]
) -> list[tuple[Scene, int]]:
    by_stem: dict[str, list[tuple[str, Scene, int]]] = {}
    for scene in scenes:
        for index, frame in enumerate(scene.frames):
            path = "/" + frame.absolute().with_suffix("").as_posix()
            by_stem.setdefault(frame.stem, []).append((path, scene, index))
    found, missing = [], []
    for line in only:
        wanted = Path(line).with_suffix("")
        ending = "/" + wanted.as_posix().strip("/")
        at = next(
            (
                (scene, index)
                for path, scene, index in by_stem.get(wanted.name, ())
                if path.endswith(ending)
            ),
            None,
        )
        if at is None:
            missing.append(line)
        else:
            found.append(at)
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(only)} listed frames are not in the data "
            f"(the first is {missing[0]}); unpack them there or shorten the "
            "list"
        )
    return found


def _size(map_2d: np.ndarray) -> str:
    return f"{map_2d.shape[1]}x{map_2d.shape[0]}"

"""Which frames train together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from scdepth_tf.data import images, motion
from scdepth_tf.data.scene import Scene
from scdepth_tf.progress import bar


class Triplet(NamedTuple):
    """A target frame and its two neighbours in time, or the only other frame
    of a pair.
    """

    scene: int
    """Index of the scene in the sequence given to `triplets`."""

    target: int
    """Index of the frame in its scene."""

    sources: tuple[int, ...]
    """Indices of the earlier and the later neighbour; of a pair, of its
    second frame."""


def triplets(scenes: Sequence[Scene], stride: int = 1) -> list[Triplet]:
    """Every frame that has neighbours `stride` frames before and after it;
    of pairs, every first frame with the second.

    A triplet never spans two scenes, nor a gap in numbered frames (KITTI);
    where a scene names its `targets`, it is one of them.

    Raises:
        ValueError: a scene without named targets is shorter than 2·stride + 1
            frames, or no frame has both neighbours, or there are pairs beside
            video or with a stride.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}; give 1 or more frames")
    if any(scene.is_pair for scene in scenes):
        return _pairs(scenes, stride)
    found = []
    for index, scene in enumerate(scenes):
        if len(scene) < 2 * stride + 1 and scene.targets is None:
            raise ValueError(
                f"{scene.name}: {len(scene)} frames, but a stride of {stride} "
                f"needs {2 * stride + 1}; lower the stride or leave the scene "
                "out"
            )
        found += [
            Triplet(index, target, (target - stride, target + stride))
            for target in range(stride, len(scene) - stride)
            if _is_gapless(scene, target, stride)
            and (scene.targets is None or scene.targets[target])
        ]
    if not found:
        raise ValueError(
            f"no frame of {', '.join(scene.name for scene in scenes[:3])} has "
            f"neighbours {stride} frames before and after it; give scenes "
            "without gaps in their frame numbers"
            if scenes
            else "no scenes given; open some first"
        )
    return found


def triplets_that_move(
    scenes: Sequence[Scene], found: Sequence[Triplet]
) -> list[Triplet]:
    """The triplets whose target differs from all neighbours by motion, not
    by noise alone (`motion.is_static`). Reads every frame once, reduced.
    """
    needed = sorted(
        {
            (item.scene, index)
            for item in found
            for index in (item.target, *item.sources)
        }
    )

    def read(key: tuple[int, int]) -> np.ndarray:
        scene, index = key
        return images.load_thumbnail(scenes[scene].frames[index], motion.WIDTH)

    with ThreadPoolExecutor() as pool:
        thumbnails = bar(
            pool.map(read, needed),
            "looking for static frames",
            total=len(needed),
            unit="frame",
            disable=len(needed) < 1000,
        )
        thumbnail = dict(zip(needed, thumbnails, strict=True))
    return [
        item
        for item in found
        if not any(
            motion.is_static(
                thumbnail[item.scene, item.target],
                thumbnail[item.scene, source],
            )
            for source in item.sources
        )
    ]


def _pairs(scenes: Sequence[Scene], stride: int) -> list[Triplet]:
    pair = next(scene.name for scene in scenes if scene.is_pair)
    video = next((scene.name for scene in scenes if not scene.is_pair), None)
    if video is not None:
        raise ValueError(
            f"{pair} holds pairs of images and {video} is video; they cannot "
            "share a batch, so name scenes of one kind (train.txt, val.txt, "
            "--scenes)"
        )
    if stride != 1:
        raise ValueError(
            f"stride is {stride}, but {pair} holds pairs of images, which have "
            "no other neighbours; give a stride of 1"
        )
    return [Triplet(index, 0, (1,)) for index in range(len(scenes))]


def _is_gapless(scene: Scene, target: int, stride: int) -> bool:
    numbers = scene.frame_numbers
    if numbers is None:
        return True
    return numbers[target + stride] - numbers[target - stride] == 2 * stride

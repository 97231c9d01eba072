"""Which scenes were taken with one camera, for learning its focal length."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from scdepth_tf.data.scene import Scene


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """One camera and the scenes that it took."""

    scenes: tuple[str, ...]
    """Names of its scenes."""

    intrinsics: np.ndarray
    """[3, 3] float64 pixels, as given for its scenes."""

    image_size: tuple[int, int]
    """Height and width in pixels, to which the intrinsics belong."""


def group_cameras(
    scenes: Sequence[Scene], by: Literal["camera", "scene"]
) -> list[Camera]:
    """The cameras behind the scenes, in the order of their first scene.

    Args:
        scenes: a name may come twice, as the two parts of a scene do that is
            split in time.
        by: `camera` takes scenes with equal intrinsics and image size as one
            camera; `scene` gives each scene a camera of its own.
    """
    groups: dict[object, list[Scene]] = {}
    for scene in scenes:
        key = scene.name
        if by == "camera":
            key = (scene.image_size, scene.intrinsics.tobytes())
        groups.setdefault(key, []).append(scene)
    return [
        Camera(
            tuple(dict.fromkeys(scene.name for scene in group)),
            group[0].intrinsics,
            group[0].image_size,
        )
        for group in groups.values()
    ]


def camera_indices(
    cameras: Sequence[Camera], scenes: Sequence[Scene]
) -> list[int]:
    """Index of the camera of each scene."""
    index = {
        name: number
        for number, camera in enumerate(cameras)
        for name in camera.scenes
    }
    return [index[scene.name] for scene in scenes]

"""Frames on disk become training triplets.

Scenes are opened and checked with numpy and Pillow alone; TensorFlow is
imported when a dataset is asked for.
"""

from scdepth_tf.data.cameras import Camera, camera_indices, group_cameras
from scdepth_tf.data.images import (
    find_unreadable,
    load_depth,
    load_image,
    load_instance,
)
from scdepth_tf.data.motion import frame_change
from scdepth_tf.data.scene import Scene
from scdepth_tf.data.scenes import open_scenes, spread_images
from scdepth_tf.data.tfds import absolute, short_name
from scdepth_tf.data.triplets import Triplet, triplets, triplets_that_move

__all__ = [
    "open_scenes",
    "absolute",
    "short_name",
    "Scene",
    "triplets",
    "Triplet",
    "Camera",
    "group_cameras",
    "camera_indices",
    "triplets_that_move",
    "training_dataset",
    "validation_dataset",
    "spread_images",
    "load_image",
    "load_depth",
    "load_instance",
    "frame_change",
    "find_unreadable",
]

_NEED_TENSORFLOW = ("training_dataset", "validation_dataset")


def __getattr__(name: str) -> object:
    if name in _NEED_TENSORFLOW:
        from scdepth_tf.data import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

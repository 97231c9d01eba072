"""Refines a camera's path by what the depth network saw along it.

A pose network guesses each step to some ten percent, and in a unit that is not
quite that of the depth. Here

1. neighbouring frames, each with its predicted depth, are laid over each
   other until the images agree (`images`);
2. each step is the mean of what pose network and alignment say, weighted by
   how steady either is, in the unit of the depth, and the camera's velocity
   is smoothed: what is carried by something heavy does not change it much from
   frame to frame (`path`).

NumPy only, float64.
"""

from scdepth_tf.alignment.images import (
    Alignment,
    Frame,
    Level,
    align,
    prepare_frame,
    scene_frames,
)
from scdepth_tf.alignment.path import (
    VELOCITY_CHANGE,
    aligned_step,
    fuse,
    refine,
    refine_path,
    refine_steps,
    smooth,
)

__all__ = [
    "VELOCITY_CHANGE",
    "Alignment",
    "Frame",
    "Level",
    "align",
    "aligned_step",
    "fuse",
    "prepare_frame",
    "refine",
    "refine_path",
    "refine_steps",
    "scene_frames",
    "smooth",
]

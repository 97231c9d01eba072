"""Depth of each frame as a file: picture, 16-bit PNG and NPZ."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from scdepth_tf.files import replace_file
from scdepth_tf.predict.panels import (
    compose,
    draw_legend,
    is_wide,
    panel_size,
)
from scdepth_tf.predict.sequence import (
    PredictedFrame,
    Sequence,
    encode_depth,
)

PICTURE_FOLDER = "pictures"
PNG_FOLDER = "depth_png"
NPZ_FOLDER = "depth_npz"


@contextlib.contextmanager
def write_pictures(
    sequence: Sequence,
) -> Iterator[Callable[[PredictedFrame], None]]:
    """pictures/FRAME.jpg: frame and depth as in the video.

    Files that are there are kept: they are of an earlier run of the same job.
    """
    size = panel_size(sequence.image_size)
    width = size[1] if is_wide(sequence.image_size) else 2 * size[1]
    legend = draw_legend(sequence, width, min(size))

    def add(frame: PredictedFrame) -> None:
        path = sequence.folder / PICTURE_FOLDER / f"{frame.name}.jpg"
        if path.exists():
            return
        panels = np.concatenate([compose(frame, sequence, size), legend])
        with replace_file(path) as unfinished:
            Image.fromarray(panels).save(unfinished, "JPEG", quality=92)

    yield add


@contextlib.contextmanager
def write_png(sequence: Sequence) -> Iterator[Callable[[PredictedFrame], None]]:
    """depth_png/FRAME.png: depth · `codes_per_unit`, rounded; 0 is too far.

    Files that are there are kept.
    """

    def add(frame: PredictedFrame) -> None:
        path = sequence.folder / PNG_FOLDER / f"{frame.name}.png"
        if path.exists():
            return
        codes = encode_depth(frame.depth, sequence.codes_per_unit)
        with replace_file(path) as unfinished:
            Image.fromarray(codes).save(unfinished, format="PNG")

    yield add


@contextlib.contextmanager
def write_npz(sequence: Sequence) -> Iterator[Callable[[PredictedFrame], None]]:
    """depth_npz/FRAME.npz: `depth` float32 [h, w], `pose` [4, 4]
    world_from_camera, the `unit` of both and, where the camera is known,
    `intrinsics` [3, 3] in pixels of the depth map.

    Files that are there are kept.
    """
    same = {"unit": np.array(sequence.unit)}
    if sequence.intrinsics is not None:
        same["intrinsics"] = sequence.depth_intrinsics

    def add(frame: PredictedFrame) -> None:
        path = sequence.folder / NPZ_FOLDER / f"{frame.name}.npz"
        if path.exists():
            return
        with replace_file(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(
                file, depth=frame.depth, pose=frame.pose, **same
            )

    yield add

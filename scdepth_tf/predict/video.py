"""Depth in colours beside the frames, as a video."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scdepth_tf.files import replace_file
from scdepth_tf.predict.sequence import (
    PredictedFrame,
    Sequence,
    resize_depth,
)
from scdepth_tf.prepare import extras
from scdepth_tf.viz import color_depth, legend_depths

FILE = "depth.mp4"

_LONGEST_SIDE = 1920
_WIDE = 2.0
"""From this aspect ratio on, depth goes below the frame."""
_TICKS = 90_000
"""A second, in units of the video's clock."""
_LEGEND = 0.05
"""Height of the legend, as a share of the picture's shorter side."""
_SMALLEST_LEGEND = 14


@contextlib.contextmanager
def write_video(
    sequence: Sequence,
) -> Iterator[Callable[[PredictedFrame], None]]:
    """depth.mp4 (H.264): frame and depth beside each other, below where the
    frame is wide, and under them what the colours mean.

    One range of colours for all frames, from the first to the 99th percentile
    of all depths: what changes its colour changes its depth.

    Raises:
        ValueError: the file cannot be written.
        ModuleNotFoundError: PyAV or Matplotlib is not installed.
    """
    av = extras.load("av")
    height, width = panel_size(sequence.image_size)
    below = is_wide(sequence.image_size)
    width_of_both = width if below else 2 * width
    legend = draw_legend(sequence, width_of_both, min(height, width))
    path = sequence.folder / FILE
    try:
        with (
            replace_file(path) as unfinished,
            av.open(str(unfinished), "w", format="mp4") as container,
        ):
            stream = container.add_stream(
                "libx264",
                rate=Fraction(sequence.frame_rate).limit_denominator(1001),
                options={"crf": "18", "preset": "veryfast"},
            )
            stream.width = width_of_both
            stream.height = (2 * height if below else height) + len(legend)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, _TICKS)
            last = -1

            def add(frame: PredictedFrame) -> None:
                nonlocal last
                panels = compose(frame, sequence, (height, width))
                picture = av.VideoFrame.from_ndarray(
                    np.concatenate([panels, legend]), format="rgb24"
                )
                # The clock of some files is set back.
                last = max(last + 1, round(frame.time * _TICKS))
                picture.pts = last
                picture.time_base = stream.codec_context.time_base
                container.mux(stream.encode(picture))

            yield add
            container.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise ValueError(
            f"cannot write {path}: {error.strerror}; is there room on the disk?"
        ) from error


def panel_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, both even, of the frame within the video."""
    height, width = image_size
    total = (2 * height, width) if is_wide(image_size) else (height, 2 * width)
    scale = min(1.0, _LONGEST_SIDE / max(total))
    # H.264 stores colours for 2x2 pixels.
    return tuple(max(2, round(side * scale / 2) * 2) for side in image_size)


def is_wide(image_size: tuple[int, int]) -> bool:
    """Whether depth goes below frames of this height and width."""
    return image_size[1] > _WIDE * image_size[0]


def compose(
    frame: PredictedFrame, sequence: Sequence, size: tuple[int, int]
) -> np.ndarray:
    """uint8 [H, W, 3]: the frame and its depth, each of the given size."""
    height, width = size
    image = Image.fromarray(frame.image)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    colors = color_depth(resize_depth(frame.depth, size), *_range(sequence))
    axis = 0 if is_wide(sequence.image_size) else 1
    return np.concatenate([np.asarray(image), colors], axis=axis)


def draw_legend(sequence: Sequence, width: int, side: int) -> np.ndarray:
    """uint8 [h, width, 3], h even: the colours from near to far, and the depth
    at some of them.

    Args:
        sequence: has depth and unit.
        width: of the video.
        side: the shorter one of a frame in it.
    """
    height = max(_SMALLEST_LEGEND, round(_LEGEND * side)) // 2 * 2
    nearest, farthest = _range(sequence)
    depths = legend_depths(nearest, farthest, width)
    strip = np.broadcast_to(depths, (height, width))
    picture = Image.fromarray(color_depth(strip, nearest, farthest))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(0.75 * height)
    for share, anchor in ((0, "lm"), (1 / 3, "mm"), (2 / 3, "mm"), (1, "rm")):
        x = round(share * (width - 1))
        text = f"{depths[x]:.3g}"
        if share == 1:
            text += f" {sequence.unit}"
        margin = {"l": 3, "m": 0, "r": -3}[anchor[0]]
        draw.text(
            (x + margin, height / 2),
            text,
            fill="black" if share < 0.3 else "white",
            anchor=anchor,
            font=font,
        )
    return np.asarray(picture)


def _range(sequence: Sequence) -> tuple[float, float]:
    """Depth of the brightest and of the darkest colour."""
    nearest = sequence.depth.nearest
    return nearest, max(sequence.depth.farthest, 1.05 * nearest)

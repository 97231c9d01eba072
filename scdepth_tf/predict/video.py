"""Depth in colours beside the frames, as a video."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from scdepth_tf.files import replace_file
from scdepth_tf.predict.panels import (
    compose,
    draw_legend,
    is_wide,
    panel_size,
)
from scdepth_tf.predict.sequence import PredictedFrame, Sequence
from scdepth_tf.prepare import extras

FILE = "depth.mp4"

_TICKS = 90_000
"""A second, in units of the video's clock."""


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

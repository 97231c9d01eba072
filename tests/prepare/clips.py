"""Footage of our own making: a camera that glides over a random picture."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 96, 160
STEP = 4
"""Pixels a frame: 2.5 percent of the width."""


@functools.cache
def canvas(seed: int = 0, size: tuple[int, int] = (400, 900)) -> np.ndarray:
    """uint8 [H, W, 3] with corners everywhere."""
    rng = np.random.default_rng(seed)
    height, width = size
    picture = np.zeros((height, width, 3))
    for cell in (8, 20):
        blocks = rng.integers(0, 255, (height // cell, width // cell, 3))
        image = Image.fromarray(blocks.astype(np.uint8))
        picture += np.asarray(image.resize((width, height), Image.BICUBIC)) / 2
    return picture.clip(0, 255).astype(np.uint8)


def view(left: float, seed: int = 0, size=(HEIGHT, WIDTH)) -> np.ndarray:
    """What the camera sees at column `left` of the canvas."""
    left = round(left)
    return canvas(seed)[100 : 100 + size[0], left : left + size[1]]


def glide(frames: int, seed: int = 0, start: int = 0) -> list[np.ndarray]:
    """Steady sideways motion."""
    return [view(start + STEP * index, seed) for index in range(frames)]


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    rate: int = 10,
    milliseconds: Sequence[int] | None = None,
    turned: int = 0,
    pixel_format: str = "yuv420p",
    options: dict | None = None,
) -> Path:
    """H.264, with times of its own where given, and asking players to turn it
    `turned` degrees counterclockwise.
    """
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "10", "preset": "ultrafast"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = pixel_format
        if turned:
            stream.set_display_rotation(turned)
        if milliseconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image), format="rgb24"
            )
            if milliseconds is not None:
                frame.pts = milliseconds[index]
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """A second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024 * 2), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path

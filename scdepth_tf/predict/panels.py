"""Depth in colours beside the frame, and what the colours mean."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scdepth_tf.predict.sequence import (
    PredictedFrame,
    Sequence,
    resize_depth,
)
from scdepth_tf.viz import color_depth, legend_depths

_LONGEST_SIDE = 1920
_WIDE = 2.0
"""From this aspect ratio on, depth goes below the frame."""
_LEGEND = 0.05
"""Height of the legend, as a share of the picture's shorter side."""
_SMALLEST_LEGEND = 18
_NARROW = 480
"""Pixels below which a legend has but three numbers."""


def panel_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, both even, of the frame beside its depth."""
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
        width: of the picture.
        side: the shorter one of a frame in it.
    """
    height = max(_SMALLEST_LEGEND, round(_LEGEND * side)) // 2 * 2
    nearest, farthest = _range(sequence)
    depths = legend_depths(nearest, farthest, width)
    strip = np.broadcast_to(depths, (height, width))
    picture = Image.fromarray(color_depth(strip, nearest, farthest))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(0.75 * height)
    inner = (1 / 3, 2 / 3) if width >= _NARROW else (0.4,)
    middle = [(share, "mm") for share in inner]
    for share, anchor in ((0, "lm"), *middle, (1, "rm")):
        x = round(share * (width - 1))
        text = f"{depths[x]:.3g}"
        if share == 1:
            text += f"  {sequence.unit}"
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

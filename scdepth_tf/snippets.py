"""Pictures of what the loss makes of neighbouring frames (needs the `viz`
extra): for the report and for TensorBoard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from scdepth_tf import losses, metrics, predict, viz
from scdepth_tf.data import Scene, Triplet, triplets
from scdepth_tf.geometry import scale_intrinsics
from scdepth_tf.metrics.depth import resize_depth
from scdepth_tf.model import SCDepth

CONTRAST = 3.0
"""Differences and D_diff are small; they are drawn this much larger."""

_LINE = 20  # pixels of a caption
_GAP = 6  # pixels between the pictures of a sheet
_WIDTHS = 320, 416  # smallest and largest picture on a sheet
_WHICH = {
    1: ("the other frame",),
    2: ("the frame before", "the frame after"),
}
_INK, _SOFT, _PAPER = (28, 36, 48), (91, 102, 117), (255, 255, 255)


class Snippet(NamedTuple):
    """Two neighbouring frames and everything the loss makes of them."""

    target: np.ndarray
    """[H, W, 3] in [0, 1]."""
    source: np.ndarray
    """[H, W, 3] in [0, 1]."""
    depth: np.ndarray
    """[H, W] of the target, scene units."""
    views: losses.ViewComparison
    """Fields [H, W, ·]."""


class PairPictures(NamedTuple):
    """A snippet in colours, each [H, W, 3] uint8; grey is out of view."""

    warped: np.ndarray
    """The source as the target's camera would see it."""
    before: np.ndarray
    """Difference of target and source, times `CONTRAST`."""
    residual: np.ndarray
    """Difference of target and warped source, times `CONTRAST`."""
    photometric: np.ndarray
    """What the loss takes for it, with SSIM."""
    inconsistency: np.ndarray
    """D_diff, times `CONTRAST`."""
    self_mask: np.ndarray
    """M_s, from 1 − 1/`CONTRAST` to 1."""
    auto_mask: np.ndarray
    """M_a, 0 or 1."""


def compare_frames(
    model: SCDepth,
    scene: Scene,
    target: int,
    source: int,
    image_size: tuple[int, int],
    intrinsics: np.ndarray | None = None,
) -> Snippet:
    """One directed pair as the loss sees it: warp, masks and errors.

    Args:
        model: to look through.
        scene: where the frames are.
        target: index of a frame.
        source: index of its neighbour.
        image_size: height and width the networks work at.
        intrinsics: [3, 3] in pixels of the files; the scene's by default.
    """
    if intrinsics is None:
        intrinsics = scene.intrinsics
    frames = tf.stack(
        [
            predict.resize_image(scene.image(i), image_size)
            for i in (target, source)
        ]
    )
    depths = model(frames, training=False)
    standard = losses.standardise(frames)
    views = losses.compare_views(
        target=standard[:1],
        source=standard[1:],
        target_depth=depths[:1],
        source_depth=depths[1:],
        source_from_target=model.source_from_target(frames[:1], frames[1:]),
        intrinsics=scale_intrinsics(
            tf.constant(intrinsics[None], tf.float32),
            image_size[1] / scene.image_size[1],
            image_size[0] / scene.image_size[0],
        ),
        config=model.loss_config,
    )
    return Snippet(
        *frames.numpy(),
        depths.numpy()[0, ..., 0],
        losses.ViewComparison(*(field.numpy()[0] for field in views)),
    )


def draw_pair(snippet: Snippet) -> PairPictures:
    """All maps of a pair in colours."""
    target, source, _, views = snippet
    valid = views.valid[..., 0]
    warped = views.warped * losses.IMAGE_STD + losses.IMAGE_MEAN
    before = np.abs(target - source).mean(axis=-1)
    residual = np.abs(target - warped).mean(axis=-1)
    inconsistency = CONTRAST * views.inconsistency[..., 0]
    return PairPictures(
        warped=np.where(
            valid[..., None] > 0, as_bytes(warped), np.uint8(viz.UNKNOWN)
        ),
        before=viz.color_weight(CONTRAST * before),
        residual=viz.color_weight(CONTRAST * residual, valid),
        photometric=viz.color_weight(views.photometric[..., 0], valid),
        inconsistency=viz.color_weight(inconsistency, valid),
        self_mask=viz.color_weight(1.0 - inconsistency, valid),
        auto_mask=viz.color_weight(views.auto_mask[..., 0], valid),
    )


def as_bytes(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] in [0, 1] as uint8."""
    return (np.clip(image, 0.0, 1.0) * 255).round().astype(np.uint8)


def spread_triplets(
    scenes: Sequence[Scene], stride: int, count: int
) -> list[Triplet]:
    """At most `count` triplets of the scenes, evenly spaced."""
    found = triplets(scenes, stride)
    places = (np.arange(count) + 0.5) / count * len(found)
    return [found[i] for i in sorted(set(places.astype(int)))]


def draw_triplet(
    model: SCDepth,
    scene: Scene,
    triplet: Triplet,
    image_size: tuple[int, int],
    intrinsics: np.ndarray | None = None,
) -> np.ndarray:
    """One sheet of all that the loss makes of a target and its neighbours: a
    column for the target and one for each neighbour.

    The colours of a frame mean the same in every sheet of it: with ground
    truth the prediction is drawn at its median scale in the range of the
    truth, without it in multiples of its median.

    Args:
        model: to look through.
        scene: of the triplet.
        triplet: from `spread_triplets`.
        image_size: height and width the networks work at.
        intrinsics: [3, 3] in pixels of the files; the scene's by default.

    Returns:
        [h, w, 3] uint8.

    Raises:
        ValueError: the depth network predicts NaN or infinity.
    """
    pairs = [
        compare_frames(
            model, scene, triplet.target, source, image_size, intrinsics
        )
        for source in triplet.sources
    ]
    depth = pairs[0].depth
    if not np.isfinite(depth).all():
        raise ValueError("the depth network predicts NaN or infinity")
    columns = [_depth_column(scene, triplet, pairs)]
    for source, pair in zip(triplet.sources, pairs, strict=True):
        pictures = draw_pair(pair)
        columns.append(
            [
                (pictures.warped, f"frame {source}, warped into the target"),
                (pictures.residual, f"residual of frame {source}"),
                (pictures.inconsistency, "D_diff: the depths disagree"),
                (pictures.self_mask, "M_s: dark counts less"),
                (pictures.auto_mask, "M_a: bright pixels teach"),
            ]
        )
    return _sheet(columns)


def _depth_column(
    scene: Scene, triplet: Triplet, pairs: Sequence[Snippet]
) -> list[tuple[np.ndarray, str]]:
    target, depth = as_bytes(pairs[0].target), pairs[0].depth
    name = f"{scene.name}, frame {triplet.target}"
    truth = scene.depth(triplet.target)
    if truth is None or not metrics.GENERIC.mask(truth).any():
        median = float(np.median(depth))
        nearest, farthest = 0.3, 6.0
        return [
            (target, name),
            (
                viz.color_depth(depth / median, nearest, farthest),
                f"depth (median {median:.2g} units)",
            ),
            *(
                (as_bytes(pair.source), which)
                for pair, which in zip(pairs, _WHICH[len(pairs)], strict=True)
            ),
            (
                _legend(nearest, farthest, " medians", False),
                "colours (grey: unseen)",
            ),
        ]
    errors = metrics.depth_errors(truth, depth, metrics.GENERIC)
    known = truth[metrics.GENERIC.mask(truth)]
    nearest, farthest = np.percentile(known, [2, 98])
    farthest = max(farthest, 1.5 * nearest)
    scaled = errors.scale * resize_depth(
        depth, truth.shape, metrics.GENERIC.resize
    )
    seen = viz.spread_sparse(truth)
    return [
        (target, name),
        (
            viz.color_depth(scaled, nearest, farthest),
            f"depth (1 unit = {errors.scale:.3g} m)",
        ),
        (viz.color_depth(seen, nearest, farthest), "true depth"),
        (viz.color_ratio(scaled, seen), f"error: AbsRel {errors.abs_rel:.3f}"),
        (_legend(nearest, farthest, " m", True), "colours (grey: unseen)"),
    ]


def _legend(
    nearest: float, farthest: float, unit: str, has_truth: bool
) -> Image.Image:
    """What the colours mean; drawn at the size of the pictures later."""
    level = np.linspace(1.0, 0.0, 96)[None]
    low, high = 1.0 / farthest, 1.0 / nearest
    depth = 1.0 / (low + (high - low) * level**2)
    lines = [
        (
            viz.color_depth(depth, nearest, farthest),
            "depth",
            f"{nearest:.2g}",
            f"{farthest:.2g}{unit}",
        ),
        (
            viz.color_weight(1.0 - level),
            "residual, D_diff",
            "0",
            f"{1 / CONTRAST:.2f}",
        ),
        (
            viz.color_weight(1.0 - level),
            "M_s",
            f"{1 - 1 / CONTRAST:.2f}",
            "1",
        ),
    ]
    if has_truth:
        ratio = np.exp(0.5 - level)
        lines.insert(
            1,
            (
                viz.color_ratio(ratio, np.ones_like(ratio)),
                "error",
                "near",
                "far",
            ),
        )
    legend = Image.new("RGB", (280, 20 * len(lines)), _PAPER)
    draw = ImageDraw.Draw(legend)
    font = ImageFont.load_default(12)
    for row, (bar, what, start, end) in enumerate(lines):
        middle = 20 * row + 10
        draw.text((0, middle), what, _INK, font, anchor="lm")
        draw.text((124, middle), start, _SOFT, font, anchor="rm")
        legend.paste(Image.fromarray(bar.repeat(10, axis=0)), (128, middle - 5))
        draw.text((228, middle), end, _SOFT, font, anchor="lm")
    return legend


def _sheet(
    columns: Sequence[Sequence[tuple[np.ndarray | Image.Image, str]]],
) -> np.ndarray:
    """Pictures with captions in a grid, all at the size of the first."""
    height, width = columns[0][0][0].shape[:2]
    cell_width = int(np.clip(width, *_WIDTHS))
    cell_height = max(round(cell_width * height / width), 80)
    step_right, step_down = cell_width + _GAP, cell_height + _LINE + _GAP
    rows = max(map(len, columns))
    sheet = Image.new(
        "RGB",
        (len(columns) * step_right + _GAP, rows * step_down + _GAP),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for column, pictures in enumerate(columns):
        for row, (picture, caption) in enumerate(pictures):
            left, top = _GAP + column * step_right, _GAP + row * step_down
            draw.text((left, top + _LINE - 5), caption, _INK, font, "ls")
            if not isinstance(picture, Image.Image):
                picture = Image.fromarray(picture).resize(
                    (cell_width, cell_height), Image.Resampling.BILINEAR
                )
            sheet.paste(picture, (left, top + _LINE))
    return np.asarray(sheet)

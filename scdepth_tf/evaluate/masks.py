"""Evaluates the method's two masks where the truth about them is known.

M_s = 1 − D_diff should be low on moving objects and occlusions; M_a drops
pixels that the unwarped neighbour explains as well. Exact depth, motion and
instance masks (rendered streets) tell what they find and what they cost.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scdepth_tf.data.scene import Scene
from scdepth_tf.evaluate import tables
from scdepth_tf.evaluate.depth import Predict
from scdepth_tf.evaluate.odometry import PredictMotion, Progress
from scdepth_tf.evaluate.samples import MOVING, contiguous_parts
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.baselines import Baseline
from scdepth_tf.metrics.depth import check_prediction
from scdepth_tf.metrics.masks import Detection, ScoreTally
from scdepth_tf.metrics.odometry import inverse
from scdepth_tf.metrics.reprojection import (
    Reprojection,
    hidden,
    inconsistency,
    reproject,
    resize_nearest,
    scale_intrinsics,
)

TRUTH = "true depth"
CLASSES = ("visible", "moving", "hidden", "unknown")
"""Static and seen by both frames; on a moving object; static, but covered in
the other frame; without true depth (sky)."""
VISIBLE, MOVING_PIXEL, HIDDEN, UNKNOWN = range(len(CLASSES))

_MEAN, _STD = 0.45, 0.225
"""How the loss standardises images."""
_CELL_WIDTH = 7


@dataclasses.dataclass(frozen=True)
class MaskQuality:
    """Both masks with one predictor's depth and motion."""

    name: str

    moving: Detection | None
    """D_diff as a detector of moving objects among visible static pixels."""

    hidden: Detection | None
    """D_diff as a detector of occlusions among visible static pixels."""

    self_mask: Mapping[str, float | None]
    """Mean M_s on each of `CLASSES`."""

    removed: Mapping[str, float | None]
    """Share of each class that M_a removes."""

    removed_share: float
    """Share of all pixels in view that M_a removes."""

    removed_moving: float | None
    """Share of what it removes that lies on moving objects (its precision
    as a detector; the base rate is `moving_share`)."""

    moving_share: float
    """Share of the pixels in view that lie on moving objects."""


@dataclasses.dataclass(frozen=True)
class MaskReport:
    """Quality of the masks, beside those of baselines and of the truth."""

    ours: MaskQuality
    baselines: tuple[MaskQuality, ...]
    pairs: int
    """Number of frame pairs."""

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        rows = (self.ours, *self.baselines)
        lines = tables.paragraph(
            f"Masks of {self.pairs} pairs of neighbouring frames, against "
            "exact depth, motion and instance masks; pixels in view only. "
            "M_s as a detector (D_diff high: found) among visible static "
            "pixels: AUC (0.5 is guessing), average precision, base rate "
            "(what guessing gets), and precision and recall at the best F1. "
            "Baselines and the true depth move as the camera truly did."
        )
        for title, name in (
            ("moving objects", "moving"),
            ("occlusions", "hidden"),
        ):
            lines += [
                "",
                f"M_s finds {title}",
                tables.row(
                    "",
                    ["AUC", "AP", "base", "prec.", "recall", "D_diff"],
                    _CELL_WIDTH,
                ),
                *(
                    tables.row(
                        row.name, _found(getattr(row, name)), _CELL_WIDTH
                    )
                    for row in rows
                ),
            ]
        lines += ["", *self._shares("mean M_s", "self_mask")]
        lines += ["", *self._shares("share that M_a removes", "removed")]
        lines += [
            "",
            *tables.paragraph(
                "M_a removes "
                + "; ".join(
                    f"{100 * row.removed_share:.1f} % of all pixels with "
                    f"{row.name}"
                    + (
                        ""
                        if row.removed_moving is None
                        else f" ({100 * row.removed_moving:.1f} % of these "
                        "on moving objects)"
                    )
                    for row in rows
                )
                + f". Moving objects are {100 * self.ours.moving_share:.1f} % "
                "of all pixels."
            ),
        ]
        return "\n".join([*lines, ""])

    def _shares(self, title: str, name: str) -> list[str]:
        return [
            title,
            tables.row("", CLASSES, _CELL_WIDTH),
            *(
                tables.row(
                    row.name,
                    [getattr(row, name)[one] for one in CLASSES],
                    _CELL_WIDTH,
                )
                for row in (self.ours, *self.baselines)
            ),
        ]

    def to_json(self) -> str:
        """Everything in the report."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Writes `to_json` whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        write_whole(path, self.to_json() + "\n")


def evaluate_masks(
    predict_depth: Predict,
    predict_motion: PredictMotion,
    resize_image: Callable[[np.ndarray], np.ndarray],
    scenes: Iterable[Scene],
    baselines: Mapping[str, Baseline] | None = None,
    name: str = "ours",
    progress: Progress | None = None,
) -> MaskReport:
    """Compares the masks of neighbouring frames with the truth.

    The target is each frame and the source the next one. Memory holds two
    frames.

    Args:
        predict_depth: image to depth `[h, w]` > 0.
        predict_motion: images (target, source) to source_from_target, in the
            unit of the depth.
        resize_image: image `[H, W, 3]` uint8 to `[h, w, 3]` in [0, 1] at the
            size of the predicted depth, as in training.
        scenes: with depth, poses and instance masks; others are left out.
        baselines: predictors of metric depth that see no image.
        name: what to call the predictor.
        progress: called after each pair.

    Raises:
        ValueError: no scene has all that is needed.
    """
    parts = [
        part
        for scene in scenes
        for part in contiguous_parts(scene)
        if _has_truth(part)
    ]
    if not parts:
        raise ValueError(
            "no scene has depth, poses and instance masks (an array instance "
            "beside depth in each .npz) for every frame; expected rendered "
            "streets: only exact masks can tell what M_s finds"
        )
    baselines = baselines or {}
    tallies = {key: _Tally(key) for key in (name, TRUTH, *baselines)}
    pairs = sum(len(part) - 1 for part in parts)
    done = 0
    for part in parts:
        frame = _read(part, 0, predict_depth, resize_image)
        for index in range(1, len(part)):
            following = _read(part, index, predict_depth, resize_image)
            _compare(
                tallies,
                (frame, following),
                predict_motion(frame.image, following.image),
                baselines,
                part,
            )
            frame = following
            done += 1
            if progress:
                progress(done, pairs)
    ours, *others = (tally.quality() for tally in tallies.values())
    return MaskReport(ours=ours, baselines=tuple(others), pairs=pairs)


class _Frame(NamedTuple):
    """A frame at its own size, and at that of the predictor."""

    index: int
    image: np.ndarray
    truth: np.ndarray
    small: np.ndarray
    depth: np.ndarray


def _read(
    part: Scene,
    index: int,
    predict_depth: Predict,
    resize_image: Callable[[np.ndarray], np.ndarray],
) -> _Frame:
    image = part.image(index)
    return _Frame(
        index=index,
        image=image,
        truth=part.depth(index),
        small=resize_image(image),
        depth=check_prediction(predict_depth(image)),
    )


def _compare(
    tallies: Mapping[str, _Tally],
    pair: tuple[_Frame, _Frame],
    predicted_motion: np.ndarray,
    baselines: Mapping[str, Baseline],
    part: Scene,
) -> None:
    """Adds one pair to the tallies, which are of the predictor, the truth
    and the baselines, in this order.
    """
    target, source = pair
    motion = inverse(part.poses[source.index]) @ part.poses[target.index]
    labels = _classes(part, target, source, motion)
    ours, truth, *_ = tallies.values()

    def add(tally, depths, motion, images, labels):
        intrinsics = _intrinsics(part, labels.shape)
        view = reproject(*depths, motion, intrinsics, images[1])
        tally.add(view, *images, labels)

    # The truth at its own size: resampled, it would be wrong at every edge.
    images = [frame.image / 255 for frame in pair]
    add(truth, [frame.truth for frame in pair], motion, images, labels)
    size = target.depth.shape
    images, labels = [frame.small for frame in pair], _at(labels, size)
    depths = [frame.depth for frame in pair]
    add(ours, depths, predicted_motion, images, labels)
    for name, baseline in baselines.items():
        blind = _at(baseline(size, _intrinsics(part, size)), size)
        add(tallies[name], [blind, blind], motion, images, labels)


def auto_mask(
    target: np.ndarray, warped: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """M_a `[H, W]` bool of images `[H, W, 3]` in [0, 1]: as
    `scdepth_tf.losses.auto_mask`, strict, on standardised images.
    """
    target, warped, source = (
        (image - _MEAN) / _STD for image in (target, warped, source)
    )
    after = np.minimum(np.abs(target - warped), 1.0).mean(axis=-1)
    return after < np.abs(target - source).mean(axis=-1)


class _Tally:
    """Counts of one predictor over all pairs."""

    def __init__(self, name: str):
        self._name = name
        self._moving, self._hidden = ScoreTally(), ScoreTally()
        self._count = np.zeros(len(CLASSES))
        self._self_mask = np.zeros(len(CLASSES))
        self._removed = np.zeros(len(CLASSES))

    def add(
        self,
        view: Reprojection,
        target: np.ndarray,
        source: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        """One pair, its images `[H, W, 3]` in [0, 1] and its classes."""
        removed = ~auto_mask(target, view.sampled, source)[view.valid]
        score = inconsistency(view)[view.valid]
        labels = labels[view.valid]
        for tally, label in (
            (self._moving, MOVING_PIXEL),
            (self._hidden, HIDDEN),
        ):
            either = (labels == VISIBLE) | (labels == label)
            tally.add(score[either], labels[either] == label)
        for total, values in (
            (self._count, np.ones(len(labels))),
            (self._self_mask, 1 - score),
            (self._removed, removed),
        ):
            total += np.bincount(labels, values, len(CLASSES))

    def quality(self) -> MaskQuality:
        """The summary."""
        total, removed = self._count.sum(), self._removed.sum()
        return MaskQuality(
            name=self._name,
            moving=self._moving.detection(),
            hidden=self._hidden.detection(),
            self_mask=self._shares(self._self_mask),
            removed=self._shares(self._removed),
            removed_share=float(removed / max(total, 1)),
            removed_moving=float(self._removed[MOVING_PIXEL] / removed)
            if removed
            else None,
            moving_share=float(self._count[MOVING_PIXEL] / max(total, 1)),
        )

    def _shares(self, sums: np.ndarray) -> dict[str, float | None]:
        return {
            name: float(one / count) if count else None
            for name, one, count in zip(CLASSES, sums, self._count, strict=True)
        }


def _classes(
    part: Scene,
    target: _Frame,
    source: _Frame,
    source_from_target: np.ndarray,
) -> np.ndarray:
    """`[H, W]` index into `CLASSES`, from exact depth and motion."""
    # The sky hides nothing: infinitely far, for what is compared with it.
    far = np.where(source.truth > 0, source.truth, 1e6)
    intrinsics = _intrinsics(part, far.shape)
    seen = reproject(target.truth, far, source_from_target, intrinsics)
    classes = np.where(hidden(seen), HIDDEN, VISIBLE)
    classes[target.truth <= 0] = UNKNOWN
    classes[part.instance(target.index) == MOVING] = MOVING_PIXEL
    return classes


def _has_truth(part: Scene) -> bool:
    return (
        part.poses is not None
        and part.depths is not None
        and None not in part.depths
        and part.instance(0) is not None
    )


def _intrinsics(part: Scene, size: tuple[int, int]) -> np.ndarray:
    return scale_intrinsics(part.intrinsics, part.image_size, size)


def _at(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return depth if depth.shape == size else resize_nearest(depth, size)


def _found(detection: Detection | None) -> list[float | None]:
    if detection is None:
        return [None] * 6
    return [
        detection.auc,
        detection.average_precision,
        detection.base_rate,
        detection.best_precision,
        detection.best_recall,
        detection.best_threshold,
    ]

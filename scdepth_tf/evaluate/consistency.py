"""Evaluates whether a video's depth has one scale.

What no peer reports although it is the method's whole claim: the spread and
the drift of the images' scales, what one global scale costs, and how far the
depths of two frames disagree on the same point.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scdepth_tf.data.scene import Scene
from scdepth_tf.evaluate import tables
from scdepth_tf.evaluate.depth import DepthReport, DepthTally, Predict
from scdepth_tf.evaluate.odometry import PredictMotion, Progress
from scdepth_tf.evaluate.samples import (
    MOVING,
    contiguous_parts,
    frame_name,
    read_sample,
)
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.baselines import Baseline
from scdepth_tf.metrics.consistency import (
    ScaleDrift,
    scale_drift,
    scale_spread,
)
from scdepth_tf.metrics.depth import Protocol, check_prediction
from scdepth_tf.metrics.odometry import inverse, steps
from scdepth_tf.metrics.reprojection import (
    inconsistency,
    reproject,
    resize_nearest,
    scale_intrinsics,
)

GAPS = (1, 2, 5, 10)
"""Frames between the two whose depths are compared."""

TRUTH = "true depth"
TRUE_MOTION = "at true motion"
_DENSE = 0.5
"""Share of known pixels from which true depth can be compared with itself."""
_MINIMUM_STEP = 0.01
"""Metres between frames below which motion has no measurable scale."""
_CELL_WIDTH = 6
_NO_TRUTH = ("No frame has ground truth: nothing is known of the scale.",)


@dataclasses.dataclass(frozen=True)
class Consistency:
    """Figures of one predictor; None where the data cannot tell."""

    name: str

    spread: float | None
    """Standard deviation of the images' scales / their median."""

    spread_within: float | None
    """The same inside each sequence, mean over sequences."""

    drift: float | None
    """Mean over sequences of |relative change of the scale over 100
    frames|."""

    jitter: float | None
    """Mean over sequences of the standard deviation of ln(scale) about its
    trend."""

    abs_rel_median: float | None
    """AbsRel, each image at its own median scale."""

    abs_rel_global: float | None
    """AbsRel, all images at one scale."""

    abs_rel_ratio: float | None
    """Global / median: what one scale costs; 1 is free."""

    disagreement: Mapping[int, float | None]
    """Mean D_diff over static pixels, by the gap in frames."""

    motion_scale: float | None = None
    """Median over frames of true / predicted length of the translation."""

    motion_over_depth: float | None = None
    """`motion_scale` / the global scale of depth; 1 where both networks
    share one unit."""


@dataclasses.dataclass(frozen=True)
class SequenceScale:
    """The predictor along one sequence."""

    name: str

    frames: tuple[int, ...]
    """Positions in the sequence of the frames with ground truth."""

    scales: tuple[float, ...]
    """Their median scales."""

    drift: ScaleDrift | None

    disagreement: tuple[float | None, ...]
    """Mean D_diff of each frame with the next on static pixels."""


@dataclasses.dataclass(frozen=True)
class ConsistencyReport:
    """Consistency of one predictor, beside its baselines."""

    ours: Consistency

    others: tuple[Consistency, ...]
    """`at true motion` (the predictor's depth with the camera's true motion),
    the baselines and `true depth` with it; what the data allows."""

    depth: DepthReport | None
    """Depth errors; None where no frame has ground truth."""

    sequences: tuple[SequenceScale, ...]

    gaps: tuple[int, ...]

    masked: bool
    """Whether masks told moving objects apart in every frame."""

    frames: int

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        pixels = (
            "static pixels (exact masks)"
            if self.masked
            else "all pixels in view (no masks of moving objects)"
        )
        rows = (self.ours, *self.others)
        lines = [
            f"Scale consistency of {len(self.sequences)} sequences, "
            f"{self.frames} frames.",
            *(self._scale_lines(rows) if self.depth else _NO_TRUTH),
            "",
            *tables.paragraph(
                f"mean D_diff on {pixels}, between frames this far apart; "
                "with the predicted depth and motion, and below it depth at "
                "its one scale that moves as the camera truly did (motion "
                "predicted too small makes the first row small)"
            ),
            tables.row("", [f"{gap} fr." for gap in self.gaps], _CELL_WIDTH),
            *(
                tables.row(
                    one.name,
                    [_figure(one.disagreement[gap]) for gap in self.gaps],
                    _CELL_WIDTH,
                )
                for one in rows
                if any(v is not None for v in one.disagreement.values())
            ),
        ]
        if self.ours.motion_over_depth is not None:
            lines += [
                "",
                *tables.paragraph(
                    f"Scale of the motion {self.ours.motion_scale:.4g}, "
                    f"{self.ours.motion_over_depth:.3f} of the depth's (1: "
                    "both networks share one unit)."
                ),
            ]
        return "\n".join([*lines, ""])

    def _scale_lines(self, rows: Iterable[Consistency]) -> list[str]:
        columns = {
            "spread": "spread",
            "within": "spread_within",
            "drift": "drift",
            "jitter": "jitter",
            "median": "abs_rel_median",
            "global": "abs_rel_global",
            "ratio": "abs_rel_ratio",
        }
        return [
            *tables.paragraph(
                f"Protocol {self.depth.protocol.describe()}. spread: standard "
                "deviation / median of the images' median scales, over all "
                "images and within a sequence; drift: |change of the scale| "
                "over 100 frames along a sequence, and jitter about that "
                "trend (means over sequences); AbsRel with a median scale for "
                "each image, one scale for all, and their ratio."
            ),
            "",
            tables.row("", columns, _CELL_WIDTH),
            *(
                tables.row(
                    row.name,
                    [getattr(row, field) for field in columns.values()],
                    _CELL_WIDTH,
                )
                for row in rows
                if row.spread is not None
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


def evaluate_consistency(
    predict_depth: Predict,
    predict_motion: PredictMotion,
    scenes: Iterable[Scene],
    protocol: Protocol,
    baselines: Mapping[str, Baseline] | None = None,
    gaps: Sequence[int] = GAPS,
    name: str = "ours",
    progress: Progress | None = None,
) -> ConsistencyReport:
    """Measures consistency on every frame of the scenes, in one pass.

    Memory holds the depth of max(gaps) + 1 frames. Longer gaps use the
    chained motion. Networks that predict no motion disagree on nothing, so
    a second pass repeats the measurement, where poses are known, with the
    true motion and depth at its one scale: the predictor's, the baselines',
    and the true depth where it is dense (what occlusion and interpolation
    leave of D_diff when all is right).

    Args:
        predict_depth: image to depth `[h, w]` > 0, any size and unit.
        predict_motion: pose network; its unit should be the depth's.
        scenes: frames; ground truth, poses and masks where there are any.
        protocol: which ground truth counts.
        baselines: predictors that see only size and intrinsics.
        gaps: frames between the two that are compared.
        name: what to call the predictor.
        progress: called after each frame that is predicted.

    Raises:
        ValueError: no two consecutive frames, a gap below 1, or a
            prediction that is not positive and finite (the line names it).
    """
    parts = [part for scene in scenes for part in contiguous_parts(scene)]
    gaps = tuple(gaps)
    if not parts:
        raise ValueError(
            "no two consecutive frames to compare; give scenes without gaps "
            "in their frame numbers"
        )
    if not gaps or min(gaps) < 1:
        raise ValueError(f"gaps must be 1 frame or more, got {gaps}")
    total = sum(map(len, parts))
    work = total + sum(len(part) for part in parts if part.poses is not None)
    window = _Window(gaps)
    motions = _MotionScale()
    walks: list[_Walk] = []
    done = 0
    with DepthTally(protocol, baselines, name) as tally:
        for part in parts:
            walk = _Walk(part.name, [], [], [])
            world_from_camera = np.eye(4)
            window.start()
            previous = None
            for index in range(len(part)):
                sample = read_sample(part, index)
                depth = _checked(predict_depth(sample.image), sample.name)
                if previous is not None:
                    next_from_current = predict_motion(previous, sample.image)
                    motions.add(next_from_current, part, index)
                    world_from_camera = world_from_camera @ inverse(
                        next_from_current.astype(np.float64)
                    )
                walk.disagreement.append(
                    window.add(
                        depth,
                        world_from_camera,
                        _intrinsics(part, depth.shape),
                        sample.moving,
                    )
                )
                if tally.counts(sample):
                    walk.frames.append(index)
                    walk.scales.append(tally.add(sample, depth).scale)
                previous = sample.image
                done += 1
                if progress:
                    progress(done, work)
            walks.append(walk)
        depth_report = tally.report() if any(w.frames for w in walks) else None
    size = depth.shape
    ours = dataclasses.replace(
        _figures(name, depth_report, walks, window.means()),
        motion_scale=motions.median(),
        motion_over_depth=(
            motions.median() / depth_report.scale_median
            if depth_report and motions.median()
            else None
        ),
    )
    return ConsistencyReport(
        ours=ours,
        others=_at_true_motion(
            depth_report,
            predict_depth,
            baselines or {},
            parts,
            walks,
            gaps,
            size,
            lambda more, _: progress and progress(total + more, work),
        ),
        depth=depth_report,
        sequences=tuple(
            SequenceScale(
                walk.name,
                tuple(walk.frames),
                tuple(walk.scales),
                scale_drift(walk.frames, walk.scales),
                # A frame's figure is known when the next one comes.
                (*walk.disagreement[1:], None),
            )
            for walk in walks
        ),
        gaps=gaps,
        masked=window.masked,
        frames=total,
    )


class _Walk(NamedTuple):
    """What is kept of one sequence."""

    name: str
    frames: list[int]
    scales: list[float]
    disagreement: list[float | None]


class _Frame(NamedTuple):
    depth: np.ndarray
    world_from_camera: np.ndarray
    moving: np.ndarray | None
    """At the size of the depth."""


class _Window:
    """D_diff between each frame and those before it."""

    def __init__(self, gaps: tuple[int, ...]):
        self._gaps = gaps
        self._frames: collections.deque[_Frame] = collections.deque(
            maxlen=max(gaps) + 1
        )
        self._sums = dict.fromkeys(gaps, 0.0)
        self._counts = dict.fromkeys(gaps, 0)
        self.masked = True

    def start(self) -> None:
        """A new sequence."""
        self._frames.clear()

    def add(
        self,
        depth: np.ndarray,
        world_from_camera: np.ndarray,
        intrinsics: np.ndarray,
        moving: np.ndarray | None,
    ) -> float | None:
        """Takes the next frame; returns the mean D_diff of the frame before
        with it, None where there is none.
        """
        if moving is None:
            self.masked = False
        else:
            moving = resize_nearest(moving, depth.shape)
        self._frames.append(_Frame(depth, world_from_camera, moving))
        with_next = None
        for gap in self._gaps:
            if gap < len(self._frames):
                values = _disagreement(
                    self._frames[-1 - gap], self._frames[-1], intrinsics
                )
                self._sums[gap] += float(values.sum())
                self._counts[gap] += values.size
                if gap == 1 and values.size:
                    with_next = float(values.mean())
        return with_next

    def means(self) -> dict[int, float | None]:
        """Mean D_diff over all static pixels, by gap."""
        return {
            gap: self._sums[gap] / self._counts[gap]
            if self._counts[gap]
            else None
            for gap in self._gaps
        }


class _MotionScale:
    """True / predicted length of each translation."""

    def __init__(self) -> None:
        self._ratios: list[float] = []

    def add(
        self, next_from_current: np.ndarray, part: Scene, index: int
    ) -> None:
        """The predicted motion to frame `index`, where the true one is
        known.
        """
        if not np.isfinite(next_from_current).all():
            raise ValueError(
                f"{frame_name(part, index)}: the predicted motion is not "
                "finite; look at the network's output before evaluating it"
            )
        predicted = np.linalg.norm(next_from_current[:3, 3])
        if part.poses is None or not predicted > 0:
            return
        (step,) = steps(part.poses[index - 1 : index + 1])
        true = np.linalg.norm(step[:3, 3])
        if true > _MINIMUM_STEP:
            self._ratios.append(float(true / predicted))

    def median(self) -> float | None:
        """None without any."""
        return float(np.median(self._ratios)) if self._ratios else None


def _disagreement(
    target: _Frame, source: _Frame, intrinsics: np.ndarray
) -> np.ndarray:
    """D_diff of the target's static pixels that see no moving object."""
    moving = None if source.moving is None else source.moving[..., None]
    seen = reproject(
        target.depth,
        source.depth,
        inverse(source.world_from_camera) @ target.world_from_camera,
        intrinsics,
        moving,
    )
    counts = seen.valid
    if moving is not None:
        counts = counts & (seen.sampled[..., 0] == 0)
    if target.moving is not None:
        counts = counts & ~target.moving
    return inconsistency(seen)[counts]


def _figures(
    name: str,
    depth: DepthReport | None,
    walks: Sequence[_Walk],
    disagreement: Mapping[int, float | None],
) -> Consistency:
    if depth is None:
        return Consistency(
            name, None, None, None, None, None, None, None, disagreement
        )
    scales = [image.median_scaled.scale for image in depth.per_image]
    drifts, start = [], 0
    for walk in walks:
        stop = start + len(walk.frames)
        drift = scale_drift(walk.frames, scales[start:stop])
        if drift is not None:
            drifts.append(drift)
        start = stop

    def mean(values: list[float]) -> float | None:
        return float(np.mean(values)) if values else None

    median, overall = depth.median_scaled.abs_rel, depth.global_scaled.abs_rel
    return Consistency(
        name=name,
        spread=scale_spread(scales),
        spread_within=mean([one.spread for one in drifts]),
        drift=mean([abs(one.per_100_frames) for one in drifts]),
        jitter=mean([one.jitter for one in drifts]),
        abs_rel_median=median,
        abs_rel_global=overall,
        abs_rel_ratio=overall / median if median > 1e-6 else None,
        disagreement=disagreement,
    )


def _at_true_motion(
    depth: DepthReport | None,
    predict_depth: Predict,
    baselines: Mapping[str, Baseline],
    parts: Sequence[Scene],
    walks: Sequence[_Walk],
    gaps: tuple[int, ...],
    size: tuple[int, int],
    progress: Progress,
) -> tuple[Consistency, ...]:
    """The predictor's depth, at one scale and moved as the camera truly did;
    blind depth and true depth likewise.
    """
    posed = [part for part in parts if part.poses is not None]
    rows = []
    if depth and posed:
        window = _Window(gaps)
        done = 0
        for part in posed:
            window.start()
            for index in range(len(part)):
                predicted = predict_depth(part.image(index))
                _add(window, part, index, depth.scale_median * predicted)
                done += 1
                progress(done, sum(map(len, posed)))
        rows.append(_figures(TRUE_MOTION, None, walks, window.means()))
    for name, report in (depth.baselines if depth else {}).items():
        window = _Window(gaps)
        for part in posed:
            window.start()
            blind = baselines[name](size, _intrinsics(part, size))
            for index in range(len(part)):
                _add(window, part, index, report.scale_median * blind)
        rows.append(_figures(name, report, walks, window.means()))
    dense = [part for part in posed if _is_dense(part)]
    if dense:
        window = _Window(gaps)
        for part in dense:
            window.start()
            for index in range(len(part)):
                _add(window, part, index, part.depth(index))
        rows.append(_figures(TRUTH, None, walks, window.means()))
    return tuple(rows)


def _add(window: _Window, part: Scene, index: int, depth: np.ndarray) -> None:
    """Takes a frame's depth in metres at its true pose."""
    instance = part.instance(index)
    window.add(
        depth,
        part.poses[index],
        _intrinsics(part, depth.shape),
        None if instance is None else instance == MOVING,
    )


def _is_dense(part: Scene) -> bool:
    if part.depths is None or None in part.depths:
        return False
    return np.mean(part.depth(0) > 0) > _DENSE


def _intrinsics(part: Scene, size: tuple[int, int]) -> np.ndarray:
    return scale_intrinsics(part.intrinsics, part.image_size, size)


def _checked(depth: np.ndarray, name: str) -> np.ndarray:
    try:
        return check_prediction(depth)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _figure(value: float | None) -> str | None:
    """D_diff is small: four digits after the point."""
    return None if value is None else f"{value:.4f}"

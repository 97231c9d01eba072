"""Evaluates a depth predictor on many images, beside trivial baselines.

Free of TensorFlow: a predictor is any function from an image to depth, be it
a Keras model, a TFLite file or a folder of predictions.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import itertools
import json
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from scdepth_tf.data.scene import Scene
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.baselines import (
    Baseline,
    constant_depth,
    fixed_depth,
    ground_plane,
    mean_depth_map,
)
from scdepth_tf.metrics.depth import (
    DepthErrors,
    Protocol,
    errors_at_scale,
    mean_errors,
    median_scale,
    valid_depths,
)

_TABLE_COLUMNS = {
    "AbsRel": "abs_rel",
    "SqRel": "sq_rel",
    "RMSE": "rmse",
    "RMSlog": "rmse_log",
    "d1": "delta1",
    "d2": "delta2",
    "d3": "delta3",
}


class Sample(NamedTuple):
    """One image with its ground truth."""

    name: str

    image: np.ndarray
    """`[H, W, 3]` uint8 RGB."""

    ground_truth: np.ndarray
    """`[h, w]` metres, dense or sparse, of any size; 0 means none."""

    intrinsics: np.ndarray | None = None
    """`[3, 3]` in pixels of the image; some baselines need it."""


@dataclasses.dataclass(frozen=True)
class ImageErrors:
    """Errors of one image."""

    name: str

    median_scaled: DepthErrors
    """At the image's own median scale."""

    global_scaled: DepthErrors
    """At the one scale of all images."""


@dataclasses.dataclass(frozen=True)
class DepthReport:
    """Errors of one predictor over all images, and of its baselines."""

    name: str

    protocol: Protocol

    count: int
    """Number of images."""

    median_scaled: DepthErrors
    """Mean over images, each at its own median scale: the published habit,
    blind to a scale that drifts from image to image."""

    global_scaled: DepthErrors
    """Mean over images, all at `scale_median`: what a scale-consistent
    predictor is good at."""

    scale_median: float
    """The one global scale: the median of the images' median scales."""

    scale_spread: float
    """Standard deviation of the images' median scales / `scale_median`; 0
    where the scale is perfectly consistent."""

    per_image: tuple[ImageErrors, ...]

    baselines: Mapping[str, DepthReport]
    """A report of each baseline, by name; empty in a baseline's own."""

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        reports = [self, *self.baselines.values()]
        assumed = (
            f"Depth errors, mean of the errors of {self.count} images. "
            f"Protocol {self.protocol.describe()}. d1, d2, d3: share of pixels "
            "within a factor of 1.25, 1.25^2, 1.25^3."
        )
        return "\n".join(
            [
                *textwrap.wrap(assumed, 80),
                "",
                "each image at its own median scale",
                _row("", _TABLE_COLUMNS, "median", "std/med"),
                *(
                    _row(
                        report.name,
                        _cells(report.median_scaled),
                        f"{report.scale_median:.4g}",
                        f"{report.scale_spread:.3f}",
                    )
                    for report in reports
                ),
                "",
                "all images at one scale, the median of theirs",
                _row("", _TABLE_COLUMNS, "scale"),
                *(
                    _row(
                        report.name,
                        _cells(report.global_scaled),
                        f"{report.scale_median:.4g}",
                    )
                    for report in reports
                ),
                *self._verdict(),
                "",
            ]
        )

    def best_baseline(self) -> DepthReport | None:
        """The baseline with the smallest median-scaled AbsRel."""
        return min(
            self.baselines.values(),
            key=lambda report: report.median_scaled.abs_rel,
            default=None,
        )

    def _verdict(self) -> list[str]:
        best = self.best_baseline()
        if best is None:
            return []
        ratio = self.median_scaled.abs_rel / best.median_scaled.abs_rel
        return [
            "",
            f"Median-scaled AbsRel is {ratio:.2f} of the best baseline's "
            f"({best.name}).",
        ]

    def to_json(self) -> str:
        """Everything in the report, the errors of each image included."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Writes `to_json` whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        write_whole(path, self.to_json() + "\n")

    def write_csv(self, path: str | Path) -> None:
        """Writes one row per predictor, image and scaling, whole or not at
        all.

        Raises:
            ValueError: The file cannot be written.
        """
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        metrics = [field.name for field in dataclasses.fields(DepthErrors)]
        rows.writerow(["predictor", "image", "scaling", *metrics])
        for report in (self, *self.baselines.values()):
            for image in report.per_image:
                for scaling, errors in (
                    ("median", image.median_scaled),
                    ("global", image.global_scaled),
                ):
                    rows.writerow(
                        [
                            report.name,
                            image.name,
                            scaling,
                            *dataclasses.astuple(errors),
                        ]
                    )
        write_whole(path, text.getvalue())


def depth_samples(scenes: Iterable[Scene]) -> list[Callable[[], Sample]]:
    """Every frame that has ground truth, each read when it is called."""
    return [
        functools.partial(_read_sample, scene, index)
        for scene in scenes
        for index, path in enumerate(scene.depths or ())
        if path is not None
    ]


def training_baselines(
    scenes: Iterable[Scene],
    image_size: tuple[int, int],
    protocol: Protocol,
    every: int = 1,
) -> dict[str, Baseline]:
    """The baselines of our tables: constant, mean map, ground plane.

    Args:
        scenes: training scenes; the mean map is that of their ground truth,
            and is left out where they have none.
        image_size: height and width of the mean map.
        protocol: which ground truth counts.
        every: read only every so-manieth ground truth map.
    """
    chosen = {
        "constant depth": constant_depth(),
        "ground plane": ground_plane(maximum_depth=protocol.maximum_depth),
    }
    depths = (
        scene.depth(index)
        for scene in scenes
        for index in range(0, len(scene.depths or ()), every)
        if scene.depths[index] is not None
    )
    first = next(depths, None)
    if first is not None:
        chosen["mean depth map"] = fixed_depth(
            mean_depth_map(
                itertools.chain([first], depths), image_size, protocol
            )
        )
    return chosen


def _read_sample(scene: Scene, index: int) -> Sample:
    return Sample(
        name=f"{scene.name}/{scene.frames[index].stem}",
        image=scene.image(index),
        ground_truth=scene.depth(index),
        intrinsics=scene.intrinsics,
    )


def evaluate_depth(
    predict: Callable[[np.ndarray], np.ndarray],
    samples: Iterable[Sample | tuple],
    protocol: Protocol,
    baselines: Mapping[str, Baseline] | None = None,
    name: str = "ours",
) -> DepthReport:
    """Compares predicted with true depth, image by image.

    The global scale is known only after the last image. Each image is read
    and predicted once all the same, and memory holds one image: the depths
    that count wait in a temporary file (4 bytes for each valid pixel, and as
    many for each prediction of it: about 90 MB for the 697 lidar images of
    the Eigen test, 1.2 GB for dense NYUv2), from which the errors at the
    global scale are computed.

    Args:
        predict: Maps an image `[H, W, 3]` uint8 to depth `[h, w]` > 0, of any
            size and in any unit.
        samples: `Sample`s or plain tuples (name, image, ground truth[,
            intrinsics]); read once, so a generator will do, and one wrapped
            in a progress bar.
        protocol: What counts; see `scdepth_tf.metrics`.
        baselines: Predictors that see only the image's size and intrinsics,
            by the name to print; see `scdepth_tf.metrics.baselines`.
        name: What to call the predictor in tables.

    Raises:
        ValueError: There are no samples, two predictors share a name, or an
            image cannot be evaluated (the line names it).
    """
    baselines = baselines or {}
    if name in baselines:
        raise ValueError(
            f"the predictor and a baseline are both called {name!r}; rename one"
        )
    predictors = {name: _seeing(predict)} | {
        baseline_name: _blind(baseline)
        for baseline_name, baseline in baselines.items()
    }
    with tempfile.TemporaryFile() as store:
        names, median = _median_pass(predictors, samples, protocol, store)
        store.seek(0)
        overall = _global_pass(median, protocol, store)
    reports = {
        key: _report(key, protocol, names, median[key], overall[key])
        for key in predictors
    }
    ours = reports.pop(name)
    return dataclasses.replace(ours, baselines=reports)


_Predictor = Callable[[Sample], np.ndarray]
_Errors = dict[str, list[DepthErrors]]


def _seeing(predict: Callable[[np.ndarray], np.ndarray]) -> _Predictor:
    return lambda sample: predict(sample.image)


def _blind(baseline: Baseline) -> _Predictor:
    return lambda sample: baseline(sample.image.shape[:2], sample.intrinsics)


def _median_pass(
    predictors: Mapping[str, _Predictor],
    samples: Iterable[Sample | tuple],
    protocol: Protocol,
    store: BinaryIO,
) -> tuple[list[str], _Errors]:
    """Errors at each image's median scale; the depths go to `store`, one
    array [1 + predictors, N] an image, true depth first.
    """
    names: list[str] = []
    errors: _Errors = {key: [] for key in predictors}
    for item in samples:
        sample = Sample(*item)
        depths = []
        for key, predictor in predictors.items():
            try:
                truth, predicted = valid_depths(
                    sample.ground_truth, predictor(sample), protocol
                )
            except ValueError as error:
                raise ValueError(f"{key}, {sample.name}: {error}") from error
            depths.append(predicted)
            errors[key].append(
                errors_at_scale(
                    truth, predicted, protocol, median_scale(truth, predicted)
                )
            )
        np.save(store, np.stack([truth, *depths]))
        names.append(sample.name)
    if not names:
        raise ValueError(
            "no samples to evaluate: expected at least one image with ground "
            "truth; check the data's depth maps"
        )
    return names, errors


def _global_pass(
    median: _Errors, protocol: Protocol, store: BinaryIO
) -> _Errors:
    """Errors at the median of the images' scales, from the stored depths."""
    scales = {key: _scale_median(errors) for key, errors in median.items()}
    images = len(next(iter(median.values())))
    errors: _Errors = {key: [] for key in median}
    for _ in range(images):
        truth, *depths = np.load(store)
        for (key, scale), predicted in zip(scales.items(), depths, strict=True):
            errors[key].append(
                errors_at_scale(truth, predicted, protocol, scale)
            )
    return errors


def _report(
    name: str,
    protocol: Protocol,
    images: Sequence[str],
    median: Sequence[DepthErrors],
    overall: Sequence[DepthErrors],
) -> DepthReport:
    scale_median = _scale_median(median)
    spread = np.std([errors.scale for errors in median]) / scale_median
    return DepthReport(
        name=name,
        protocol=protocol,
        count=len(images),
        median_scaled=mean_errors(median),
        global_scaled=mean_errors(overall),
        scale_median=scale_median,
        scale_spread=float(spread),
        per_image=tuple(map(ImageErrors, images, median, overall)),
        baselines={},
    )


def _scale_median(images: Sequence[DepthErrors]) -> float:
    return float(np.median([errors.scale for errors in images]))


def _cells(errors: DepthErrors) -> list[str]:
    values = [getattr(errors, metric) for metric in _TABLE_COLUMNS.values()]
    return [
        f"{value:.3f}" if value < 100 else f"{value:.4g}" for value in values
    ]


def _row(name: str, cells: Iterable[str], *scale: str) -> str:
    errors = "".join(f" {cell:>6}" for cell in cells)
    return f"{name:<15.15}{errors}{''.join(f' {cell:>7}' for cell in scale)}"

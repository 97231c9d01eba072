"""Evaluates a depth predictor on many images, beside trivial baselines.

Free of TensorFlow: a predictor is any function from an image to depth, be it
a Keras model, a TFLite file or a folder of predictions.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scdepth_tf.evaluate import tables
from scdepth_tf.evaluate.samples import Sample
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.baselines import Baseline
from scdepth_tf.metrics.depth import (
    DepthErrors,
    Protocol,
    errors_at_scale,
    least_squares_scale,
    mean_errors,
    median_scale,
    valid_depths,
)

_TABLE_COLUMNS = {
    "AbsR": "abs_rel",
    "SqR": "sq_rel",
    "RMSE": "rmse",
    "RMSl": "rmse_log",
    "log10": "log10",
    "d1": "delta1",
    "d2": "delta2",
    "d3": "delta3",
    "SILog": "silog",
}
_LEGEND = (
    "AbsR, SqR: relative errors; RMSE in metres; RMSl: of ln depth; d1, d2, "
    "d3: share of pixels within a factor of 1.25, 1.25^2, 1.25^3."
)

Predict = Callable[[np.ndarray], np.ndarray]
"""An image `[H, W, 3]` uint8 to depth `[h, w]` > 0, any size and unit."""

Watch = Callable[[Sample, np.ndarray, DepthErrors], None]
"""What wants to see each image, its prediction `[h, w]` and its errors at the
median scale."""


@dataclasses.dataclass(frozen=True)
class ImageErrors:
    """Errors of one image."""

    name: str

    median_scaled: DepthErrors
    """At the image's own median scale."""

    least_squares_scaled: DepthErrors
    """At the image's own scale with the least squared error."""

    global_scaled: DepthErrors
    """At the one scale of all images."""

    moving: DepthErrors | None = None
    """On the pixels of moving objects alone, at the median scale of the
    *whole* image (as sc_depth_pl does); None where there are none or no mask
    tells."""

    static: DepthErrors | None = None
    """The same on all other pixels."""


@dataclasses.dataclass(frozen=True)
class DepthReport:
    """Errors of one predictor over all images, and of its baselines."""

    name: str

    protocol: Protocol

    count: int
    """Number of images that count."""

    median_scaled: DepthErrors
    """Mean over images, each at its own median scale: the published habit,
    blind to a scale that drifts from image to image."""

    least_squares_scaled: DepthErrors
    """Mean over images, each at its own least-squares scale."""

    global_scaled: DepthErrors
    """Mean over images, all at `scale_median`: what a scale-consistent
    predictor is good at."""

    scale_median: float
    """The one global scale: the median of the images' median scales."""

    scale_spread: float
    """Standard deviation of the images' median scales / `scale_median`; 0
    where the scale is perfectly consistent."""

    moving: DepthErrors | None
    """Mean over the images with moving objects, on their pixels alone; each
    image at the median scale of all its pixels. None without any."""

    moving_count: int
    """Number of those images."""

    static: DepthErrors | None
    """The same on the other pixels, over all images with a mask."""

    per_image: tuple[ImageErrors, ...]

    without_truth: tuple[str, ...] = ()
    """Images that no ground truth counts in; they are in no mean."""

    metric_scaled: DepthErrors | None = None
    """Mean over images, all at the scale that `scdepth calibrate` found
    without this ground truth: errors of depth in metres. None where it has
    not; a baseline has none."""

    baselines: Mapping[str, DepthReport] = dataclasses.field(
        default_factory=dict
    )
    """A report of each baseline, by name; empty in a baseline's own."""

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        reports = [self, *self.baselines.values()]
        assumed = (
            f"Depth errors, mean of the errors of {self.count} images. "
            f"Protocol {self.protocol.describe()}. {_LEGEND}"
        )
        lines = tables.paragraph(assumed)
        if self.without_truth:
            lines += tables.paragraph(
                f"{len(self.without_truth)} more images have no ground truth "
                "that counts and are left out: "
                f"{tables.listed(self.without_truth)}."
            )
        lines += [
            "",
            "each image at its own median scale",
            tables.row("", [*_TABLE_COLUMNS, "med", "s/med"]),
            *(
                tables.row(
                    report.name,
                    [
                        *_cells(report.median_scaled),
                        report.scale_median,
                        report.scale_spread,
                    ],
                )
                for report in reports
            ),
            "(med: median of the images' scales; s/med: their standard "
            "deviation / med)",
        ]
        lines += _block(
            "all images at one scale, the median of theirs",
            {report.name: report.global_scaled for report in reports},
        )
        if self.metric_scaled:
            lines += _block(
                "in metres, as calibrated: all images at the run's own scale",
                {self.name: self.metric_scaled},
            )
        lines += _block(
            "each image at its own least-squares scale",
            {report.name: report.least_squares_scaled for report in reports},
        )
        if self.moving:
            lines += _block(
                f"pixels on moving objects ({self.moving_count} images), each "
                "image at its median scale",
                {report.name: report.moving for report in reports},
            )
        if self.static:
            lines += _block(
                "all other pixels, each image at its median scale",
                {report.name: report.static for report in reports},
            )
        return "\n".join([*lines, *self._verdict(), ""])

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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DepthReport:
        """The report that `to_json` wrote.

        Raises:
            ValueError: it is not one.
        """
        try:
            return cls(
                **{
                    **content,
                    "protocol": _protocol_from(content["protocol"]),
                    **_errors_from(content),
                    "per_image": tuple(
                        ImageErrors(**{**image, **_errors_from(image)})
                        for image in content["per_image"]
                    ),
                    "without_truth": tuple(content["without_truth"]),
                    "baselines": {
                        name: cls.from_dict(report)
                        for name, report in content["baselines"].items()
                    },
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                "expected the JSON of `scdepth evaluate depth`, but it has "
                f"other fields ({error}); evaluate again"
            ) from error

    def write_json(self, path: str | Path) -> None:
        """Writes `to_json` whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        write_whole(path, self.to_json() + "\n")

    def write_csv(self, path: str | Path) -> None:
        """Writes one row per predictor, image, scaling and kind of pixels,
        whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        metrics = [field.name for field in dataclasses.fields(DepthErrors)]
        rows.writerow(["predictor", "image", "scaling", "pixels", *metrics])
        for report in (self, *self.baselines.values()):
            for image in report.per_image:
                for scaling, pixels, errors in (
                    ("median", "all", image.median_scaled),
                    ("global", "all", image.global_scaled),
                    ("least_squares", "all", image.least_squares_scaled),
                    ("median", "moving", image.moving),
                    ("median", "static", image.static),
                ):
                    if errors is not None:
                        rows.writerow(
                            [
                                report.name,
                                image.name,
                                scaling,
                                pixels,
                                *dataclasses.astuple(errors),
                            ]
                        )
        write_whole(path, text.getvalue())


def evaluate_depth(
    predict: Predict,
    samples: Iterable[Sample | tuple],
    protocol: Protocol,
    baselines: Mapping[str, Baseline] | None = None,
    name: str = "ours",
    watch: Watch | None = None,
    metres_per_unit: float | None = None,
) -> DepthReport:
    """Compares predicted with true depth, image by image.

    Each image is read and predicted once, and memory holds one image; see
    `DepthTally`. An image in which no ground truth counts is left out of
    every mean, and named in the report.

    Args:
        predict: Maps an image `[H, W, 3]` uint8 to depth `[h, w]` > 0, of any
            size and in any unit.
        samples: `Sample`s or plain tuples (name, image, ground truth[,
            intrinsics[, moving]]); read once, so a generator will do, and one
            wrapped in a progress bar.
        protocol: What counts; see `scdepth_tf.metrics`.
        baselines: Predictors that see only the image's size and intrinsics,
            by the name to print; see `scdepth_tf.metrics.baselines`.
        name: What to call the predictor in tables.
        watch: Sees each image that counts, as it is evaluated.
        metres_per_unit: The predictor's scale, where it is known; see
            `runs.read_scale`.

    Raises:
        ValueError: There are no samples or none with ground truth, two
            predictors share a name, or an image cannot be evaluated (the
            line names it).
    """
    with DepthTally(protocol, baselines, name, metres_per_unit) as tally:
        for item in samples:
            sample = Sample(*item)
            if not tally.counts(sample):
                continue
            prediction = predict(sample.image)
            errors = tally.add(sample, prediction)
            if watch is not None:
                watch(sample, prediction, errors)
        return tally.report()


class DepthTally:
    """Errors of images as they come, and of all of them in the end.

    The global scale is known only after the last image. Memory holds one
    image all the same: the depths that count wait in a temporary file (4
    bytes for each valid pixel, and as many for each prediction of it: about
    90 MB for the 697 lidar images of the Eigen test with three baselines,
    1.2 GB for dense NYUv2), from which the errors at the global scale are
    computed. A context manager; leaving it removes the file.

    Args:
        protocol: What counts.
        baselines: As in `evaluate_depth`.
        name: What to call the predictor.
        metres_per_unit: The predictor's scale, where it is known.

    Raises:
        ValueError: The predictor and a baseline share a name.
    """

    def __init__(
        self,
        protocol: Protocol,
        baselines: Mapping[str, Baseline] | None = None,
        name: str = "ours",
        metres_per_unit: float | None = None,
    ):
        self._protocol = protocol
        self._metres_per_unit = metres_per_unit
        self._metric: list[DepthErrors] = []
        self._baselines = dict(baselines or {})
        self._name = name
        if name in self._baselines:
            raise ValueError(
                f"the predictor and a baseline are both called {name!r}; "
                "rename one"
            )
        self._images: dict[str, list[ImageErrors]] = {
            key: [] for key in (name, *self._baselines)
        }
        self._without_truth: list[str] = []
        self._store = tempfile.TemporaryFile()

    def __enter__(self) -> DepthTally:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()

    def counts(self, sample: Sample) -> bool:
        """Whether any ground truth of the image counts; it is noted where
        none does.

        Raises:
            ValueError: The ground truth is no depth map.
        """
        truth = sample.ground_truth
        if truth is not None and np.ndim(truth) == 2:
            truth = np.asarray(truth)
            if not self._protocol.mask(truth).any():
                truth = None
        if truth is None:
            self._without_truth.append(sample.name)
        return truth is not None

    def add(self, sample: Sample, prediction: np.ndarray) -> DepthErrors:
        """Takes one image that `counts`.

        Args:
            sample: With ground truth.
            prediction: `[h, w]` depth > 0 of the predictor.

        Returns:
            The predictor's errors at the image's median scale.

        Raises:
            ValueError: The image cannot be evaluated; the line names it.
        """
        size = sample.image.shape[:2]
        predictions = {self._name: lambda: prediction} | {
            key: lambda baseline=baseline: baseline(size, sample.intrinsics)
            for key, baseline in self._baselines.items()
        }
        depths = []
        for key, depth in predictions.items():
            try:
                truth, predicted = valid_depths(
                    sample.ground_truth, depth(), self._protocol
                )
                moving = self._moving(sample)
            except ValueError as error:
                raise ValueError(f"{key}, {sample.name}: {error}") from error
            depths.append(predicted)
            self._images[key].append(
                self._errors(sample.name, truth, predicted, moving)
            )
        np.save(self._store, np.stack([truth, *depths]))
        return self._images[self._name][-1].median_scaled

    def report(self) -> DepthReport:
        """The report over all images taken.

        Raises:
            ValueError: There are none.
        """
        if not self._images[self._name]:
            reason = (
                f"the ground truth of all {len(self._without_truth)} images "
                f"is empty under protocol {self._protocol.name!r}"
                if self._without_truth
                else "there are no samples to evaluate"
            )
            raise ValueError(
                f"{reason}; expected at least one image with ground truth "
                "(metres, inside the protocol's range and crop); check the "
                "data's depth maps"
            )
        self._rescale()
        reports = {
            key: self._report(key, tuple(images))
            for key, images in self._images.items()
        }
        ours = reports.pop(self._name)
        metric = mean_errors(self._metric) if self._metric else None
        return dataclasses.replace(
            ours, metric_scaled=metric, baselines=reports
        )

    def _moving(self, sample: Sample) -> np.ndarray | None:
        """Which of the pixels that count move, `[N]` bool."""
        if sample.moving is None:
            return None
        shape = np.shape(sample.ground_truth)
        if sample.moving.shape != shape:
            raise ValueError(
                f"the mask of moving objects has shape "
                f"{list(sample.moving.shape)} and the ground truth "
                f"{list(shape)}; give both at one size"
            )
        return sample.moving[self._protocol.mask(sample.ground_truth)]

    def _errors(
        self,
        name: str,
        truth: np.ndarray,
        predicted: np.ndarray,
        moving: np.ndarray | None,
    ) -> ImageErrors:
        scale = median_scale(truth, predicted)

        def at(scale: float, chosen: np.ndarray | slice = slice(None)):
            if isinstance(chosen, np.ndarray) and not chosen.any():
                return None
            return errors_at_scale(
                truth[chosen], predicted[chosen], self._protocol, scale
            )

        median = at(scale)
        return ImageErrors(
            name=name,
            median_scaled=median,
            least_squares_scaled=at(least_squares_scale(truth, predicted)),
            global_scaled=median,  # until the global scale is known
            moving=None if moving is None else at(scale, moving),
            static=None if moving is None else at(scale, ~moving),
        )

    def _rescale(self) -> None:
        """Errors at the median of the images' scales, and at the known one,
        from the stored depths.
        """
        scales = {
            key: _scale_median(images) for key, images in self._images.items()
        }
        self._store.seek(0)
        for index in range(len(self._images[self._name])):
            truth, *depths = np.load(self._store)
            if self._metres_per_unit:
                self._metric.append(
                    errors_at_scale(
                        truth, depths[0], self._protocol, self._metres_per_unit
                    )
                )
            for key, predicted in zip(scales, depths, strict=True):
                errors = errors_at_scale(
                    truth, predicted, self._protocol, scales[key]
                )
                self._images[key][index] = dataclasses.replace(
                    self._images[key][index], global_scaled=errors
                )

    def _report(
        self, name: str, images: tuple[ImageErrors, ...]
    ) -> DepthReport:
        scale_median = _scale_median(images)
        scales = [image.median_scaled.scale for image in images]
        moving = [image.moving for image in images if image.moving]
        static = [image.static for image in images if image.static]
        return DepthReport(
            name=name,
            protocol=self._protocol,
            count=len(images),
            median_scaled=_mean(images, "median_scaled"),
            least_squares_scaled=_mean(images, "least_squares_scaled"),
            global_scaled=_mean(images, "global_scaled"),
            scale_median=scale_median,
            scale_spread=float(np.std(scales) / scale_median),
            moving=mean_errors(moving) if moving else None,
            moving_count=len(moving),
            static=mean_errors(static) if static else None,
            per_image=images,
            without_truth=tuple(self._without_truth),
        )


def _mean(images: Sequence[ImageErrors], scaling: str) -> DepthErrors:
    return mean_errors([getattr(image, scaling) for image in images])


def _scale_median(images: Sequence[ImageErrors]) -> float:
    return float(np.median([image.median_scaled.scale for image in images]))


def _protocol_from(content: Mapping[str, Any]) -> Protocol:
    crop = content["crop"]
    return Protocol(**{**content, "crop": tuple(crop) if crop else None})


def _errors_from(content: Mapping[str, Any]) -> dict[str, DepthErrors | None]:
    """The entries of a report's or an image's JSON that are errors."""
    names = (
        "median_scaled",
        "least_squares_scaled",
        "global_scaled",
        "moving",
        "static",
        "metric_scaled",
    )
    return {
        name: DepthErrors(**content[name]) if content[name] else None
        for name in names
        if name in content
    }


def _block(title: str, errors: Mapping[str, DepthErrors | None]) -> list[str]:
    return [
        "",
        title,
        tables.row("", [*_TABLE_COLUMNS, "scale"]),
        *(
            tables.row(name, [*_cells(one), one.scale])
            for name, one in errors.items()
            if one is not None
        ),
    ]


def _cells(errors: DepthErrors) -> list[float]:
    return [getattr(errors, metric) for metric in _TABLE_COLUMNS.values()]

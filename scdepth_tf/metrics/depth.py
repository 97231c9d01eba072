"""Depth errors against ground truth, under a named protocol.

A number such as AbsRel means little without its protocol: which ground truth
pixels count, how the prediction reaches their size, and what scale it got.
`Protocol` holds all of that except the scale, which is an argument, because
a scale-consistent method must be read at both: the customary median scale of
each image hides exactly what a single global scale shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which pixels count and how a prediction meets them."""

    name: str

    minimum_depth: float
    """Metres; ground truth at or below it does not count."""

    maximum_depth: float
    """Metres (the cap); ground truth at or above it does not count."""

    crop: tuple[float, float, float, float] | None
    """Rows and columns that count, (top, bottom, left, right) as fractions of
    the ground truth's height and width; None keeps every pixel."""

    resize: Literal["disparity", "depth"]
    """What is interpolated when the prediction is resized to the ground
    truth: 1/depth or depth."""

    source: str
    """Where the numbers come from."""

    maximum_truth: float | None = None
    """Metres; where set, ground truth beyond the cap counts up to here (the
    prediction is clipped to the cap all the same)."""

    def crop_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Rows and columns (top, bottom, left, right) that count, ends
        exclusive. Fractions are truncated to pixels, as published.
        """
        if self.crop is None:
            return 0, height, 0, width
        sizes = (height, height, width, width)
        top, bottom, left, right = (
            int(fraction * size)
            for fraction, size in zip(self.crop, sizes, strict=True)
        )
        return top, bottom, left, right

    def mask(self, ground_truth: np.ndarray) -> np.ndarray:
        """Pixels that count.

        Args:
            ground_truth: `[H, W]` metres; 0, NaN and infinity mean none.

        Returns:
            `[H, W]` bool: inside the crop (its first row and column
            included, its last excluded) and strictly inside the depth range.
        """
        top, bottom, left, right = self.crop_box(*ground_truth.shape)
        inside = np.zeros(ground_truth.shape, bool)
        inside[top:bottom, left:right] = True
        limit = self.maximum_truth or self.maximum_depth
        near_enough = ground_truth < limit
        return inside & near_enough & (ground_truth > self.minimum_depth)

    def describe(self) -> str:
        """The assumptions in one sentence, to print beside every number."""
        if self.crop is None:
            crop = "no crop"
        else:
            top, bottom, left, right = (100 * part for part in self.crop)
            crop = (
                f"crop to rows {top:.2f}-{bottom:.2f} % and columns "
                f"{left:.2f}-{right:.2f} %"
            )
        limit = self.maximum_truth or self.maximum_depth
        return (
            f"{self.name} ({self.source}): ground truth of "
            f"{self.minimum_depth:g}-{limit:g} m counts, {crop}, "
            f"prediction resized to the ground truth in {self.resize} "
            "(bilinear), scaled, then clipped to "
            f"{self.minimum_depth:g}-{self.maximum_depth:g} m"
        )


EIGEN = Protocol(
    name="eigen",
    minimum_depth=1e-3,
    maximum_depth=80.0,
    crop=(0.40810811, 0.99189189, 0.03594771, 0.96405229),
    resize="disparity",
    source="KITTI, Eigen et al. 2014, crop of Garg et al. 2016, "
    "resized as SC-SfMLearner-Release does",
)

GENERIC = Protocol(
    name="generic",
    minimum_depth=1e-3,
    maximum_depth=80.0,
    crop=None,
    resize="disparity",
    source="eigen without its crop, for any outdoor data",
)

EIGEN_LIGHTNING = dataclasses.replace(
    EIGEN,
    name="eigen_lightning",
    minimum_depth=0.1,
    resize="depth",
    source="KITTI, Eigen et al. 2014, crop of Garg et al. 2016, as in "
    "sc_depth_pl",
)

# Every annotated pixel counts there, those beyond the cap too: 256 m is what
# KITTI's 16-bit .png can hold.
EIGEN_IMPROVED = Protocol(
    name="eigen_improved",
    minimum_depth=1e-3,
    maximum_depth=80.0,
    crop=None,
    resize="disparity",
    source="KITTI, the Eigen images that have annotated depth (Uhrig et al. "
    "2017), as monodepth2 evaluates eigen_benchmark",
    maximum_truth=256.0,
)

# The two NYUv2 protocols count other pixels: do not compare across them.
NYU = Protocol(
    name="nyu",
    minimum_depth=0.1,
    maximum_depth=10.0,
    crop=(45 / 480, 471 / 480, 41 / 640, 601 / 640),
    resize="depth",
    source="NYUv2 with its customary border crop, as in sc_depth_pl",
)

NYU_RELEASE = Protocol(
    name="nyu_release",
    minimum_depth=1e-3,
    maximum_depth=10.0,
    crop=None,
    resize="disparity",
    source="NYUv2 without a crop, as in SC-SfMLearner-Release",
)

DDAD = Protocol(
    name="ddad",
    minimum_depth=0.1,
    maximum_depth=200.0,
    crop=None,
    resize="depth",
    source="DDAD front camera, as in sc_depth_pl",
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            GENERIC,
            EIGEN,
            EIGEN_LIGHTNING,
            EIGEN_IMPROVED,
            NYU,
            NYU_RELEASE,
            DDAD,
        )
    }
)


@dataclasses.dataclass(frozen=True)
class DepthErrors:
    """Errors over the pixels that count; smaller is better but for delta.

    With truth z, scaled and clipped prediction p, d = ln p − ln z and means
    over pixels (Eigen et al., NIPS 2014, section 4; SILog as the KITTI depth
    benchmark reports it).
    """

    abs_rel: float
    """mean |p − z| / z."""

    sq_rel: float
    """mean (p − z)² / z, in metres."""

    rmse: float
    """sqrt(mean (p − z)²), in metres."""

    rmse_log: float
    """sqrt(mean d²)."""

    log10: float
    """mean |log₁₀ p − log₁₀ z|."""

    delta1: float
    """Share of pixels with max(p/z, z/p) < 1.25."""

    delta2: float
    """The same below 1.25²."""

    delta3: float
    """The same below 1.25³."""

    silog: float
    """100 · sqrt(mean d² − (mean d)²); the scale changes it only through the
    clip."""

    scale: float
    """What the prediction was multiplied by."""

    valid_pixels: int
    """Number of pixels that counted."""


def depth_errors(
    ground_truth: np.ndarray,
    prediction: np.ndarray,
    protocol: Protocol,
    scale: Literal["median", "least_squares"] | float = "median",
) -> DepthErrors:
    """Compares one predicted depth map with its ground truth.

    In the order of the published evaluations: resize, mask, scale, clip,
    errors. (Clipping before scaling, as some training loops do, gives other
    numbers.)

    Args:
        ground_truth: `[H, W]` metres, dense or sparse; 0 means none.
        prediction: `[h, w]` depth of any size, > 0, in any unit.
        protocol: Which pixels count, and how the prediction is resized.
        scale: "median" multiplies the prediction by median(truth) /
            median(prediction) over the pixels that count; "least_squares"
            by the factor with the smallest squared error; a number
            multiplies by it (1 takes the prediction as metres).

    Raises:
        ValueError: An input is not 2-D, the prediction is not finite and
            positive everywhere, no ground truth pixel counts, or the scale
            is not positive.
    """
    truth, predicted = valid_depths(ground_truth, prediction, protocol)
    if scale == "median":
        scale = median_scale(truth, predicted)
    elif scale == "least_squares":
        scale = least_squares_scale(truth, predicted)
    return errors_at_scale(truth, predicted, protocol, scale)


def valid_depths(
    ground_truth: np.ndarray, prediction: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted depth of the pixels that count, not yet scaled.

    Args:
        ground_truth: `[H, W]` metres; 0 means none.
        prediction: `[h, w]` depth, > 0.
        protocol: Which pixels count, and how the prediction is resized.

    Returns:
        Two `[N]` float32 arrays in the same order, N > 0.

    Raises:
        ValueError: As `depth_errors`.
    """
    ground_truth = _map_2d(ground_truth, "ground truth")
    prediction = check_prediction(prediction)
    mask = protocol.mask(ground_truth)
    if not mask.any():
        raise ValueError(
            f"no pixel to evaluate: protocol {protocol.name!r} counts ground "
            f"truth of {protocol.minimum_depth:g}-{protocol.maximum_depth:g} "
            f"m inside its crop, got {_range_of(ground_truth)}; check the "
            "unit (metres) or leave the image out"
        )
    resized = resize_depth(prediction, ground_truth.shape, protocol.resize)
    return ground_truth[mask], resized[mask]


def check_prediction(prediction: np.ndarray) -> np.ndarray:
    """The prediction as float32 `[h, w]`.

    Raises:
        ValueError: It is not 2-D, or not finite and positive everywhere.
    """
    prediction = _map_2d(prediction, "prediction")
    unusable = ~(np.isfinite(prediction) & (prediction > 0))
    if unusable.any():
        raise ValueError(
            "predicted depth must be finite and > 0 everywhere, got "
            f"{np.count_nonzero(unusable)} of {unusable.size} pixels that are "
            f"not (the first is {prediction[unusable][0]:g}); look at the "
            "network's output before evaluating it"
        )
    return prediction


def median_scale(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Factor that gives `predicted` the median of `truth` (both `[N]`)."""
    return float(np.median(truth) / np.median(predicted))


def least_squares_scale(truth: np.ndarray, predicted: np.ndarray) -> float:
    """S = Σ p·z / Σ p·p, which minimises Σ(s·p − z)² over pixels (`[N]`).

    In metres, so far pixels weigh most; before any clip.
    """
    predicted = predicted.astype(np.float64)
    return float((predicted * truth).sum() / (predicted**2).sum())


def errors_at_scale(
    truth: np.ndarray, predicted: np.ndarray, protocol: Protocol, scale: float
) -> DepthErrors:
    """Errors of `[N]` depths, multiplied by `scale` and then clipped.

    Raises:
        ValueError: The scale is not finite and positive.
    """
    if isinstance(scale, str) or not 0 < scale < np.inf:
        raise ValueError(
            'scale must be "median", "least_squares" or a number > 0, got '
            f"{scale!r}"
        )
    truth = truth.astype(np.float64)
    scaled = np.clip(
        predicted.astype(np.float64) * scale,
        protocol.minimum_depth,
        protocol.maximum_depth,
    )
    difference = scaled - truth
    log_difference = np.log(scaled) - np.log(truth)
    ratio = np.maximum(scaled / truth, truth / scaled)
    return DepthErrors(
        abs_rel=_mean(np.abs(difference) / truth),
        sq_rel=_mean(difference**2 / truth),
        rmse=_mean(difference**2) ** 0.5,
        rmse_log=_mean(log_difference**2) ** 0.5,
        log10=_mean(np.abs(log_difference)) / float(np.log(10)),
        delta1=_mean(ratio < 1.25),
        delta2=_mean(ratio < 1.25**2),
        delta3=_mean(ratio < 1.25**3),
        silog=100 * float(np.std(log_difference)),
        scale=float(scale),
        valid_pixels=truth.size,
    )


def mean_errors(images: Sequence[DepthErrors]) -> DepthErrors:
    """Averages images: every image counts the same however many pixels it
    has, so RMSE is the mean of the images' RMSE (as published). The scale is
    the median over images, the number of pixels the sum.

    Raises:
        ValueError: There are no images.
    """
    if not images:
        raise ValueError("no images to average: expected at least one")
    columns = {
        field.name: [getattr(errors, field.name) for errors in images]
        for field in dataclasses.fields(DepthErrors)
    }
    averages = {name: _mean(values) for name, values in columns.items()}
    averages["scale"] = float(np.median(columns["scale"]))
    averages["valid_pixels"] = sum(columns["valid_pixels"])
    return DepthErrors(**averages)


def _map_2d(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{what} must be a depth map [height, width], got shape "
            f"{list(values.shape)}; take one image and drop its channel axis"
        )
    return values


def resize_depth(
    depth: np.ndarray,
    shape: tuple[int, int],
    space: Literal["disparity", "depth"],
) -> np.ndarray:
    """Resizes depth `[h, w]` to `shape`, interpolating in `space`.

    Bilinear with half-pixel centres; where it shrinks, Pillow also averages,
    so no prediction pixel is skipped.
    """
    if depth.shape == shape:
        return depth
    height, width = shape
    values = 1 / depth if space == "disparity" else depth
    resized = np.asarray(
        Image.fromarray(values).resize(
            (width, height), Image.Resampling.BILINEAR
        )
    )
    return 1 / resized if space == "disparity" else resized


def _range_of(ground_truth: np.ndarray) -> str:
    measured = ground_truth[np.isfinite(ground_truth) & (ground_truth > 0)]
    if not measured.size:
        return "a map without any measurement"
    return (
        f"{measured.size} measurements of {measured.min():g}-{measured.max():g}"
    )


def _mean(values: np.ndarray | Sequence[float]) -> float:
    return float(np.mean(values))

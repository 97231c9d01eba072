"""Intervals for means over images, and for differences between predictors.

Percentile bootstrap (Efron & Tibshirani, *An Introduction to the Bootstrap*,
1993, chapter 13), paired: each resample takes the same images of every
predictor, so what makes an image hard for all of them cancels in their
difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_DRAWS_AT_ONCE = 500
"""Bounds the memory of many images."""


class Interval(NamedTuple):
    """A mean and where it may lie."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Comparison(NamedTuple):
    """Means of several predictors on the same images."""

    means: tuple[Interval, ...]
    """Of each predictor."""

    differences: tuple[Interval, ...]
    """Of each predictor minus the first; 0 for the first itself."""


def paired_bootstrap(
    values: np.ndarray,
    groups: Sequence[object],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Means and differences with percentile intervals.

    Whole groups are drawn with replacement, as many as there are: frames of
    one video resemble each other, and drawing them one by one would make the
    intervals too narrow.

    Args:
        values: `[predictors, images]`, one error for each.
        groups: `[images]`: which images are drawn together, by any label
            (the scene); the image's own name draws single images.
        confidence: probability of the interval.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        ValueError: the sizes disagree, a value is not finite, or there are
            fewer than two groups.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[1] != len(groups):
        raise ValueError(
            f"expected values [predictors, {len(groups)} images], got shape "
            f"{list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise ValueError("an error is not finite; evaluate again")
    labels, group = np.unique(
        np.asarray([str(label) for label in groups]), return_inverse=True
    )
    if len(labels) < 2:
        raise ValueError(
            f"all {len(groups)} images belong to {str(labels[0])!r}; expected "
            "two groups or more to draw from: resample by image (which makes "
            "intervals narrower than frames of one video deserve)"
        )
    sums = np.stack([np.bincount(group, one) for one in values])
    drawn = _resampled_means(sums, np.bincount(group), resamples, seed)
    means = values.mean(axis=1)

    def interval(mean: float, samples: np.ndarray) -> Interval:
        tail = 100 * (1 - confidence) / 2
        low, high = np.percentile(samples, [tail, 100 - tail])
        return Interval(float(mean), float(low), float(high))

    return Comparison(
        means=tuple(map(interval, means, drawn)),
        differences=tuple(map(interval, means - means[0], drawn - drawn[0])),
    )


def _resampled_means(
    sums: np.ndarray, sizes: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    """Means `[predictors, resamples]` of randomly drawn groups.

    Args:
        sums: `[predictors, groups]` over the images of each group.
        sizes: `[groups]` images in each.
        resamples: number of draws.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    count = len(sizes)
    chance = np.full(count, 1 / count)
    means = []
    for start in range(0, resamples, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, resamples - start)
        draws = generator.multinomial(count, chance, size=size)
        means.append(sums @ draws.T / (draws @ sizes))
    return np.concatenate(means, axis=1)

"""One global scale and how well it is known.

A way to find the scale says for each frame (stretch of road, measured
distance) how many metres a scene unit is. Their median is the scale, and how
far they scatter says how far to trust it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_MAD_TO_STD = 1.4826
"""Standard deviation / median absolute deviation of a normal distribution."""
_MEDIAN_TO_MEAN = math.sqrt(math.pi / 2)
"""Standard error of the median / that of the mean, of many normal samples."""
_ENOUGH_SCENES = 3
_CONTRADICTS = 1.5
"""Two ways that differ by more times than this are not both right: those that
were tried on known data differed by 1.13 at most."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many metres a scene unit is, and how that was found."""

    metres_per_unit: float

    method: str
    """For example "camera height 1.65 m"."""

    observations: int
    """How many single scales the median is of."""

    observed: str
    """What each of them is of: "frames", "stretches", "distances"."""

    left_out: int
    """How many more gave no scale (no road in sight, no motion)."""

    spread: float | None
    """Robust standard deviation of the single scales, a fraction of the
    scale; None for a single one."""

    uncertainty: float | None
    """Standard error of the scale, a fraction of it: what the scatter leaves
    open. What is wrong in all observations alike (a camera height measured
    badly) is not in it. None for a single observation."""

    def describe(self) -> str:
        """One line."""
        known = f"{self.method}: {self.metres_per_unit:.4g} m per scene unit"
        if self.uncertainty is not None:
            known += f" +- {100 * self.uncertainty:.2g} %"
        counted = f"{self.observations} {self.observed}"
        if self.spread is not None:
            counted += f" that scatter by {100 * self.spread:.2g} %"
        if self.left_out:
            counted += f"; {self.left_out} more left out"
        return f"{known} ({counted})"

    def beside(self, other: Scale) -> str:
        """How it differs from another scale, and whether that is too much."""
        ratio = self.metres_per_unit / other.metres_per_unit
        told = f"{ratio:.3f} of that"
        if not 1 / _CONTRADICTS < ratio < _CONTRADICTS:
            told += (
                ". THEY CONTRADICT EACH OTHER: one of the two is told wrongly "
                "(in centimetres, of another camera, at another frame rate?)"
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Scale:
        """The scale that `to_dict` gave; other keys are passed over.

        Raises:
            ValueError: it is not one.
        """
        try:
            names = [field.name for field in dataclasses.fields(cls)]
            scale = cls(**{name: content[name] for name in names})
            is_positive = 0 < scale.metres_per_unit < math.inf
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected a scale, but {error}") from None
        if not is_positive:
            raise ValueError(
                f"metres_per_unit is {scale.metres_per_unit}; expected a "
                "number > 0"
            )
        return scale


def combine(
    by_scene: Sequence[np.ndarray],
    method: str,
    observed: str = "frames",
    left_out: int = 0,
) -> Scale:
    """The median of single scales, and its uncertainty.

    Neighbouring frames err alike, so n of them count as n·(1 − r)/(1 + r),
    where r is the correlation of each with the next (Bartlett 1935, for a
    first-order process). Scenes that differ more than that explains raise the
    uncertainty to what their own medians say.

    Args:
        by_scene: for each scene its single scales `[N]` in time order, metres
            per scene unit.
        method: how they were found.
        observed: what each is of.
        left_out: how many more gave none.

    Raises:
        ValueError: there is none, or one is not finite and positive.
    """
    by_scene = [np.asarray(scales, np.float64) for scales in by_scene]
    by_scene = [scales for scales in by_scene if len(scales)]
    if not by_scene:
        raise ValueError(
            f"{method}: gave no scale ({left_out} {observed} left out); look "
            "at the predicted depth, or choose another way"
        )
    pooled = np.concatenate(by_scene)
    if not (np.isfinite(pooled) & (pooled > 0)).all():
        raise ValueError(
            f"{method}: a scale is {pooled[~(pooled > 0)][:1]}; expected "
            "positive numbers: look at the network's output"
        )
    # Scales multiply: half and double are equally far off.
    centre = float(np.median(np.log(pooled)))
    deviations = [np.log(scales) - centre for scales in by_scene]
    spread = uncertainty = None
    if len(pooled) > 1:
        spread = robust_std(np.concatenate(deviations))
        uncertainty = _standard_error(deviations, spread)
    return Scale(
        metres_per_unit=float(np.median(pooled)),
        method=method,
        observations=len(pooled),
        observed=observed,
        left_out=left_out,
        spread=spread,
        uncertainty=uncertainty,
    )


def robust_std(values: np.ndarray) -> float:
    """Standard deviation of `[N]` values by their median absolute deviation,
    which up to half of them may spoil.
    """
    return float(_MAD_TO_STD * np.median(np.abs(values - np.median(values))))


def _standard_error(deviations: Sequence[np.ndarray], spread: float) -> float:
    """Of the median of all, from deviations `[N]` scene by scene."""
    count = sum(len(one) for one in deviations)
    correlation = _correlation_with_next(deviations, spread)
    independent = max(count * (1 - correlation) / (1 + correlation), 1)
    error = _MEDIAN_TO_MEAN * spread / math.sqrt(independent)
    if len(deviations) < _ENOUGH_SCENES:
        return error
    medians = [float(np.median(one)) for one in deviations]
    among_scenes = float(np.std(medians, ddof=1)) / math.sqrt(len(medians))
    return max(error, among_scenes)


def _correlation_with_next(
    deviations: Sequence[np.ndarray], spread: float
) -> float:
    """In [0, 0.99]; outliers are moved to three standard deviations."""
    clipped = [np.clip(one, -3 * spread, 3 * spread) for one in deviations]
    pairs = np.concatenate(
        [np.stack([one[:-1], one[1:]]) for one in clipped], axis=1
    )
    variance = (pairs**2).mean() if pairs.size else 0.0
    if not variance > 0:
        return 0.0
    return float(np.clip((pairs[0] * pairs[1]).mean() / variance, 0, 0.99))

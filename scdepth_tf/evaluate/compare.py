"""Several runs in one table, with paired bootstrap intervals."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from scdepth_tf.evaluate import tables
from scdepth_tf.evaluate.depth import DepthReport, ImageErrors
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.bootstrap import Comparison, paired_bootstrap

Resample = Literal["scene", "image"]

METRICS = {
    "AbsRel, each image at its own scale": ("median_scaled", "abs_rel"),
    "AbsRel, one scale for all": ("global_scaled", "abs_rel"),
    "RMSE in metres, each image at its own scale": ("median_scaled", "rmse"),
    "share within 25 % (d1), each at its own scale": (
        "median_scaled",
        "delta1",
    ),
}
"""What is compared: title -> scaling and error of `ImageErrors`."""
_NAME_WIDTH = 24


@dataclasses.dataclass(frozen=True)
class CompareReport:
    """Runs side by side on the same images."""

    names: tuple[str, ...]
    """Runs first, then the baselines of the first run."""

    runs: int
    """How many of the names are runs."""

    images: int

    groups: int
    """Number of scenes, or of images, that were drawn from."""

    resample: Resample

    protocol: str
    """What was assumed."""

    comparisons: Mapping[str, Comparison]
    """By the title of the metric."""

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        lines = tables.paragraph(
            f"{self.runs} runs on the same {self.images} images. Protocol "
            f"{self.protocol}. In brackets: 95 % intervals of a paired "
            f"bootstrap over {self.groups} {self.resample}s. A difference "
            f"from {self.names[0]} whose interval excludes 0 is marked *. "
            "One scale for all: the scale itself is not drawn again."
        )
        if self.resample == "scene" and self.groups < 8:
            lines += tables.paragraph(
                f"Only {self.groups} scenes: read the intervals as rough."
            )
        for title, comparison in self.comparisons.items():
            lines += [
                "",
                f"{title:<49}{'difference':>22}",
                *(
                    _row(*row, first=row[0] == self.names[0])
                    for row in zip(
                        self.names,
                        comparison.means,
                        comparison.differences,
                        strict=True,
                    )
                ),
            ]
        return "\n".join([*lines, ""])

    def to_json(self) -> str:
        """Everything in the report."""
        content = dataclasses.asdict(self)
        content["comparisons"] = {
            title: {
                "means": [one._asdict() for one in comparison.means],
                "differences": [
                    one._asdict() for one in comparison.differences
                ],
            }
            for title, comparison in self.comparisons.items()
        }
        return json.dumps(content, indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Writes `to_json` whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        write_whole(path, self.to_json() + "\n")


def compare_depth(
    reports: Mapping[str, DepthReport], resample: Resample = "scene"
) -> CompareReport:
    """Compares depth reports of several runs on the same images.

    Args:
        reports: by the name of the run; the first is what the others are
            compared with, and brings the baselines.
        resample: what the bootstrap draws: whole scenes, because frames of
            one video resemble each other, or single images.

    Raises:
        ValueError: fewer than two runs, another protocol or other images in
            one of them, or a single scene to draw from.
    """
    if len(reports) < 2:
        raise ValueError(
            f"{len(reports)} run to compare; expected two or more with "
            "different names"
        )
    first_name, first = next(iter(reports.items()))
    images = [image.name for image in first.per_image]
    for name, report in reports.items():
        if report.protocol != first.protocol:
            raise ValueError(
                f"{name} was evaluated under protocol "
                f"{report.protocol.describe()}, but {first_name} under "
                f"{first.protocol.describe()}; evaluate both alike"
            )
        others = [image.name for image in report.per_image]
        if others != images:
            different = sorted(set(images) ^ set(others))
            raise ValueError(
                f"{name} was evaluated on {len(others)} images and "
                f"{first_name} on {len(images)}, {len(different)} of them "
                "only in one of both"
                + (
                    f" (such as {different[0]})"
                    if different
                    else ", in another order"
                )
                + "; evaluate both on the same data"
            )
    baselines = {
        name: report
        for name, report in first.baselines.items()
        if name not in reports
    }
    everyone = {**reports, **baselines}
    groups = [
        name.rpartition("/")[0] if resample == "scene" else name
        for name in images
    ]
    return CompareReport(
        names=tuple(everyone),
        runs=len(reports),
        images=len(images),
        groups=len(set(groups)),
        resample=resample,
        protocol=first.protocol.describe(),
        comparisons={
            title: paired_bootstrap(
                np.array(
                    [
                        [_value(image, *metric) for image in report.per_image]
                        for report in everyone.values()
                    ]
                ),
                groups,
            )
            for title, metric in METRICS.items()
        },
    )


def read_report(path: str | Path) -> DepthReport:
    """The JSON that `scdepth evaluate depth --json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; `scdepth evaluate depth RUN DATA --json "
            "FILE` writes one"
        )
    try:
        return DepthReport.from_dict(
            json.loads(path.read_text(encoding="utf-8"))
        )
    except json.JSONDecodeError:
        raise ValueError(
            f"{path}: is not a report that `scdepth evaluate depth RUN DATA "
            "--json FILE` has written"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _value(image: ImageErrors, scaling: str, metric: str) -> float:
    return getattr(getattr(image, scaling), metric)


def _row(name: str, mean, difference, *, first: bool) -> str:
    line = f"{name:<{_NAME_WIDTH}.{_NAME_WIDTH}} {mean!s:>24}"
    if first:
        return line
    sure = difference.low > 0 or difference.high < 0
    signed = (
        f"{difference.mean:+.3f} [{difference.low:+.3f}, "
        f"{difference.high:+.3f}]"
    )
    return f"{line} {signed:>27}{' *' if sure else ''}"

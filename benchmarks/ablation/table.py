"""The table and the plot of all figures that exist so far."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping
from pathlib import Path

from scdepth_tf.files import write_whole

COLUMNS = {
    "abs_rel": "AbsRel",
    "global_abs_rel": "one scale",
    "delta1": "δ1",
    "spread": "scale spread",
    "ate": "ATE, depth's scale",
    "ate_7dof": "ATE, 7-DoF",
    "moving_abs_rel": "moving cars",
    "near_abs_rel": "near them",
    "static_abs_rel": "static",
}


def slug(name: str) -> str:
    """A variant's name, as files have it."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def read(out: Path, name: str) -> list[dict[str, float]]:
    """The figures of a variant, one for each seed that is finished."""
    pattern = re.compile(re.escape(slug(name)) + r"-\d+\.json")
    return [
        json.loads(path.read_text())
        for path in sorted((out / "figures").glob("*.json"))
        if pattern.fullmatch(path.name)
    ]


def has_all(figures: Path, lidar: Path | None) -> bool:
    """Whether a training is measured, on lidar too if that is given."""
    if not figures.exists():
        return False
    return (
        lidar is None
        or json.loads(figures.read_text()).get("lidar") is not None
    )


def write(
    out: Path,
    variants: Mapping[str, Mapping],
    columns: Mapping[str, str] = COLUMNS,
) -> None:
    """Writes table.md and, with matplotlib, plot.png."""
    figures = {name: read(out, name) for name in variants}
    figures = {name: rows for name, rows in figures.items() if rows}
    if figures:
        write_whole(out / "table.md", markdown(figures, columns))
        _plot(out / "plot.png", figures)


def markdown(
    figures: Mapping[str, list[dict[str, float]]],
    columns: Mapping[str, str] = COLUMNS,
) -> str:
    """Median of the seeds, and in brackets the smallest and largest."""
    lines = [
        "| | " + " | ".join(columns.values()) + " | seeds |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for name, rows in figures.items():
        cells = [_cell([row[key] for row in rows]) for key in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(rows)} |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float | None]) -> str:
    values = [value for value in values if value is not None]
    if not values:  # not measured on lidar
        return "–"
    median = f"{statistics.median(values):.3f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.3f}–{max(values):.3f})"


def _plot(path: Path, figures: Mapping[str, list[dict[str, float]]]) -> None:
    from matplotlib.figure import Figure

    shown = ("abs_rel", "global_abs_rel", "spread", "ate", "near_abs_rel")
    figure = Figure((3 * len(shown), 0.4 * len(figures) + 1.2))
    for index, key in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), index + 1)
        for row, values in enumerate(figures.values()):
            seeds = [value[key] for value in values]
            axes.plot(seeds, [row] * len(seeds), "o", color="#4477aa", ms=4)
            axes.plot(statistics.median(seeds), row, "|", color="k", ms=14)
        axes.set_title(COLUMNS[key], fontsize=10)
        if key == "ate":  # a training that collapsed is far out
            axes.set_xscale("log")
        axes.set_yticks(
            range(len(figures)), list(figures) if index == 0 else []
        )
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)

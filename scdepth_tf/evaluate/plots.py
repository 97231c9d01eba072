"""Plots of the reports (needs the `viz` extra)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf.evaluate.compare import CompareReport
from scdepth_tf.evaluate.consistency import ConsistencyReport
from scdepth_tf.evaluate.odometry import OdometryReport
from scdepth_tf.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
_TRUE, _OURS, _OTHER = "#555555", "#2563eb", "#f97316"


def plot_odometry(report: OdometryReport, path: str | Path) -> None:
    """Each sequence from above, and each axis over the frames.

    Estimates are aligned with 7 degrees of freedom where that can be fitted.

    Raises:
        ValueError: the file cannot be written.
    """
    rows = len(report.sequences)
    figure = _figure(11, 3.6 * rows)
    grid = figure.add_gridspec(rows, 2, width_ratios=[1, 1.3])
    for row, sequence in enumerate(report.sequences):
        truth, estimate = (poses[:, :3, 3] for poses in sequence.aligned())
        above = figure.add_subplot(grid[row, 0])
        for positions, color, label in (
            (truth, _TRUE, "truth"),
            (estimate, _OURS, report.name),
        ):
            above.plot(positions[:, 0], positions[:, 2], color, label=label)
        above.plot(*truth[0, [0, 2]], "o", color=_TRUE, markersize=4)
        above.set_aspect("equal", "datalim")
        above.set_xlabel("x, right (m)")
        above.set_ylabel("z, forward (m)")
        above.set_title(f"{sequence.name}, from above")
        above.legend(frameon=False)
        _clean(above)
        axes = grid[row, 1].subgridspec(3, 1, hspace=0.15).subplots(sharex=True)
        for axis, name, index in zip(
            axes, ("x (m)", "y, down (m)", "z (m)"), range(3), strict=True
        ):
            axis.plot(truth[:, index], _TRUE)
            axis.plot(estimate[:, index], _OURS)
            axis.set_ylabel(name)
            _clean(axis)
        axes[-1].set_xlabel("frame")
    _save(figure, path)


def plot_trajectory(
    poses: np.ndarray, times: np.ndarray, path: str | Path, unit: str
) -> None:
    """A trajectory `[N, 4, 4]` from above, and its speed over `times` `[N]`;
    `unit` is that of the positions.

    Raises:
        ValueError: the file cannot be written.
    """
    positions = poses[:, :3, 3]
    figure = _figure(11, 4.5)
    above, speed = figure.subplots(1, 2, width_ratios=[1, 1.3])
    above.plot(positions[:, 0], positions[:, 2], _OURS)
    above.plot(*positions[0, [0, 2]], "o", color=_OURS, markersize=5)
    above.set_aspect("equal", "datalim")
    above.set_xlabel(f"x, right ({unit})")
    above.set_ylabel(f"z, forward ({unit})")
    above.set_title("from above; the dot is the start")
    moved = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    seconds = np.diff(times)
    # The clock of some files is set back.
    speeds = moved / np.where(seconds > 0, seconds, np.nan)
    speed.plot(times[1:], speeds, _OURS)
    speed.set_ylim(0, 1.08 * np.nanmax([*speeds, 1e-9]))
    speed.set_xlabel("time (s)")
    speed.set_ylabel(f"speed ({unit} / s)")
    for axis in (above, speed):
        _clean(axis)
    _save(figure, path)


def plot_consistency(report: ConsistencyReport, path: str | Path) -> None:
    """Scale, and disagreement with the next frame, over all frames.

    Raises:
        ValueError: the file cannot be written.
    """
    figure = _figure(11, 5)
    scale, disagreement = figure.subplots(2, 1, sharex=True)
    start = known = 0
    for number, sequence in enumerate(report.sequences):
        color = (_OURS, _OTHER)[number % 2]
        length = len(sequence.disagreement)
        if report.depth:
            relative = np.array(sequence.scales) / report.depth.scale_median
            frames = start + np.array(sequence.frames, int)
            scale.plot(frames, relative, ".-", color=color, markersize=3)
            blind = report.depth.baselines.get("constant depth")
            if blind:
                part = blind.per_image[known : known + len(frames)]
                values = [image.median_scaled.scale for image in part]
                scale.plot(
                    frames,
                    np.array(values) / blind.scale_median,
                    color="#bbbbbb",
                    linewidth=1,
                    label=None if number else "constant depth (baseline)",
                )
            known += len(frames)
        values = [np.nan if v is None else v for v in sequence.disagreement]
        disagreement.plot(start + np.arange(length), values, color=color)
        scale.annotate(
            sequence.name,
            (start, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color=color,
        )
        start += length
    scale.axhline(1.0, color="#888888", linewidth=0.8, linestyle="--")
    scale.set_ylabel("scale / global scale")
    if scale.get_legend_handles_labels()[0]:
        scale.legend(frameon=False, fontsize=8)
    if not report.depth:
        scale.text(0.5, 0.5, "no ground truth", transform=scale.transAxes)
    low, high = scale.get_ylim()
    scale.set_ylim(min(low, 0.8), max(high, 1.2))
    disagreement.set_ylabel("mean $D_{diff}$ to the next frame")
    disagreement.set_ylim(bottom=0)
    disagreement.set_xlabel("frame, sequence after sequence")
    for axis in (scale, disagreement):
        _clean(axis)
    _save(figure, path)


def plot_comparison(report: CompareReport, path: str | Path) -> None:
    """Each run's means with their intervals.

    Raises:
        ValueError: the file cannot be written.
    """
    panels = len(report.comparisons)
    figure = _figure(3.4 * panels, 1.2 + 0.35 * len(report.names))
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    places = np.arange(len(report.names))[::-1]
    colors = [_OURS] * report.runs + [_TRUE] * (len(report.names) - report.runs)
    for axis, (title, comparison) in zip(
        axes, report.comparisons.items(), strict=True
    ):
        for place, color, one in zip(
            places, colors, comparison.means, strict=True
        ):
            axis.plot([one.low, one.high], [place, place], color=color)
            axis.plot(one.mean, place, "o", color=color, markersize=5)
        axis.set_title(title.replace(", ", ",\n", 1), fontsize=9)
        _clean(axis)
    axes[0].set_yticks(places, report.names)
    axes[0].set_ylim(-0.6, len(report.names) - 0.4)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots need Matplotlib: pip install 'scdepth-tf[viz]'",
            name=error.name,
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _clean(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)


def _save(figure: Figure, path: str | Path) -> None:
    form = check_format(path)
    with replace_file(path) as unfinished:
        figure.savefig(unfinished, format=form, dpi=130)


def check_format(path: str | Path) -> str:
    """The format that a file's ending asks for, without its dot.

    Raises:
        ValueError: it is none that can be drawn.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ValueError(
            f"{path}: a plot's name must end with {', '.join(FORMATS)}, got "
            f"{ending or 'no ending'}"
        )
    return ending[1:]

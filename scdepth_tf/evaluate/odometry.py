"""Evaluates trajectories, beside baselines that never look at the images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from scdepth_tf.data.scene import Scene
from scdepth_tf.evaluate import tables
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.odometry import (
    ALIGNMENTS,
    KITTI_LENGTHS,
    Alignment,
    SnippetErrors,
    TrajectoryErrors,
    align,
    chain,
    from_first_camera,
    snippet_errors,
    trajectory_errors,
)

PredictMotion = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Images (target, source) `[H, W, 3]` uint8 to source_from_target
`[4, 4]`."""

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""

_COLUMNS = ("scale", "ATE m", "RPE m", "RPE deg", "t_err %", "r_err", "segm.")
_CELL_WIDTH = 8
HEADLINE: Alignment = "7dof"
"""The alignment of monocular trajectories in the literature."""


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceErrors:
    """Errors of one sequence."""

    name: str

    truth: np.ndarray
    """`[N, 4, 4]` world_from_camera, metres."""

    estimate: np.ndarray
    """`[N, 4, 4]` world_from_camera, not aligned."""

    errors: Mapping[Alignment, TrajectoryErrors]
    """Under every alignment that can be fitted."""

    snippets: SnippetErrors | None
    """5-frame "ATE"; None for fewer than five frames."""

    baselines: Mapping[str, TrajectoryErrors]
    """Of trajectories made without looking, by name."""

    unrefined: Mapping[Alignment, TrajectoryErrors] | None = None
    """What `errors` were before the trajectory was refined."""

    def aligned(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and estimate `[N, 4, 4]` in one world, to draw: under the
        7-DoF alignment, or where that cannot be fitted from the first
        camera.
        """
        if HEADLINE in self.errors:
            return self.truth, align(self.truth, self.estimate, HEADLINE)[0]
        return from_first_camera(self.truth), from_first_camera(self.estimate)


@dataclasses.dataclass(frozen=True, eq=False)
class OdometryReport:
    """Errors of one estimator on several sequences."""

    name: str
    lengths: tuple[float, ...]
    """Metres of the KITTI segments."""
    sequences: tuple[SequenceErrors, ...]

    def table(self) -> str:
        """Text of at most 80 columns that says what was assumed."""
        shortest, longest = min(self.lengths), max(self.lengths)
        count = len(self.sequences)
        lines = tables.paragraph(
            f"Trajectory errors of {count} sequence{'s' if count > 1 else ''}. "
            "ATE: RMSE "
            "of positions. RPE: RMSE from a frame to the next. t_err (%), "
            "r_err (degrees per 100 m): KITTI's, mean over all segments of "
            f"{shortest:g}-{longest:g} m from every tenth frame, '-' where "
            "the path is shorter. Alignment: none starts at the first "
            "camera, scale also fits one factor there, 6dof and 7dof are "
            "Umeyama's without and with scale. Baselines see no image: "
            "straight ahead drives at constant speed (7dof), standing still "
            "is not aligned."
            + (" Before: not refined." if self.sequences[0].unrefined else "")
        )
        for sequence in self.sequences:
            one = next(iter(sequence.errors.values()))
            too_short = ""
            if one.path_length < shortest:
                too_short = (
                    "; too short for t_err and r_err, which shorter --lengths "
                    "would give"
                )
            lines += [
                "",
                *tables.paragraph(
                    f"{sequence.name}: {one.frames} frames, "
                    f"{one.path_length:.1f} m{too_short}"
                ),
                tables.row("", _COLUMNS, _CELL_WIDTH),
                *(
                    _row(f"before {alignment}", errors)
                    for alignment, errors in (sequence.unrefined or {}).items()
                ),
                *(
                    _row(f"{self.name} {alignment}", errors)
                    for alignment, errors in sequence.errors.items()
                ),
                *(
                    _row(name, errors)
                    for name, errors in sequence.baselines.items()
                ),
            ]
            if sequence.snippets:
                lines.append(
                    "5-frame snippets, each at its own scale (SfMLearner's "
                    f"ATE): {sequence.snippets.mean:.4f} +- "
                    f"{sequence.snippets.std:.4f} m"
                )
            if sequence.unrefined:
                lines.append(_refinement(sequence.unrefined, sequence.errors))
        return "\n".join([*lines, ""])

    def to_json(self) -> str:
        """Everything but the poses."""
        content = {
            "name": self.name,
            "lengths": self.lengths,
            "sequences": [
                {
                    "name": sequence.name,
                    "errors": _plain(sequence.errors),
                    "snippets": sequence.snippets
                    and sequence.snippets._asdict(),
                    "baselines": _plain(sequence.baselines),
                    "unrefined": sequence.unrefined
                    and _plain(sequence.unrefined),
                }
                for sequence in self.sequences
            ],
        }
        return json.dumps(content, indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Writes `to_json` whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        write_whole(path, self.to_json() + "\n")


def evaluate_odometry(
    trajectories: Mapping[str, tuple[np.ndarray, np.ndarray]],
    lengths: Sequence[float] = KITTI_LENGTHS,
    name: str = "ours",
    unrefined: Mapping[str, np.ndarray] | None = None,
) -> OdometryReport:
    """Compares estimated with true trajectories.

    Args:
        trajectories: (truth, estimate) `[N, 4, 4]` world_from_camera, of the
            same frames, by the name of the sequence.
        lengths: metres of the segments of t_err and r_err.
        name: what to call the estimator in tables.
        unrefined: the estimates before they were refined, to show what that
            brought.

    Raises:
        ValueError: there is no sequence, or one cannot be evaluated (the
            line names it).
    """
    if not trajectories:
        raise ValueError(
            "no sequence to evaluate: expected true poses (poses.txt, oxts) "
            "of two consecutive frames or more"
        )
    sequences = []
    for key, (truth, estimate) in trajectories.items():
        try:
            before = unrefined and unrefined[key]
            sequences.append(_sequence(key, truth, estimate, lengths, before))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return OdometryReport(name, tuple(lengths), tuple(sequences))


def predict_trajectory(
    predict_motion: PredictMotion,
    scene: Scene,
    progress: Progress | None = None,
) -> np.ndarray:
    """Chains the motion between neighbouring frames; holds two images.

    Args:
        predict_motion: the pose network.
        scene: consecutive frames (see `contiguous_parts`).
        progress: called after each frame.

    Returns:
        `[N, 4, 4]` world_from_camera; the world is the first camera.

    Raises:
        ValueError: a predicted motion is not finite; the line names it.
    """
    motions = []
    current = scene.image(0)
    for index in range(1, len(scene)):
        following = scene.image(index)
        motion = predict_motion(current, following)
        if not np.isfinite(motion).all():
            raise ValueError(
                f"{scene.name}: the predicted motion to frame {index} is not "
                "finite; look at the network's output before evaluating it"
            )
        motions.append(motion)
        current = following
        if progress:
            progress(index + 1, len(scene))
    return chain(np.stack(motions))


def _sequence(
    name: str,
    truth: np.ndarray,
    estimate: np.ndarray,
    lengths: Sequence[float],
    unrefined: np.ndarray | None,
) -> SequenceErrors:
    still, ahead = (np.tile(np.eye(4), (len(truth), 1, 1)) for _ in range(2))
    ahead[:, 2, 3] = np.arange(len(truth))
    return SequenceErrors(
        name=name,
        truth=truth,
        estimate=estimate,
        errors=_errors(truth, estimate, lengths),
        snippets=snippet_errors(truth, estimate),
        baselines={
            "straight ahead": trajectory_errors(
                truth, ahead, HEADLINE, lengths
            ),
            "standing still": trajectory_errors(truth, still, "none", lengths),
        },
        unrefined=(
            None if unrefined is None else _errors(truth, unrefined, lengths)
        ),
    )


def _errors(
    truth: np.ndarray, estimate: np.ndarray, lengths: Sequence[float]
) -> dict[Alignment, TrajectoryErrors]:
    """Under every alignment that can be fitted."""
    moves = np.ptp(np.asarray(estimate)[:, :3, 3], axis=0).any()
    return {
        alignment: trajectory_errors(truth, estimate, alignment, lengths)
        for alignment in (ALIGNMENTS if moves else ("none",))
    }


def _refinement(
    before: Mapping[Alignment, TrajectoryErrors],
    after: Mapping[Alignment, TrajectoryErrors],
) -> str:
    """What refining brought, in a line."""
    alignment = HEADLINE if HEADLINE in before.keys() & after else "none"
    old, new = before[alignment], after[alignment]
    text = f"Refined, {alignment}: ATE {old.ate:.3f} -> {new.ate:.3f} m"
    if old.t_err is None or new.t_err is None:
        return text
    return f"{text}, t_err {old.t_err:.2f} -> {new.t_err:.2f} %"


def _row(name: str, errors: TrajectoryErrors) -> str:
    cells = [
        errors.scale,
        errors.ate,
        errors.rpe_translation,
        errors.rpe_rotation,
        errors.t_err,
        errors.r_err,
        str(errors.segments),
    ]
    return tables.row(name, cells, _CELL_WIDTH)


def _plain(errors: Mapping[str, TrajectoryErrors]) -> dict[str, dict]:
    return {key: dataclasses.asdict(value) for key, value in errors.items()}

"""Errors of a camera trajectory against the true one.

A trajectory is an array `[N, 4, 4]` of `world_from_camera` poses: rotation,
and the camera's position in the last column. Estimate and truth hold the same
N frames in the same order. The world of an estimate is its own (a network's
first camera) and its unit too, so errors are stated after an alignment, and a
figure without the name of its alignment means nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

Alignment = Literal["none", "scale", "6dof", "7dof"]
"""How the estimate meets the truth.

none   both start at their first camera; nothing is fitted.
scale  so, and multiplied by the s that minimises Σ|s·p − z|² over positions
       (`scale` of Zhan's KITTI evaluation toolbox).
6dof   rotated and shifted to minimise Σ|R·p + t − z|² (Umeyama 1991).
7dof   so, with a scale: min Σ|s·R·p + t − z|².
"""
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)

KITTI_LENGTHS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Metres: lengths of the segments of KITTI's odometry benchmark."""
KITTI_STEP = 10
"""Frames between the starts of segments, as in KITTI's devkit."""
SNIPPET_LENGTH = 5
"""Frames of a snippet (Zhou et al., CVPR 2017)."""

_ROTATION_TOLERANCE = 1e-3


class Similarity(NamedTuple):
    """x ↦ scale · rotation · x + translation."""

    rotation: np.ndarray
    """`[3, 3]`."""

    translation: np.ndarray
    """`[3]`."""

    scale: float

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """Poses `[N, 4, 4]` in the new world, their positions scaled."""
        moved = poses.copy()
        moved[:, :3, :3] = self.rotation @ poses[:, :3, :3]
        positions = self.scale * poses[:, :3, 3] @ self.rotation.T
        moved[:, :3, 3] = positions + self.translation
        return moved


class Segment(NamedTuple):
    """Error over a stretch of the true path (KITTI devkit)."""

    first: int
    """Frame at which it starts."""

    last: int
    """First frame more than `length` further along the true path."""

    length: float
    """Nominal length in metres, by which the errors are divided."""

    translation_error: float
    """|translation of E| / length, a fraction."""

    rotation_error: float
    """Angle of E / length, in radians a metre."""


@dataclasses.dataclass(frozen=True)
class TrajectoryErrors:
    """Errors of one trajectory under one alignment; smaller is better."""

    alignment: Alignment

    frames: int

    path_length: float
    """Metres along the true path."""

    scale: float
    """What the estimate's positions were multiplied by."""

    ate: float
    """Absolute trajectory error: RMSE of the positions, metres."""

    rpe_translation: float
    """Relative pose error from a frame to the next: RMSE of the translation,
    metres."""

    rpe_rotation: float
    """The same of the rotation angle, degrees."""

    rpe_translation_mean: float
    """The mean in place of the RMSE, as Zhan's toolbox prints it."""

    rpe_rotation_mean: float
    """Likewise, degrees."""

    t_err: float | None
    """KITTI translation error: mean over segments, percent; None where the
    path is shorter than the shortest segment."""

    r_err: float | None
    """KITTI rotation error: mean over segments, degrees per 100 m."""

    segments: int
    """Number of segments."""


class SnippetErrors(NamedTuple):
    """Absolute errors of short snippets, each at its own scale."""

    mean: float
    """Mean over snippets of sqrt(Σ|s·p − z|²) / 5, metres: what SfMLearner
    and its followers print as "ATE". A snippet's RMSE is √5 times as much."""

    std: float
    """Standard deviation over snippets."""

    count: int
    """Number of snippets."""


def trajectory_errors(
    truth: np.ndarray,
    estimate: np.ndarray,
    alignment: Alignment = "7dof",
    lengths: Sequence[float] = KITTI_LENGTHS,
) -> TrajectoryErrors:
    """Every error of a trajectory.

    Args:
        truth: `[N, 4, 4]` world_from_camera, metres.
        estimate: `[N, 4, 4]`, in any world and unit.
        alignment: see `Alignment`.
        lengths: metres of the segments of `t_err` and `r_err`.

    Raises:
        ValueError: the trajectories are not poses, differ in length, have
            fewer than two frames, or there is no scale or rotation to fit.
    """
    truth, estimate = _check(truth, estimate)
    aligned, scale = align(truth, estimate, alignment)
    truth = from_first_camera(truth) if _at_origin(alignment) else truth
    position_errors = np.linalg.norm(
        aligned[:, :3, 3] - truth[:, :3, 3], axis=-1
    )
    translations, rotations = relative_errors(truth, aligned)
    segments = segment_errors(truth, aligned, lengths)
    t_err = r_err = None
    if segments:
        t_err = 100 * _mean([one.translation_error for one in segments])
        r_err = 100 * float(
            np.degrees(_mean([one.rotation_error for one in segments]))
        )
    return TrajectoryErrors(
        alignment=alignment,
        frames=len(truth),
        path_length=float(distances_along(truth)[-1]),
        scale=scale,
        ate=_rms(position_errors),
        rpe_translation=_rms(translations),
        rpe_rotation=_rms(np.degrees(rotations)),
        rpe_translation_mean=_mean(translations),
        rpe_rotation_mean=_mean(np.degrees(rotations)),
        t_err=t_err,
        r_err=r_err,
        segments=len(segments),
    )


def align(
    truth: np.ndarray, estimate: np.ndarray, alignment: Alignment
) -> tuple[np.ndarray, float]:
    """The estimate, moved to where it is compared with the truth.

    Args:
        truth: `[N, 4, 4]` world_from_camera, metres.
        estimate: `[N, 4, 4]`, in any world and unit.
        alignment: see `Alignment`. "none" and "scale" put the estimate into
            the world of the truth's first camera, the others into the
            truth's world.

    Returns:
        `[N, 4, 4]`, and the scale that its positions got.

    Raises:
        ValueError: unknown alignment, or an estimate (or truth) that stands
            still, to which nothing can be fitted.
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(
            f"alignment must be one of {', '.join(ALIGNMENTS)}, got "
            f"{alignment!r}"
        )
    if _at_origin(alignment):
        estimate = from_first_camera(estimate)
        if alignment == "none":
            return estimate, 1.0
        scale = scale_to(from_first_camera(truth)[:, :3, 3], estimate[:, :3, 3])
        moved = Similarity(np.eye(3), np.zeros(3), scale).apply(estimate)
        return moved, scale
    fitted = umeyama(
        truth[:, :3, 3], estimate[:, :3, 3], with_scale=alignment == "7dof"
    )
    return fitted.apply(estimate), fitted.scale


def umeyama(
    truth: np.ndarray, estimate: np.ndarray, with_scale: bool
) -> Similarity:
    """The similarity that best maps estimated onto true positions.

    Least squares in closed form, Umeyama, *Least-Squares Estimation of
    Transformation Parameters Between Two Point Patterns*, PAMI 1991, eq. 34
    to 43. Positions on one line leave the roll about it open; any of the
    best rotations is returned then.

    Args:
        truth: `[N, 3]`.
        estimate: `[N, 3]`.
        with_scale: fit the scale too, else it is 1.

    Raises:
        ValueError: one of them stands still.
    """
    true_mean, mean = truth.mean(axis=0), estimate.mean(axis=0)
    true_spread, spread = truth - true_mean, estimate - mean
    variance = (spread**2).sum() / len(estimate)
    if not variance > 0 or not (true_spread**2).sum() > 0:
        raise ValueError(
            "a trajectory that stands still has neither direction nor scale "
            "to align; expected positions that differ; use alignment none"
        )
    covariance = true_spread.T @ spread / len(estimate)
    u, singular, vt = np.linalg.svd(covariance)
    # A reflection would fit better than any rotation: take the best rotation.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u * signs @ vt
    scale = float((singular * signs).sum() / variance) if with_scale else 1.0
    if not scale > 0:
        raise ValueError(
            f"the best scale is {scale:g}: estimate and truth have nothing in "
            "common; check that they show the same frames"
        )
    return Similarity(rotation, true_mean - scale * rotation @ mean, scale)


def scale_to(truth: np.ndarray, estimate: np.ndarray) -> float:
    """S = Σ p·z / Σ p·p, which minimises Σ|s·p − z|² about the origin.

    Args:
        truth: `[N, 3]` positions z.
        estimate: `[N, 3]` positions p.

    Raises:
        ValueError: the estimate never leaves the origin.
    """
    norm = (estimate**2).sum()
    if not norm > 0:
        raise ValueError(
            "a trajectory that stands still has no scale; expected positions "
            "that differ; use alignment none"
        )
    return float((truth * estimate).sum() / norm)


def relative_errors(
    truth: np.ndarray, estimate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """E = (Z_i⁻¹·Z_{i+1})⁻¹ · (P_i⁻¹·P_{i+1}) from each frame to the next.

    Sturm et al., IROS 2012, eq. 1, with Δ = one frame.

    Args:
        truth: `[N, 4, 4]` poses Z.
        estimate: `[N, 4, 4]` poses P, aligned.

    Returns:
        Length of E's translation in metres and its angle in radians, both
        `[N - 1]`.
    """
    error = inverse(steps(truth)) @ steps(estimate)
    return np.linalg.norm(error[:, :3, 3], axis=-1), rotation_angle(error)


def segment_errors(
    truth: np.ndarray,
    estimate: np.ndarray,
    lengths: Sequence[float] = KITTI_LENGTHS,
    step: int = KITTI_STEP,
) -> list[Segment]:
    """Errors over stretches of path, as KITTI's odometry devkit has them.

    A segment of length l starts at every `step`-th frame i and ends at the
    first frame j whose distance along the *true* path is strictly more than
    l beyond i's; there is none where the path ends before. Its error is that
    of E = (P_i⁻¹·P_j)⁻¹ · (Z_i⁻¹·Z_j), divided by the nominal l.

    Args:
        truth: `[N, 4, 4]` poses Z, metres.
        estimate: `[N, 4, 4]` poses P, aligned.
        lengths: metres.
        step: frames.

    Returns:
        By start, then by length; empty where the path is too short.
    """
    along = distances_along(truth)
    found = []
    for first in range(0, len(truth), step):
        for length in lengths:
            last = int(
                np.searchsorted(along, along[first] + length, side="right")
            )
            if last == len(truth):
                continue
            error = inverse(inverse(estimate[first]) @ estimate[last]) @ (
                inverse(truth[first]) @ truth[last]
            )
            found.append(
                Segment(
                    first,
                    last,
                    float(length),
                    float(np.linalg.norm(error[:3, 3]) / length),
                    float(rotation_angle(error) / length),
                )
            )
    return found


def snippet_errors(
    truth: np.ndarray, estimate: np.ndarray, length: int = SNIPPET_LENGTH
) -> SnippetErrors | None:
    """The 5-frame "ATE" of SfMLearner (Zhou et al., CVPR 2017, table 3).

    Every run of `length` consecutive frames is put at its first camera and
    scaled by Σ p·z / Σ p·p, for itself. That hides all drift: it is here to
    compare with published tables, not to judge odometry by. A snippet whose
    estimate does not move is left at scale 1.

    Args:
        truth: `[N, 4, 4]` world_from_camera, metres.
        estimate: `[N, 4, 4]`, in any world and unit.
        length: frames of a snippet.

    Returns:
        None where there are fewer than `length` frames.
    """
    errors = []
    for first in range(len(truth) - length + 1):
        true, estimated = (
            from_first_camera(poses[first : first + length])[:, :3, 3]
            for poses in (truth, estimate)
        )
        scale = scale_to(true, estimated) if estimated.any() else 1.0
        errors.append(np.linalg.norm(scale * estimated - true) / length)
    if not errors:
        return None
    return SnippetErrors(_mean(errors), float(np.std(errors)), len(errors))


def chain(nexts_from_current: np.ndarray) -> np.ndarray:
    """A trajectory from the motion between neighbouring frames.

    W_{i+1} = W_i · (T_{i+1←i})⁻¹, where W is world_from_camera.

    Args:
        nexts_from_current: `[N - 1, 4, 4]`: what the pose network says of
            (target i, source i + 1).

    Returns:
        `[N, 4, 4]` world_from_camera; the world is the first camera.
    """
    poses = [np.eye(4)]
    for motion in inverse(np.asarray(nexts_from_current, np.float64)):
        poses.append(poses[-1] @ motion)
    return np.stack(poses)


def from_first_camera(poses: np.ndarray) -> np.ndarray:
    """The same trajectory `[N, 4, 4]` with its first camera as the world."""
    return inverse(poses[0]) @ poses


def steps(poses: np.ndarray) -> np.ndarray:
    """Motions P_i⁻¹·P_{i+1} `[N - 1, 4, 4]` of a trajectory `[N, 4, 4]`."""
    return inverse(poses[:-1]) @ poses[1:]


def distances_along(poses: np.ndarray) -> np.ndarray:
    """Metres along the path up to each frame, `[N]`, the first one 0."""
    moved = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=-1)
    return np.concatenate([[0.0], np.cumsum(moved)])


def rotation_angle(poses: np.ndarray) -> np.ndarray:
    """Angle in radians, in [0, π], of poses `[..., 4, 4]`.

    From sine and cosine both: arccos of the trace alone, as in KITTI's
    devkit, loses half of the digits of a small angle.
    """
    sine = 0.5 * np.linalg.norm(
        np.stack(
            [
                poses[..., 2, 1] - poses[..., 1, 2],
                poses[..., 0, 2] - poses[..., 2, 0],
                poses[..., 1, 0] - poses[..., 0, 1],
            ],
            axis=-1,
        ),
        axis=-1,
    )
    cosine = 0.5 * (np.trace(poses[..., :3, :3], axis1=-2, axis2=-1) - 1)
    return np.arctan2(sine, cosine)


def inverse(poses: np.ndarray) -> np.ndarray:
    """[Rᵀ, −Rᵀt] of rigid `[..., 4, 4]`."""
    inverted = np.zeros_like(poses)
    rotation = np.swapaxes(poses[..., :3, :3], -1, -2)
    inverted[..., :3, :3] = rotation
    inverted[..., :3, 3] = -(rotation @ poses[..., :3, 3:])[..., 0]
    inverted[..., 3, 3] = 1
    return inverted


def check_poses(poses: np.ndarray, what: str) -> np.ndarray:
    """Float64 `[N, 4, 4]` rigid poses, or ValueError that names `what`."""
    poses = np.asarray(poses, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) < 2:
        raise ValueError(
            f"{what}: expected poses [frames, 4, 4] of two frames or more, "
            f"got shape {list(poses.shape)}"
        )
    bad = ~np.isfinite(poses).all(axis=(1, 2))
    rotation = np.where(bad[:, None, None], 0, poses[:, :3, :3])
    off = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3))
    bad |= (off > _ROTATION_TOLERANCE).any(axis=(1, 2))
    bad |= np.linalg.det(rotation) <= 0
    if bad.any():
        raise ValueError(
            f"{what}: pose {int(np.argmax(bad))} is not rigid and finite "
            f"({np.count_nonzero(bad)} of {len(poses)} are not); expected "
            "[R | t] with a rotation R, camera to world"
        )
    return poses


def _check(
    truth: np.ndarray, estimate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    truth = check_poses(truth, "true trajectory")
    estimate = check_poses(estimate, "estimated trajectory")
    if len(truth) != len(estimate):
        raise ValueError(
            f"{len(estimate)} estimated poses for {len(truth)} true ones; "
            "give the same frames of both"
        )
    return truth, estimate


def _at_origin(alignment: Alignment) -> bool:
    return alignment in ("none", "scale")


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values))

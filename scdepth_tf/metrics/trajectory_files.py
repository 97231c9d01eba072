"""Trajectory files: KITTI rows and TUM lines.

KITTI: a frame is 12 numbers, the rows of [R | t], world_from_camera.
TUM: a frame is `time x y z qx qy qz qw`, seconds, position and unit quaternion
of world_from_camera; lines that begin with # are comments.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from scdepth_tf.files import write_whole
from scdepth_tf.metrics.odometry import check_poses

MAXIMUM_TIME_DIFFERENCE = 0.01
"""Seconds within which two TUM lines are the same frame (the default of TUM's
tools, and of evo)."""


class Trajectory(NamedTuple):
    """Poses of frames in time order."""

    poses: np.ndarray
    """`[N, 4, 4]` float64 world_from_camera."""

    times: np.ndarray | None
    """`[N]` seconds; None where the file has none (KITTI)."""


def read_trajectory(path: str | Path) -> Trajectory:
    """A KITTI or TUM file, told apart by the numbers in its lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else; the line says what.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; give poses in KITTI's or TUM's format"
        )
    rows = _read_rows(path)
    if rows.shape[1] == 12:
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3] = rows.reshape(-1, 3, 4)
        return Trajectory(check_poses(poses, str(path)), None)
    if rows.shape[1] == 8:
        return _from_tum(rows, path)
    raise ValueError(
        f"{path}: {rows.shape[1]} numbers a line; expected 12 (KITTI rows) or "
        "8 (TUM: time x y z qx qy qz qw)"
    )


def write_kitti(path: str | Path, poses: np.ndarray) -> None:
    """Writes poses `[N, 4, 4]` as KITTI rows, whole or not at all.

    Raises:
        ValueError: the file cannot be written.
    """
    rows = np.asarray(poses)[:, :3].reshape(-1, 12)
    write_whole(path, _lines(rows))


def write_tum(
    path: str | Path,
    poses: np.ndarray,
    times: np.ndarray | None = None,
    unit: str | None = None,
) -> None:
    """Writes poses `[N, 4, 4]` as TUM lines, whole or not at all.

    Args:
        path: the file.
        poses: world_from_camera.
        times: `[N]` seconds; by default the number of the frame.
        unit: of the positions, for the comment on top.

    Raises:
        ValueError: the file cannot be written.
    """
    poses = np.asarray(poses)
    times = np.arange(len(poses)) if times is None else np.asarray(times)
    rows = np.column_stack(
        [times, poses[:, :3, 3], quaternions(poses[:, :3, :3])]
    )
    comment = "# time x y z qx qy qz qw" + (f", {unit}" if unit else "")
    write_whole(path, f"{comment}\n{_lines(rows)}")


def matched(truth: Trajectory, estimate: Trajectory) -> tuple[np.ndarray, ...]:
    """True and estimated poses of the same frames, in time order.

    With times in both, each estimated frame meets the true frame nearest in
    time, if that is within 0.01 s; else frame i meets frame i.

    Returns:
        True and estimated poses, both `[M, 4, 4]`.

    Raises:
        ValueError: files without times differ in length, or no two frames
            (or only one) match.
    """
    if truth.times is None or estimate.times is None:
        if len(truth.poses) != len(estimate.poses):
            raise ValueError(
                f"{len(estimate.poses)} estimated poses for "
                f"{len(truth.poses)} true ones, without times to match them "
                "by; give the same frames of both, or TUM files"
            )
        return truth.poses, estimate.poses
    nearest = _nearest(truth.times, estimate.times)
    close = (
        np.abs(truth.times[nearest] - estimate.times) <= MAXIMUM_TIME_DIFFERENCE
    )
    # Of several estimates near one true frame, the nearest in time counts.
    closest = _nearest(estimate.times, truth.times)[nearest]
    kept = np.flatnonzero(close & (closest == np.arange(len(nearest))))
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} of {len(estimate.times)} estimated frames have a "
            f"true one within {MAXIMUM_TIME_DIFFERENCE:g} s; expected two or "
            "more: check that both clocks are the same"
        )
    return truth.poses[nearest[kept]], estimate.poses[kept]


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(x, y, z, w) `[N, 4]`, w ≥ 0, of rotations `[N, 3, 3]`.

    Of the four ways to divide, the one with the largest divisor is taken
    (Shepperd, J. Guidance and Control 1978), so no angle loses digits.
    """
    m = np.asarray(rotations, np.float64)
    # 4·q·qᵀ, rows and columns x, y, z, w; its largest row is best conditioned.
    products = np.empty((len(m), 4, 4))
    trace = np.trace(m, axis1=1, axis2=2)
    for i in range(3):
        products[:, i, i] = 1 + 2 * m[:, i, i] - trace
        j, k = (i + 1) % 3, (i + 2) % 3
        products[:, i, j] = products[:, j, i] = m[:, i, j] + m[:, j, i]
        products[:, i, 3] = products[:, 3, i] = m[:, k, j] - m[:, j, k]
    products[:, 3, 3] = 1 + trace
    largest = np.einsum("nii->ni", products).argmax(axis=1)
    rows = products[np.arange(len(m)), largest]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(rows[:, 3:] < 0, -rows, rows)


def rotations(quaternions: np.ndarray) -> np.ndarray:
    """`[N, 3, 3]` of unit quaternions (x, y, z, w) `[N, 4]`."""
    x, y, z, w = np.asarray(quaternions, np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _from_tum(rows: np.ndarray, path: Path) -> Trajectory:
    times, quaternion = rows[:, 0], rows[:, 4:]
    norm = np.linalg.norm(quaternion, axis=1, keepdims=True)
    off = ~(np.abs(norm - 1) < 0.01)
    if off.any():
        raise ValueError(
            f"{path}: the quaternion of frame {int(np.argmax(off))} has "
            f"length {norm[np.argmax(off), 0]:g}, expected 1; a line is "
            "time x y z qx qy qz qw"
        )
    if (np.diff(times) <= 0).any():
        raise ValueError(
            f"{path}: times must grow from line to line, but line "
            f"{int(np.argmax(np.diff(times) <= 0)) + 2} does not; sort the file"
        )
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3, :3] = rotations(quaternion / norm)
    poses[:, :3, 3] = rows[:, 1:4]
    return Trajectory(check_poses(poses, str(path)), times)


def _nearest(times: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Index into growing `times` `[N]` of the one nearest to each asked."""
    after = np.searchsorted(times, asked).clip(1, len(times) - 1)
    before_is_nearer = asked - times[after - 1] <= times[after] - asked
    return after - before_is_nearer


def _read_rows(path: Path) -> np.ndarray:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    try:
        rows = [
            [float(number) for number in line.replace(",", " ").split()]
            for line in lines
            if line.strip() and not line.lstrip().startswith("#")
        ]
    except ValueError as error:
        raise ValueError(f"{path}: expected numbers ({error})") from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(
            f"{path}: expected lines of equally many numbers, got "
            f"{', '.join(str(len(row)) for row in rows[:4]) or 'none'}"
        )
    return np.array(rows, np.float64)


def _lines(rows: np.ndarray) -> str:
    return "".join(" ".join(repr(float(x)) for x in row) + "\n" for row in rows)

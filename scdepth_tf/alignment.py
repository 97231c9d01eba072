"""Refines a camera's path by the depth that the network saw along it.

A pose network looks at two images; how far the camera went it guesses to
some ten percent. Here each frame, with its predicted depth, is laid over its
neighbours until the images agree (direct alignment), in both directions and
over several gaps, and all of that is put together:

1. `align`: motion from a keyframe with depth to another image, starting from
   the pose network's. Inverse compositional Gauss-Newton (Baker and Matthews,
   IJCV 2004) on SE(3), on a pyramid, with robust weights.
2. `depth_scales`: i→j is measured in the unit of frame i's depth, j→i in that
   of frame j's. Their ratios tell how the unit flickers from frame to frame.
3. `pose_graph`: the path that agrees best with all motions, in one unit.

NumPy only; everything is float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scdepth_tf.metrics.odometry import inverse
from scdepth_tf.metrics.reprojection import scale_intrinsics

LEVELS = 3
"""Of the pyramid: the images, half and a quarter of their size."""
GAPS = (1, 2, 4)
"""Frames between a keyframe and those it is laid over, both ways."""

_ITERATIONS = 12
_SETTLED = 0.01
"""Of the noise: a step that changes the grey levels by less is the last."""
_MOST_PIXELS = 4000
_HUBER = 1.345
_LEAST_OVERLAP = 0.3
_LEAST_NOISE = 1e-6


class Alignment(NamedTuple):
    """How one image lies over a keyframe."""

    source_from_target: np.ndarray
    """`[4, 4]`, from the keyframe's camera into the other, in the unit of the
    keyframe's depth."""

    error: float
    """Robust standard deviation of the grey levels' differences."""

    overlap: float
    """Share of the keyframe's pixels that the other image shows."""


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """A keyframe at one size."""

    points: np.ndarray
    """`[N, 3]` of the pixels with texture, in the camera's frame."""

    grey: np.ndarray
    """`[N]`, in [0, 1]."""

    jacobian: np.ndarray
    """`[N, 8]`: change of the grey levels with a small motion (translation,
    rotation), gain and offset."""

    intrinsics: np.ndarray
    """`[3, 3]` in pixels of this level."""


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """An image with its depth, ready to be keyframe or the other one."""

    levels: tuple[Level, ...]
    """The smallest last."""

    greys: tuple[np.ndarray, ...]
    """`[h, w]` of each level."""


def prepare_frame(
    image: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray
) -> Frame:
    """What alignment needs of a frame.

    Args:
        image: `[H, W, 3]` in [0, 1].
        depth: `[H, W]` > 0.
        intrinsics: `[3, 3]` in pixels of the image.

    Raises:
        ValueError: image and depth differ in size.
    """
    if image.shape[:2] != depth.shape:
        raise ValueError(
            f"the image is {list(image.shape[:2])}, its depth "
            f"{list(depth.shape)}; give both at one size"
        )
    grey = image.astype(np.float64) @ [0.299, 0.587, 0.114]
    disparity = 1 / depth.astype(np.float64)
    levels, greys = [], []
    for _ in range(LEVELS):
        camera = scale_intrinsics(intrinsics, depth.shape, grey.shape)
        levels.append(_level(grey, disparity, camera))
        greys.append(grey)
        grey, disparity = _halved(grey), _halved(disparity)
    return Frame(tuple(levels), tuple(greys))


def align(target: Frame, source: Frame, initial: np.ndarray) -> Alignment:
    """The motion under which the source explains the target best.

    Args:
        target: the keyframe, whose depth is used.
        source: the other one.
        initial: source_from_target `[4, 4]` to start from, in the unit of the
            target's depth.

    Returns:
        The motion; `initial` with an overlap of 0 where the images share too
        little.
    """
    pose = initial
    for level, grey in zip(target.levels[::-1], source.greys[::-1], strict=True):
        for _ in range(_ITERATIONS):
            residual, inside = _residual(level, grey, pose)
            if inside.mean() < _LEAST_OVERLAP:
                return Alignment(initial, np.inf, 0.0)
            jacobian = level.jacobian[inside]
            noise, step = _step(jacobian, residual[inside])
            pose = pose @ inverse(_exponential(step[:6]))
            if np.std(jacobian[:, :6] @ step[:6]) < _SETTLED * noise:
                break
    return Alignment(pose, noise, float(inside.mean()))


def _residual(
    level: Level, grey: np.ndarray, pose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Source minus target `[N]` at the target's points, and which are seen."""
    moved = level.points @ pose[:3, :3].T + pose[:3, 3]
    depth = moved[:, 2]
    before = depth > 1e-6
    pixels = moved @ level.intrinsics[:2].T
    pixels /= np.where(before, depth, 1.0)[:, None]
    height, width = grey.shape
    x, y = pixels[:, 0], pixels[:, 1]
    inside = before & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    left = np.minimum(x.astype(int), width - 2)
    top = np.minimum(y.astype(int), height - 2)
    right, down = x - left, y - top
    flat = grey.ravel()
    first = top * width + left
    upper = flat[first] * (1 - right) + flat[first + 1] * right
    lower = flat[first + width] * (1 - right) + flat[first + width + 1] * right
    return upper * (1 - down) + lower * down - level.grey, inside


def _step(
    jacobian: np.ndarray, residual: np.ndarray
) -> tuple[float, np.ndarray]:
    """Noise of the residuals `[N]`, and the `[8]` that explain them best."""
    centred = np.abs(residual - np.median(residual))
    noise = max(1.4826 * float(np.median(centred)), _LEAST_NOISE)
    weight = 1 / np.maximum(centred / (_HUBER * noise), 1)
    weighted = jacobian * weight[:, None]
    normal = weighted.T @ jacobian
    # A whisper of damping, for images that leave a direction open.
    normal[np.diag_indices(8)] *= 1 + 1e-6
    normal[np.diag_indices(8)] += 1e-12
    return noise, np.linalg.solve(normal, weighted.T @ residual)


def _level(
    grey: np.ndarray, disparity: np.ndarray, intrinsics: np.ndarray
) -> Level:
    height, width = grey.shape
    down, across = np.gradient(grey)
    texture = across**2 + down**2
    texture[[0, -1]] = texture[:, [0, -1]] = 0
    count = min(_MOST_PIXELS, texture.size // 2)
    chosen = np.sort(np.argpartition(texture.ravel(), -count)[-count:])
    row, column = np.divmod(chosen, width)
    pixels = np.stack([column, row, np.ones(count)], axis=-1)
    points = pixels @ np.linalg.inv(intrinsics).T
    points /= disparity.ravel()[chosen][:, None]
    x, y, z = points.T
    # d grey / d point, through d pixel / d point = [fx/z, 0, −fx·x/z²; …].
    gradient_x = across.ravel()[chosen] * intrinsics[0, 0] / z
    gradient_y = down.ravel()[chosen] * intrinsics[1, 1] / z
    gradient_z = -(gradient_x * x + gradient_y * y) / z
    values = grey.ravel()[chosen]
    jacobian = np.stack(
        [
            gradient_x,
            gradient_y,
            gradient_z,
            y * gradient_z - z * gradient_y,
            z * gradient_x - x * gradient_z,
            x * gradient_y - y * gradient_x,
            values,
            np.ones(count),
        ],
        axis=-1,
    )
    return Level(points, values, jacobian, intrinsics)


def _halved(values: np.ndarray) -> np.ndarray:
    """`[h/2, w/2]`: means of 2×2."""
    height, width = (size - size % 2 for size in values.shape)
    even = values[:height, :width]
    return even.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


# === The unit of each frame's depth ===


class Motion(NamedTuple):
    """What alignment measured between two frames."""

    target: int
    source: int
    source_from_target: np.ndarray
    """`[4, 4]`, in the unit of the target's depth."""


def depth_scales(
    motions: Sequence[Motion], frames: int, trust: float = 5.0
) -> np.ndarray:
    """By how much each frame's depth is too large, `[N]`, mean (of ln) 0.

    With e the logarithms, ln |t_ij by i| − ln |t_ij by j| = e_i − e_j for
    every pair measured both ways. A chain of such differences drifts, a
    single depth flickers without drifting; so e minimises
    Σ ρ(e_i − e_j − m_ij) + Σ (e_i / trust)², with Huber's ρ.

    Args:
        motions: both directions of each pair.
        frames: N.
        trust: how many times the flicker of a single depth is larger than the
            noise of a difference.
    """
    by_pair = {(one.target, one.source): one for one in motions}
    usual = np.median(
        [np.linalg.norm(one.source_from_target[:3, 3]) for one in motions]
    )
    rows, measured = [], []
    for (i, j), motion in by_pair.items():
        if i < j and (j, i) in by_pair:
            lengths = [
                np.linalg.norm(one.source_from_target[:3, 3])
                for one in (motion, by_pair[j, i])
            ]
            if min(lengths) > 0.1 * usual:
                rows.append((i, j))
                measured.append(np.log(lengths[0] / lengths[1]))
    scales = np.zeros(frames)
    if not rows:
        return np.ones(frames)
    i, j = np.array(rows).T
    measured = np.array(measured)
    weight = np.ones(len(measured))
    difference = np.zeros((len(measured), frames))
    difference[np.arange(len(i)), i] = 1
    difference[np.arange(len(i)), j] = -1
    for _ in range(10):
        normal = (difference * weight[:, None]).T @ difference
        normal[np.diag_indices(frames)] += 1 / trust**2
        scales = np.linalg.solve(normal, difference.T @ (weight * measured))
        off = np.abs(difference @ scales - measured)
        noise = max(1.4826 * float(np.median(off)), 1e-9)
        weight = 1 / np.maximum(off / (_HUBER * noise), 1)
    return np.exp(scales - scales.mean())


# === The path ===


def pose_graph(
    motions: Sequence[Motion], initial: np.ndarray, iterations: int = 10
) -> np.ndarray:
    """The path that agrees best with the motions.

    Minimises Σ ρ(|log(T_ij⁻¹ · W_j⁻¹ · W_i)|) over the poses W, with Huber's
    ρ; translations count in units of the usual step, rotations in tenths of
    a radian... of the angle that such a step subtends at 1.

    Args:
        motions: in one unit.
        initial: world_from_camera `[N, 4, 4]`; its first pose stays.

    Returns:
        `[N, 4, 4]`.
    """
    frames = len(initial)
    poses = initial.copy()
    i = np.array([one.target for one in motions])
    j = np.array([one.source for one in motions])
    measured = inverse(np.stack([one.source_from_target for one in motions]))
    length = np.median(np.linalg.norm(measured[:, :3, 3], axis=-1))
    unit = np.array([length] * 3 + [_ROTATION_UNIT] * 3)
    weight = np.ones(len(motions))
    for _ in range(iterations):
        # W_i · D = W_j in the best case, D = target_from_source.
        error = inverse(measured) @ inverse(poses[i]) @ poses[j]
        residual = _logarithm(error) / unit
        size = np.linalg.norm(residual, axis=-1)
        noise = max(1.4826 * float(np.median(size)), 1e-12)
        weight = 1 / np.maximum(size / (_HUBER * noise), 1)
        step = _graph_step(i, j, poses, residual, weight, unit, frames)
        poses[1:] = poses[1:] @ np.stack([_exponential(one) for one in step])
        if np.abs(step).max() < 1e-9:
            break
    return poses


_ROTATION_UNIT = 0.01


def _graph_step(i, j, poses, residual, weight, unit, frames) -> np.ndarray:
    """`[N − 1, 6]`: the change of all poses but the first.

    With E = D⁻¹·W_i⁻¹·W_j near identity, a change of W_j by exp(δ_j) changes
    log E by δ_j, one of W_i by exp(δ_i) changes it by −Ad(W_j⁻¹·W_i)·δ_i.
    """
    normal = np.zeros((6 * frames, 6 * frames))
    right = np.zeros(6 * frames)
    ours = np.diag(1 / unit)
    theirs = -_adjoint(inverse(poses[j]) @ poses[i]) / unit[:, None]
    for k in range(len(i)):
        a, b = (slice(6 * n, 6 * n + 6) for n in (i[k], j[k]))
        w = weight[k]
        normal[a, a] += w * theirs[k].T @ theirs[k]
        normal[b, b] += w * ours @ ours
        cross = w * theirs[k].T @ ours
        normal[a, b] += cross
        normal[b, a] += cross.T
        right[a] -= w * theirs[k].T @ residual[k]
        right[b] -= w * ours @ residual[k]
    kept = normal[6:, 6:]
    kept[np.diag_indices(len(kept))] += 1e-9
    return np.linalg.solve(kept, right[6:]).reshape(-1, 6)


def _adjoint(poses: np.ndarray) -> np.ndarray:
    """`[N, 6, 6]` for (translation, rotation) of poses `[N, 4, 4]`."""
    rotation, translation = poses[:, :3, :3], poses[:, :3, 3]
    result = np.zeros((len(poses), 6, 6))
    result[:, :3, :3] = result[:, 3:, 3:] = rotation
    result[:, :3, 3:] = _cross(translation) @ rotation
    return result


def _cross(vectors: np.ndarray) -> np.ndarray:
    """`[..., 3, 3]`: a × b as a matrix times b."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _exponential(twist: np.ndarray) -> np.ndarray:
    """`[4, 4]` of (translation, rotation) `[6]`: Rodrigues' formula."""
    angle = float(np.linalg.norm(twist[3:]))
    generator = _cross(twist[3:])
    if angle < 1e-6:
        a, b, c = 1.0, 0.5, 1 / 6
    else:
        a = np.sin(angle) / angle
        b = (1 - np.cos(angle)) / angle**2
        c = (1 - a) / angle**2
    squared = generator @ generator
    pose = np.eye(4)
    pose[:3, :3] += a * generator + b * squared
    pose[:3, 3] = (np.eye(3) + b * generator + c * squared) @ twist[:3]
    return pose


def _logarithm(poses: np.ndarray) -> np.ndarray:
    """(translation, rotation) `[N, 6]` of poses `[N, 4, 4]` near identity.

    First order in the translation's part of the rotation, which is enough
    for residuals.
    """
    rotation = poses[:, :3, :3]
    vee = 0.5 * np.stack(
        [
            rotation[:, 2, 1] - rotation[:, 1, 2],
            rotation[:, 0, 2] - rotation[:, 2, 0],
            rotation[:, 1, 0] - rotation[:, 0, 1],
        ],
        axis=-1,
    )
    sine = np.linalg.norm(vee, axis=-1, keepdims=True)
    factor = np.arcsin(np.clip(sine, 0, 1)) / np.maximum(sine, 1e-12)
    return np.concatenate([poses[:, :3, 3], factor * vee], axis=-1)

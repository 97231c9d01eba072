"""Refines a camera's path by what the depth network saw along it.

A pose network guesses each step to some ten percent, and in a unit that is not
quite that of the depth. Here

1. neighbouring frames, each with its predicted depth, are laid over each
   other until the images agree (`align`: inverse compositional Gauss-Newton on
   SE(3), Baker and Matthews, IJCV 2004, on a pyramid, with robust weights);
2. each step is the mean of what pose network and alignment say, weighted by
   how steady either is (`fuse`), in the unit of the depth;
3. the camera's velocity is smoothed (`smooth`): what is carried by something
   heavy does not change it much from frame to frame.

NumPy only, float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from scdepth_tf.data import Scene
from scdepth_tf.lite import prepare
from scdepth_tf.metrics.odometry import inverse, rotation_angle, steps
from scdepth_tf.metrics.reprojection import scale_intrinsics

LEVELS = 3
"""Of the pyramid: the images, half and a quarter of their size."""

DEPTH_NOISE = 0.1
"""Relative error expected of the depth of a pixel."""
WINDOW = 256
"""Steps that are smoothed together."""
OVERLAP = 64
"""Steps that a window shares with the next; what is further away than half of
them hardly counts."""
VELOCITY_CHANGE = 0.005
"""How much a vehicle's velocity changes from a frame to the next, as a share
of the usual step: 0.5 m/s² at 10 m/s and 10 frames a second."""
STEP_NOISE = 0.1
"""The same of a step's error, at most; measured on four streets and KITTI's
sequence 06."""
_FLICKERING = 0.25
"""Share of the steps' errors that neighbours do not have in common, of which
alone the steps can tell; measured likewise."""

_ITERATIONS = 12
_SETTLED = 0.01
"""Of the noise: a step that changes the grey levels by less is the last."""
_MOST_PIXELS = 4000
_HUBER = 1.345
_LEAST_OVERLAP = 0.3
_LEAST_NOISE = 1e-6
_MOVED, _TURNED = slice(0, 3), slice(3, 6)
_STIFFEST = 16.0
"""Beyond, a window would be too short."""
_FEWEST = 5
"""Steps from which noise can be told."""


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


def refine(
    frames: Iterable[Frame],
    initial: np.ndarray,
    velocity_change: float = VELOCITY_CHANGE,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """A better path, in the unit of the frames' depth. Holds two frames.

    Args:
        frames: N in time order, read one at a time.
        initial: world_from_camera `[N, 4, 4]`: what `chain` makes of the pose
            network's motions.
        velocity_change: of the carrier from frame to frame, as a share of the
            usual step; for a hand 0.3 or more, infinity does not smooth.
        progress: called with frames done and in all.

    Returns:
        world_from_camera `[N, 4, 4]`; the first camera is that of `initial`.

    Raises:
        ValueError: there are not as many frames as poses.
    """
    guessed = steps(initial)
    aligned = np.full_like(guessed, np.nan)
    count, before = 0, None
    for count, frame in enumerate(frames, start=1):
        if before is not None and count <= len(initial):
            aligned[count - 2] = _aligned_step(
                before, frame, guessed[count - 2]
            )
        before = frame
        if progress:
            progress(count, len(initial))
    if count != len(initial):
        raise ValueError(
            f"{count} frames for {len(initial)} poses; give the same frames"
        )
    path = [initial[0]]
    for step in refine_steps(guessed, aligned, velocity_change):
        path.append(path[-1] @ step)
    return np.stack(path)


def refine_steps(
    guessed: np.ndarray,
    aligned: np.ndarray,
    velocity_change: float = VELOCITY_CHANGE,
) -> np.ndarray:
    """The best steps, of what the pose network and what alignment says.

    Args:
        guessed: P_i⁻¹·P_{i+1} `[N, 4, 4]`, scene units.
        aligned: the same by `align`, in the unit of the depth; NaN where
            frames could not be aligned.
        velocity_change: see `refine`.

    Returns:
        `[N, 4, 4]`, in the unit of the depth.
    """
    known = np.isfinite(aligned).all(axis=(1, 2))
    first = _coordinates(guessed)
    second = np.full_like(first, np.nan)
    if known.any():
        second[known] = _coordinates(aligned[known])
        lengths = [_usual_length(one[known]) for one in (first, second)]
        first[:, :3] *= lengths[1] / lengths[0] if min(lengths) > 0 else 1.0
    steps = np.concatenate(
        [fuse(first[:, part], second[:, part]) for part in (_MOVED, _TURNED)],
        axis=1,
    )
    flicker = _flicker(steps[:, _MOVED]) / max(_usual_length(steps), 1e-30)
    noise = min(STEP_NOISE, flicker / 2**0.5 / _FLICKERING)
    steps[:, _MOVED] = smooth(steps[:, _MOVED], noise / velocity_change)
    return _from_coordinates(steps)


def fuse(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean of two measurements of one signal, both `[N, C]`, weighted by how
    steady they are (variance of the differences from one to the next); where
    the second is NaN, the first.
    """
    known = np.isfinite(second).all(axis=1)
    if np.count_nonzero(known) < _FEWEST:
        return first
    variances = [_flicker(one[known]) ** 2 for one in (first, second)]
    weight = variances[0] / max(sum(variances), 1e-30)
    return np.where(known[:, None], first + weight * (second - first), first)


def smooth(values: np.ndarray, ratio: float) -> np.ndarray:
    """A signal `[N, C]` without its noise.

    The signal is a random walk, the noise white, `ratio` times as strong as a
    step of the walk. Outliers count by Huber's weights.
    """
    if len(values) < _FEWEST:
        return values
    ratio = min(ratio, _STIFFEST)
    smoothed = values.copy()
    start = 0
    while True:
        part = slice(start, start + WINDOW)
        at = 0 if start == 0 else OVERLAP // 2
        window = _smooth_window(values[part], ratio)
        smoothed[start + at : part.stop] = window[at:]
        if part.stop >= len(values):
            return smoothed
        start += WINDOW - OVERLAP


def _flicker(values: np.ndarray) -> float:
    """Robust standard deviation of the steps of `[N, C]`, all C together."""
    steps = np.linalg.norm(np.diff(values, axis=0), axis=1)
    # Of a normal distribution in three dimensions.
    return float(np.median(steps)) / 1.538


def _usual_length(steps: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(steps[:, _MOVED], axis=1)))


def _smooth_window(values: np.ndarray, ratio: float) -> np.ndarray:
    differences = np.diff(np.eye(len(values)), axis=0)
    stiffness = ratio**2 * differences.T @ differences
    weight = np.ones(len(values))
    for _ in range(5):
        smoothed = np.linalg.solve(
            np.diag(weight) + stiffness, weight[:, None] * values
        )
        off = np.linalg.norm(values - smoothed, axis=1)
        usual = max(float(np.median(off)), 1e-12)
        weight = 1 / np.maximum(off / (_HUBER * usual), 1)
    return smoothed


def _aligned_step(before: Frame, after: Frame, guess: np.ndarray) -> np.ndarray:
    """P_i⁻¹·P_{i+1} by alignment, by the depth of both; NaN where the images
    share too little.
    """
    forward = align(before, after, inverse(guess))
    backward = align(after, before, guess)
    if not (forward.overlap and backward.overlap):
        return np.full((4, 4), np.nan)
    both = np.stack(
        [inverse(forward.source_from_target), backward.source_from_target]
    )
    return _from_coordinates(_coordinates(both).mean(axis=0)[None])[0]


def _coordinates(poses: np.ndarray) -> np.ndarray:
    """Translation and rotation vector `[N, 6]` of poses `[N, 4, 4]`."""
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
    factor = rotation_angle(poses)[:, None] / np.maximum(sine, 1e-15)
    factor = np.where(sine > 1e-15, factor, 1.0)
    return np.concatenate([poses[:, :3, 3], factor * vee], axis=-1)


def _from_coordinates(coordinates: np.ndarray) -> np.ndarray:
    """The inverse: `[N, 4, 4]`."""
    poses = []
    for one in coordinates:
        pose = _exponential(np.concatenate([np.zeros(3), one[3:]]))
        pose[:3, 3] = one[:3]
        poses.append(pose)
    return np.stack(poses)


def scene_frames(
    scene: Scene, predict_depth: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Frame]:
    """The frames of a scene with their predicted depth, at its size."""
    for index in range(len(scene)):
        image = scene.image(index)
        depth = predict_depth(image)
        camera = scale_intrinsics(
            scene.intrinsics, scene.image_size, depth.shape
        )
        yield prepare_frame(prepare(image, depth.shape), depth, camera)


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
    pose, exposure = initial, np.zeros(2)
    for level, grey in zip(
        target.levels[::-1], source.greys[::-1], strict=True
    ):
        for _ in range(_ITERATIONS):
            residual, inside = _residual(level, grey, pose)
            if inside.mean() < _LEAST_OVERLAP:
                return Alignment(initial, np.inf, 0.0)
            jacobian = level.jacobian[inside]
            along = pose[:3, :3].T @ pose[:3, 3]
            by_depth = DEPTH_NOISE * np.abs(jacobian[:, :3] @ along)
            unexplained = residual[inside] - jacobian[:, 6:] @ exposure
            noise, step = _step(jacobian, unexplained, by_depth)
            exposure = exposure + step[6:]
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
    jacobian: np.ndarray, residual: np.ndarray, by_depth: np.ndarray
) -> tuple[float, np.ndarray]:
    """Noise of the residuals `[N]`, and the `[8]` that explain them best.

    A pixel whose place depends much on its depth (`by_depth`, grey levels)
    is believed less: rotation is read off what is far.
    """
    centred = np.abs(residual - np.median(residual))
    noise = max(1.4826 * float(np.median(centred)), _LEAST_NOISE)
    expected = np.hypot(noise, by_depth)
    weight = 1 / np.maximum(centred / (_HUBER * expected), 1)
    weight *= (noise / expected) ** 2
    weighted = jacobian * weight[:, None]
    normal = weighted.T @ jacobian
    # A whisper of damping, for images that leave a direction open.
    normal[np.diag_indices(8)] *= 1 + 1e-6
    normal[np.diag_indices(8)] += 1e-12
    return noise, np.linalg.solve(normal, weighted.T @ residual)


def _level(
    grey: np.ndarray, disparity: np.ndarray, intrinsics: np.ndarray
) -> Level:
    width = grey.shape[1]
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

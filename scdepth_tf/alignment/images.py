"""Lays images with depth over each other.

Inverse compositional Gauss-Newton on SE(3) (Baker and Matthews, IJCV 2004), on
a pyramid, with robust weights, a gain and an offset for the exposure. NumPy
only, float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from scdepth_tf.alignment.twists import exponential
from scdepth_tf.data import Scene
from scdepth_tf.lite import prepare
from scdepth_tf.metrics.odometry import inverse
from scdepth_tf.metrics.reprojection import scale_intrinsics

LEVELS = 3
"""Of the pyramid: the images, half and a quarter of their size."""

DEPTH_NOISE = 0.1
"""Relative error expected of the depth of a pixel."""

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
            pose = pose @ inverse(exponential(step[:6]))
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

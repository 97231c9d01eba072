"""Rigid motions as six numbers: translation and rotation vector."""

from __future__ import annotations

import numpy as np

from scdepth_tf.metrics.odometry import rotation_angle


def coordinates(poses: np.ndarray) -> np.ndarray:
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


def from_coordinates(coordinates: np.ndarray) -> np.ndarray:
    """The inverse: `[N, 4, 4]`."""
    poses = []
    for one in coordinates:
        pose = exponential(np.concatenate([np.zeros(3), one[3:]]))
        pose[:3, 3] = one[:3]
        poses.append(pose)
    return np.stack(poses)


def exponential(twist: np.ndarray) -> np.ndarray:
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


def _cross(vectors: np.ndarray) -> np.ndarray:
    """`[..., 3, 3]`: a × b as a matrix times b."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

"""Rigid motion: pose vectors and 4×4 matrices."""

from __future__ import annotations

import tensorflow as tf


def pose_matrix(pose: tf.Tensor) -> tf.Tensor:
    """Matrix of a pose vector, R = Rx·Ry·Rz.

    The Euler order is that of both published codes. Euler angles, unlike an
    axis-angle vector, need no norm, whose gradient at zero rotation is NaN.

    Args:
        pose: [B, 6] (tx, ty, tz, rx, ry, rz): scene units and radians.

    Returns:
        [B, 4, 4] `source_from_target`.
    """
    x, y, z = tf.unstack(pose[:, 3:], axis=-1)
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    cos_x, cos_y, cos_z = tf.cos(x), tf.cos(y), tf.cos(z)
    sin_x, sin_y, sin_z = tf.sin(x), tf.sin(y), tf.sin(z)
    rotation_x = _matrix(
        [[one, zero, zero], [zero, cos_x, -sin_x], [zero, sin_x, cos_x]]
    )
    rotation_y = _matrix(
        [[cos_y, zero, sin_y], [zero, one, zero], [-sin_y, zero, cos_y]]
    )
    rotation_z = _matrix(
        [[cos_z, -sin_z, zero], [sin_z, cos_z, zero], [zero, zero, one]]
    )
    return _rigid(rotation_x @ rotation_y @ rotation_z, pose[:, :3])


def pose_vector(pose: tf.Tensor) -> tf.Tensor:
    """Pose vector of a matrix: the inverse of `pose_matrix` for |ry| < π/2.

    Args:
        pose: [B, 4, 4] rigid.

    Returns:
        [B, 6] (tx, ty, tz, rx, ry, rz): scene units and radians.
    """
    angles = tf.stack(
        [
            tf.atan2(-pose[:, 1, 2], pose[:, 2, 2]),
            tf.asin(tf.clip_by_value(pose[:, 0, 2], -1.0, 1.0)),
            tf.atan2(-pose[:, 0, 1], pose[:, 0, 0]),
        ],
        axis=-1,
    )
    return tf.concat([pose[:, :3, 3], angles], axis=-1)


def inverse_pose(pose: tf.Tensor) -> tf.Tensor:
    """Inverse of a rigid motion: [Rᵀ, −Rᵀt].

    Args:
        pose: [..., 4, 4], say `source_from_target`.

    Returns:
        [..., 4, 4], then `target_from_source`.
    """
    rotation = tf.linalg.matrix_transpose(pose[..., :3, :3])
    translation = -tf.linalg.matvec(rotation, pose[..., :3, 3])
    return _rigid(rotation, translation)


def mirror_pose(pose: tf.Tensor) -> tf.Tensor:
    """Pose between two cameras whose images were both flipped: S·T·S.

    Args:
        pose: [..., 4, 4].

    Returns:
        [..., 4, 4] with S = diag(−1, 1, 1, 1).
    """
    mirror = tf.constant([-1.0, 1.0, 1.0, 1.0], pose.dtype)
    return mirror[:, None] * pose * mirror


def _matrix(rows: list[list[tf.Tensor]]) -> tf.Tensor:
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def _rigid(rotation: tf.Tensor, translation: tf.Tensor) -> tf.Tensor:
    """[..., 3, 3] and [..., 3] to [..., 4, 4]."""
    top = tf.concat([rotation, translation[..., None]], axis=-1)
    last_row = tf.constant([[0.0, 0.0, 0.0, 1.0]], top.dtype)
    bottom = tf.zeros_like(top[..., :1, :]) + last_row
    return tf.concat([top, bottom], axis=-2)

"""The pinhole camera: rays, projection, and intrinsics under image edits."""

from __future__ import annotations

import tensorflow as tf


def pixel_grid(
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Coordinates of every pixel centre.

    Returns:
        [H, W, 2], the last axis (u, v): column, then row.
    """
    u, v = tf.meshgrid(
        tf.range(tf.cast(width, dtype)), tf.range(tf.cast(height, dtype))
    )
    return tf.stack([u, v], axis=-1)


def viewing_rays(
    intrinsics: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Direction K⁻¹p̃ in which each pixel looks, scaled to Z = 1.

    Args:
        intrinsics: [B, 3, 3] pixels; skew is honoured.
        height: rows of the image.
        width: columns of the image.

    Returns:
        [B, H, W, 3] rays (X/Z, Y/Z, 1) in the camera frame.
    """
    fx, fy, cx, cy, skew = _parameters(intrinsics)
    pixels = pixel_grid(height, width, intrinsics.dtype)[None]
    y = (pixels[..., 1] - cy) / fy
    x = (pixels[..., 0] - cx - skew * y) / fx
    return tf.stack([x, y, tf.ones_like(x)], axis=-1)


def backproject(depth: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Points that a depth map shows: X = D(p)·K⁻¹p̃.

    Args:
        depth: [B, H, W, 1] scene units.
        intrinsics: [B, 3, 3] pixels.

    Returns:
        [B, H, W, 3] points in the camera frame, scene units.
    """
    shape = tf.shape(depth)
    return depth * viewing_rays(intrinsics, shape[1], shape[2])


def project(points: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Pixels on which points fall: (K·X / Z)_xy.

    Args:
        points: [B, H, W, 3] in the camera frame, Z ≠ 0.
        intrinsics: [B, 3, 3] pixels.

    Returns:
        [B, H, W, 2] pixel coordinates (u, v), not limited to the image.
    """
    fx, fy, cx, cy, skew = _parameters(intrinsics)
    x = points[..., 0] / points[..., 2]
    y = points[..., 1] / points[..., 2]
    return tf.stack([fx * x + skew * y + cx, fy * y + cy], axis=-1)


def scale_intrinsics(
    intrinsics: tf.Tensor,
    scale_x: float | tf.Tensor,
    scale_y: float | tf.Tensor,
) -> tf.Tensor:
    """Intrinsics after resizing the image by (scale_x, scale_y).

    Pixel centres are integers, so the image spans [−0.5, W − 0.5]: the
    principal point moves to (cx + 0.5)·s − 0.5.

    Args:
        intrinsics: [..., 3, 3] pixels of the image before.
        scale_x: new width / old width, a scalar.
        scale_y: new height / old height, a scalar.

    Returns:
        [..., 3, 3] pixels of the resized image.
    """
    return _edit(
        [
            [scale_x, 0.0, 0.5 * scale_x - 0.5],
            [0.0, scale_y, 0.5 * scale_y - 0.5],
            [0.0, 0.0, 1.0],
        ],
        intrinsics,
    )


def crop_intrinsics(
    intrinsics: tf.Tensor, x0: float | tf.Tensor, y0: float | tf.Tensor
) -> tf.Tensor:
    """Intrinsics after cutting the image so that pixel (x0, y0) becomes (0, 0).

    Args:
        intrinsics: [..., 3, 3] pixels of the image before.
        x0: first column kept, a scalar.
        y0: first row kept, a scalar.

    Returns:
        [..., 3, 3] pixels of the cut-out.
    """
    return _edit(
        [[1.0, 0.0, -1.0 * x0], [0.0, 1.0, -1.0 * y0], [0.0, 0.0, 1.0]],
        intrinsics,
    )


def flip_intrinsics(intrinsics: tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Intrinsics after mirroring the image left to right: cx' = W − 1 − cx.

    The camera is mirrored with the image, so fx stays positive; poses between
    mirrored cameras are `mirror_pose` of the originals.

    Args:
        intrinsics: [..., 3, 3] pixels; skew changes sign.
        width: columns of the image.

    Returns:
        [..., 3, 3] pixels of the mirrored image.
    """
    intrinsics = tf.convert_to_tensor(intrinsics)
    last_column = tf.cast(width, intrinsics.dtype) - 1.0
    mirrored = _edit(
        [[-1.0, 0.0, last_column], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        intrinsics,
    )
    mirror_x = tf.constant([-1.0, 1.0, 1.0], intrinsics.dtype)
    return mirrored * mirror_x  # columns: X of the camera is mirrored too


def _edit(pixel_map: list[list], intrinsics: tf.Tensor) -> tf.Tensor:
    """Apply a 3×3 map of homogeneous pixels to intrinsics [..., 3, 3]."""
    intrinsics = tf.convert_to_tensor(intrinsics)
    rows = [
        tf.stack([tf.cast(value, intrinsics.dtype) for value in row])
        for row in pixel_map
    ]
    return tf.stack(rows) @ intrinsics


def _parameters(intrinsics: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """fx, fy, cx, cy, skew, each [B, 1, 1] to broadcast over an image."""
    entries = intrinsics[:, None, None]
    return (
        entries[..., 0, 0],
        entries[..., 1, 1],
        entries[..., 0, 2],
        entries[..., 1, 2],
        entries[..., 0, 1],
    )

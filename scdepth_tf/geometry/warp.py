"""The inverse warp: what the target camera would see of the source frame."""

from __future__ import annotations

from typing import Literal, NamedTuple

import tensorflow as tf

from scdepth_tf.geometry.addons import resample
from scdepth_tf.geometry.camera import pixel_grid, viewing_rays

Sampler = Literal["gather", "addons"]

NEAREST_DEPTH = 1e-3
"""z_min: points at or behind it are not seen (scene units). Both the value and
the clamping below follow SC-SfMLearner-Release."""


class Warp(NamedTuple):
    """A source frame seen from the target camera; every field [B, H, W, ·]."""

    image: tf.Tensor
    """I'_a [B, H, W, 3]: the source image sampled at p'; 0 out of view."""
    sampled_depth: tf.Tensor
    """D'_b [B, H, W, 1]: the source depth sampled at p'; 0 out of view."""
    computed_depth: tf.Tensor
    """D_b^a [B, H, W, 1]: Z of the target's points in the source camera,
    clamped to z_min."""
    valid: tf.Tensor
    """[B, H, W, 1], 1 where the point lies before the source camera and
    projects into its image, else 0."""


def inverse_warp(
    source_image: tf.Tensor,
    source_depth: tf.Tensor,
    target_depth: tf.Tensor,
    source_from_target: tf.Tensor,
    intrinsics: tf.Tensor,
    sampler: Sampler = "gather",
) -> Warp:
    """Warp a source frame into the target view (Bian et al. 2021, sec. 3.2).

    With X = D(p)·K⁻¹p̃ and X' = R·X + t, the target pixel p looks at source
    pixel p' = (K·X'/Z')_xy. Written as *motion* of the viewing ray r = K⁻¹p̃,
    δ = (R − I)·r + t/D, this is p' = p + K·(δ − r·δ_z)_xy / (1 + δ_z) and
    Z' = D·(1 + δ_z): the same numbers, but no motion moves nothing, to the
    last bit, where the direct form loses 1e-4 pixels to rounding.

    Args:
        source_image: [B, H, W, C], any value range; C is 3 for RGB.
        source_depth: [B, H, W, 1] scene units.
        target_depth: [B, H, W, 1] scene units, > 0.
        source_from_target: [B, 4, 4] rigid motion, scene units.
        intrinsics: [B, 3, 3] pixels, shared by both frames.
        sampler: of `bilinear_sample`.

    Returns:
        The warped image, both depths to compare, and the valid mask. Values
        and gradients are finite for any finite input; gradients are zero
        where a point is not in view.
    """
    shape = tf.shape(target_depth)
    height, width = shape[1], shape[2]
    rays = viewing_rays(intrinsics, height, width)
    motion = source_from_target - tf.eye(4, dtype=source_from_target.dtype)
    shift = (
        tf.einsum("bij,bhwj->bhwi", motion[:, :3, :3], rays)
        + motion[:, None, None, :3, 3] / target_depth
    )
    depth_ratio = 1.0 + shift[..., 2:]
    in_front = target_depth * depth_ratio > NEAREST_DEPTH
    depth_ratio = tf.maximum(depth_ratio, NEAREST_DEPTH / target_depth)

    ray_change = (shift[..., :2] - rays[..., :2] * shift[..., 2:]) / depth_ratio
    pixel_change = tf.einsum(
        "bij,bhwj->bhwi", intrinsics[:, :2, :2], ray_change
    )
    pixels = pixel_grid(height, width, rays.dtype) + pixel_change

    last_pixel = tf.cast(tf.stack([width, height]), pixels.dtype) - 1.0
    in_image = tf.reduce_all(
        (pixels >= 0.0) & (pixels <= last_pixel), axis=-1, keepdims=True
    )
    # Apart: images take no gradient, and in one gather with the depth theirs
    # would be scattered all the same.
    image, sampled_depth = (
        tf.where(in_image, sampled, tf.zeros_like(sampled))
        for sampled in (
            bilinear_sample(source_image, pixels, sampler),
            bilinear_sample(source_depth, pixels, sampler),
        )
    )
    return Warp(
        image=image,
        sampled_depth=sampled_depth,
        computed_depth=target_depth * depth_ratio,
        valid=tf.cast(in_front & in_image, target_depth.dtype),
    )


def bilinear_sample(
    image: tf.Tensor, pixels: tf.Tensor, sampler: Sampler = "gather"
) -> tf.Tensor:
    """Read an image between its pixels; outside, the nearest edge pixel.

    Args:
        image: [B, H, W, C], H and W at least 2.
        pixels: [B, h, w, 2] coordinates (u, v).
        sampler: what computes it, with the same result: `gather`, TensorFlow's
            own operations, or `addons`, a kernel of tensorflow-addons.

    Returns:
        [B, h, w, C]. The gradient to `pixels` is zero outside the image.

    Raises:
        ImportError: tensorflow-addons is asked for and not there.
    """
    # A diverged network must end as a NaN loss, which a training step can
    # skip, not as a gather out of bounds, which kills the process.
    pixels = tf.where(tf.math.is_nan(pixels), tf.zeros_like(pixels), pixels)
    size = tf.shape(image)
    last_pixel = tf.stack([size[2] - 1, size[1] - 1])
    limits = tf.cast(last_pixel, pixels.dtype)
    pixels = tf.maximum(tf.minimum(pixels, limits), 0.0)
    if sampler == "addons":
        return resample(image, pixels)
    # One gather of the packed 2×2 neighbourhood instead of four gathers:
    # under XLA on a CPU its gradient is the fastest of all forms tried
    # (docs/decisions.md).
    corners = tf.concat(
        [
            image[:, :-1, :-1],
            image[:, :-1, 1:],
            image[:, 1:, :-1],
            image[:, 1:, 1:],
        ],
        axis=-1,
    )
    shape = tf.shape(corners)
    batch, rows, columns = shape[0], shape[1], shape[2]
    corner = tf.minimum(tf.floor(pixels), limits - 1.0)
    fraction = pixels - corner
    column, row = tf.unstack(tf.cast(corner, tf.int32), axis=-1)
    first = tf.range(batch)[:, None, None] * (rows * columns)
    neighbours = tf.gather(
        tf.reshape(corners, [batch * rows * columns, corners.shape[-1]]),
        first + row * columns + column,
    )
    top_left, top_right, bottom_left, bottom_right = tf.split(
        neighbours, 4, axis=-1
    )
    x, y = fraction[..., :1], fraction[..., 1:]
    top = top_left + x * (top_right - top_left)
    bottom = bottom_left + x * (bottom_right - bottom_left)
    return top + y * (bottom - top)

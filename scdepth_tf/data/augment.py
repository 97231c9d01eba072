"""Random changes to a triplet that keep image and intrinsics in agreement."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from scdepth_tf.geometry import (
    crop_intrinsics,
    flip_intrinsics,
    scale_intrinsics,
)

_GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue, as `tf.image.rgb_to_grayscale`."""


class Draw(NamedTuple):
    """One draw of every random number of a triplet, each in [0, 1)."""

    zoom: tf.Tensor
    """[2] along y and x: 0 is no zoom, 1 the largest."""

    offset: tf.Tensor
    """[2] along y and x: where the crop lies, from top left to bottom
    right."""

    color: tf.Tensor
    """[3] of brightness, contrast, saturation: 0 weakest, 1 strongest."""

    flip: tf.Tensor
    """[] below one half: mirror."""


def draw(seed: tf.Tensor) -> Draw:
    """The draw that belongs to `seed` [2] int64; the same one every time."""
    numbers = tf.random.stateless_uniform([8], seed, alg="philox")
    return Draw(numbers[0:2], numbers[2:4], numbers[4:7], numbers[7])


def resample(
    frames: tf.Tensor,
    intrinsics: tf.Tensor,
    image_size: tuple[int, int],
    zoom: tf.Tensor | tuple[float, float] = (1.0, 1.0),
    offset: tf.Tensor | tuple[float, float] = (0.0, 0.0),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resizes to `image_size`·zoom and cuts `image_size` out, in one
    interpolation (antialiased bilinear, as `tf.image.resize`).

    Args:
        frames: [N, h, w, 3] uint8.
        intrinsics: [3, 3] in pixels of `frames`.
        image_size: height and width of the result.
        zoom: along y and x, 1 or more; fractions of pixels count.
        offset: along y and x, position of the cut-out in [0, 1].

    Returns:
        Frames [N, H, W, 3] float32 in [0, 1] and their intrinsics [3, 3].
    """
    size = tf.cast(tf.shape(frames)[1:3], tf.float32)
    scale, start = _scale_and_start(size, image_size, zoom, offset)
    pixels = tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(frames, tf.float32),  # twice as fast as from uint8
        size=image_size,
        scale=scale,
        translation=-start,
        kernel_type="triangle",
        antialias=True,
    )
    pixels.set_shape([None, *image_size, 3])
    intrinsics = resampled_intrinsics(
        intrinsics, size, image_size, zoom, offset
    )
    # The weights of the interpolation add up to 1 only within rounding.
    return tf.clip_by_value(pixels / 255.0, 0.0, 1.0), intrinsics


def resampled_intrinsics(
    intrinsics: tf.Tensor,
    size: tf.Tensor,
    image_size: tuple[int, int],
    zoom: tf.Tensor | tuple[float, float] = (1.0, 1.0),
    offset: tf.Tensor | tuple[float, float] = (0.0, 0.0),
) -> tf.Tensor:
    """Intrinsics [3, 3] after `resample` of frames whose height and width are
    `size` [2] float32.
    """
    scale, start = _scale_and_start(size, image_size, zoom, offset)
    intrinsics = scale_intrinsics(intrinsics, scale[1], scale[0])
    return crop_intrinsics(intrinsics, start[1], start[0])


def _scale_and_start(
    size: tf.Tensor,
    image_size: tuple[int, int],
    zoom: tf.Tensor | tuple[float, float],
    offset: tf.Tensor | tuple[float, float],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Enlargement [2], and where the cut-out starts [2] in enlarged pixels,
    along y and x.
    """
    zoomed = tf.constant(image_size, tf.float32) * zoom
    return zoomed / size, (zoomed - image_size) * offset


def mirror(
    frames: tf.Tensor, intrinsics: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors frames [N, H, W, 3] left to right, and intrinsics [3, 3] with
    them.
    """
    width = tf.shape(frames)[2]
    return tf.reverse(frames, [2]), flip_intrinsics(intrinsics, width)


def jitter_colors(
    frames: tf.Tensor, strength: float, color: tf.Tensor
) -> tf.Tensor:
    """Changes brightness, contrast and saturation of all frames alike.

    Contrast is taken about the mean grey of all frames together, so that a
    point keeps equal colours in all of them.

    Args:
        frames: [N, H, W, 3] in [0, 1].
        strength: the factors lie in [1 − strength, 1 + strength].
        color: [3] in [0, 1), see `Draw`.

    Returns:
        [N, H, W, 3] in [0, 1].
    """
    factors = 1.0 + strength * (2.0 * color - 1.0)
    brightness, contrast, saturation = tf.unstack(factors)
    # Brightness, saturation and contrast, one after the other, as one affine
    # change of each colour: half the time.
    pixels = tf.reshape(frames, [-1, 3])
    mean_grey = brightness * tf.tensordot(tf.reduce_mean(pixels, 0), _GREY, 1)
    keep = brightness * contrast * saturation
    mix = brightness * contrast * (1.0 - saturation)
    matrix = keep * tf.eye(3) + mix * tf.tile(
        tf.constant(_GREY)[:, None], [1, 3]
    )
    changed = tf.matmul(pixels, matrix) + (1.0 - contrast) * mean_grey
    return tf.clip_by_value(tf.reshape(changed, tf.shape(frames)), 0.0, 1.0)

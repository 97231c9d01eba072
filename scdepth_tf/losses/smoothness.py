"""Edge-aware smoothness of depth."""

from __future__ import annotations

import tensorflow as tf


def smoothness(depth: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """L_S = mean(|∂x D̄|·e^(−|∂x I|)) + the same in y, D̄ = D / mean(D).

    L1 gradients of the mean-normalised *depth* follow both published codes
    (the paper's eq. 6 squares them); |∂I| is the mean over the channels.

    Args:
        depth: [B, H, W, 1] scene units, > 0.
        image: [B, H, W, 3] that the depth belongs to; the published codes
            pass standardised images.

    Returns:
        Scalar, ≥ 0, unchanged when the depth is scaled.
    """
    depth = depth / tf.reduce_mean(depth, axis=[1, 2, 3], keepdims=True)
    return _along(depth, image, axis=2) + _along(depth, image, axis=1)


def _along(depth: tf.Tensor, image: tf.Tensor, axis: int) -> tf.Tensor:
    edges = tf.reduce_mean(_step(image, axis), axis=-1, keepdims=True)
    return tf.reduce_mean(_step(depth, axis) * tf.exp(-edges))


def _step(values: tf.Tensor, axis: int) -> tf.Tensor:
    """|difference| of neighbours along rows (axis 1) or columns (axis 2)."""
    if axis == 1:
        return tf.abs(values[:, 1:] - values[:, :-1])
    return tf.abs(values[:, :, 1:] - values[:, :, :-1])

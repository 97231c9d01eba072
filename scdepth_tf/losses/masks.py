"""Which pixels count: the auto-mask and means under a mask."""

from __future__ import annotations

import tensorflow as tf

from scdepth_tf.losses.photometric import box_mean

_REGION = 5
"""Side of a region of `region_auto_mask`, pixels."""
_LITTLE, _MUCH = 0.1, 0.4
"""The share of its error that a region has to lose, at least and at most
(docs/decisions.md)."""


def auto_mask(
    target: tf.Tensor, warped: tf.Tensor, source: tf.Tensor
) -> tf.Tensor:
    """M_a: keep a pixel only where warping explains it better than not.

    mean_c|I_a − I'_a| < mean_c|I_a − I_b|, strictly, so that a camera that
    stands still teaches nothing and cars that drive along are dropped. The
    left side is clipped to [0, 1] per channel and the right side is not, as
    in SC-SfMLearner-Release.

    Args:
        target: [B, H, W, 3] I_a, standardised.
        warped: [B, H, W, 3] I'_a, the warped source, standardised.
        source: [B, H, W, 3] I_b as it is, standardised.

    Returns:
        [B, H, W, 1] of 0 and 1, without gradient.
    """
    after = tf.minimum(tf.abs(target - warped), 1.0)
    before = tf.abs(target - source)
    better = tf.reduce_mean(after, axis=-1, keepdims=True) < tf.reduce_mean(
        before, axis=-1, keepdims=True
    )
    return tf.cast(better, target.dtype)


def region_auto_mask(
    after: tf.Tensor, before: tf.Tensor, valid: tf.Tensor
) -> tf.Tensor:
    """M_a of regions: keep a pixel only where warping explains what is around
    it much better than not.

    The error of the 5×5 pixels around it, as far as they are in view, must
    fall by 40 %; in an image whose error falls by less as a whole, which all
    do when a training starts, by as much as there, and by 10 % in any case.
    Errors of single pixels fall by chance, and on a car that drives along by
    interpolation alone, which takes noise away; each such pixel pulls its
    depth to infinity. Ours; the published codes have `auto_mask`.

    Args:
        after: [B, H, W, 1] photometric error of the warped source, >= 0.
        before: [B, H, W, 1] photometric error of the source as it is, >= 0.
        valid: [B, H, W, 1], 0 or 1: the pixels that are seen in the source.

    Returns:
        [B, H, W, 1] of 0 and 1, without gradient.
    """
    after, before = valid * after, valid * before
    remaining = tf.math.divide_no_nan(
        *(
            tf.reduce_sum(error, axis=[1, 2, 3], keepdims=True)
            for error in (after, before)
        )
    )
    limit = tf.clip_by_value(remaining, 1.0 - _MUCH, 1.0 - _LITTLE)
    better = box_mean(after, _REGION) < limit * box_mean(before, _REGION)
    return tf.cast(better, after.dtype)


def masked_mean(
    x: tf.Tensor, mask: tf.Tensor, count: tf.Tensor | None = None
) -> tf.Tensor:
    """Σ(m·x) / max(Σm, 1) over the whole batch.

    Args:
        x: [..., C] values.
        mask: [..., 1] or [..., C] weights in [0, 1].
        count: what to divide by instead, where x is a part of a batch whose
            other parts are elsewhere (`scdepth_tf.replicas`).

    Returns:
        Scalar; 0, with zero gradient, where the mask is empty.
    """
    mask = tf.broadcast_to(mask, tf.shape(x))
    if count is None:
        count = tf.maximum(tf.reduce_sum(mask), 1.0)
    return tf.reduce_sum(mask * x) / count


def drop_sparse_images(mask: tf.Tensor, minimum_fraction: float) -> tf.Tensor:
    """Empty the masks of images that keep too few pixels to learn from.

    Args:
        mask: [B, H, W, 1] in [0, 1].
        minimum_fraction: of the image's pixels, in [0, 1].

    Returns:
        [B, H, W, 1], whole images zeroed.
    """
    fraction = tf.reduce_mean(mask, axis=[1, 2, 3], keepdims=True)
    return tf.where(fraction >= minimum_fraction, mask, tf.zeros_like(mask))

"""How different two aligned images look: L1 and SSIM."""

from __future__ import annotations

import tensorflow as tf

# Both published codes keep SSIM's constants for images in [0, 1] although
# they compare standardised ones.
_C1 = 0.01**2
_C2 = 0.03**2

IMAGE_MEAN = 0.45
IMAGE_STD = 0.225


def standardise(images: tf.Tensor) -> tf.Tensor:
    """(x − 0.45) / 0.225: the space in which both published codes compare.

    Args:
        images: [..., 3] RGB in [0, 1].

    Returns:
        The same shape, in about [−2, 2.45].
    """
    return (images - IMAGE_MEAN) / IMAGE_STD


def ssim_distance(a: tf.Tensor, b: tf.Tensor, window: int = 3) -> tf.Tensor:
    """Structural dissimilarity clip((1 − SSIM)/2, 0, 1) with a box window.

    Args:
        a: [B, H, W, C] images; any range (C1 = 0.01², C2 = 0.03²).
        b: [B, H, W, C].
        window: odd side of the box in pixels; 3 in SC-SfMLearner-Release, 7
            in sc_depth_pl. The image is continued by reflection.

    Returns:
        [B, H, W, C] in [0, 1], 0 for equal images.
    """
    # Five poolings: twice as fast under XLA on a CPU as one of all stacked.
    mean_a, mean_b, square_a, square_b, product = (
        box_mean(moment, window) for moment in (a, b, a * a, b * b, a * b)
    )
    variance_a = square_a - mean_a * mean_a
    variance_b = square_b - mean_b * mean_b
    covariance = product - mean_a * mean_b
    likeness = (2.0 * mean_a * mean_b + _C1) * (2.0 * covariance + _C2)
    largest = (mean_a * mean_a + mean_b * mean_b + _C1) * (
        variance_a + variance_b + _C2
    )
    return tf.clip_by_value((1.0 - likeness / largest) / 2.0, 0.0, 1.0)


def photometric_error(
    absolute: tf.Tensor, dissimilarity: tf.Tensor, ssim_weight: float = 0.85
) -> tf.Tensor:
    """0.15·L1 + 0.85·S, mean over the channels (paper eq. 2 and 3).

    Args:
        absolute: [B, H, W, 3] clipped |I_a − I'_a| in standardised space.
        dissimilarity: [B, H, W, 3] `ssim_distance` of the same pair.
        ssim_weight: λ_s; λ_i is 1 − λ_s.

    Returns:
        [B, H, W, 1] in [0, 1].
    """
    error = (1.0 - ssim_weight) * absolute + ssim_weight * dissimilarity
    return tf.reduce_mean(error, axis=-1, keepdims=True)


def box_mean(images: tf.Tensor, window: int) -> tf.Tensor:
    """Mean over a window×window box, reflected at the border.

    Args:
        images: [B, H, W, C], higher and wider than window // 2.
        window: odd side of the box in pixels.

    Returns:
        [B, H, W, C].

    As two one-dimensional poolings: 2.5 times faster than one square pooling
    under XLA on a CPU.
    """
    margin = window // 2
    padding = [[0, 0], [margin, margin], [margin, margin], [0, 0]]
    padded = tf.pad(images, padding, mode="REFLECT")
    columns = tf.nn.avg_pool2d(padded, [window, 1], 1, "VALID")
    return tf.nn.avg_pool2d(columns, [1, window], 1, "VALID")

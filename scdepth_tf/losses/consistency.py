"""Whether two frames' depths agree: the idea that keeps one scale."""

from __future__ import annotations

import tensorflow as tf


def depth_inconsistency(computed: tf.Tensor, sampled: tf.Tensor) -> tf.Tensor:
    """D_diff = |D_b^a − D'_b| / (D_b^a + D'_b), clipped to [0, 1] (eq. 5).

    Args:
        computed: [B, H, W, 1] depth of the target's points in the source
            camera, from the target's depth and the pose; scene units, > 0.
        sampled: [B, H, W, 1] the source's own depth there; scene units, ≥ 0.

    Returns:
        [B, H, W, 1] in [0, 1]: 0 where they agree, towards 1 where one is
        many times the other. It does not change when both are scaled.
    """
    difference = tf.abs(computed - sampled) / (computed + sampled)
    return tf.clip_by_value(difference, 0.0, 1.0)


def self_mask(inconsistency: tf.Tensor) -> tf.Tensor:
    """M_s = 1 − D_diff (paper eq. 7): the self-discovered mask.

    It is low on moving objects and occlusions, where the depths of two frames
    cannot agree.

    Args:
        inconsistency: [B, H, W, 1] `depth_inconsistency`, in [0, 1].

    Returns:
        [B, H, W, 1] weights in [0, 1].
    """
    return 1.0 - inconsistency

"""The sampling kernel of tensorflow-addons, where that is installed
(docs/named_stack.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import tensorflow as tf


def check_addons() -> None:
    """Refuse to start with a kernel that is not there.

    Raises:
        ImportError: tensorflow-addons cannot be imported.
    """
    _resampler()


def resample(image: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """`bilinear_sample` of pixels that lie within the image.

    One kernel, forward and backward, on CPU and GPU; XLA cannot compile it.

    Args:
        image: [B, H, W, C], H and W at least 2.
        pixels: [B, h, w, 2] coordinates (u, v), 0 ≤ u ≤ W − 1 and
            0 ≤ v ≤ H − 1.

    Returns:
        [B, h, w, C].

    Raises:
        ImportError: tensorflow-addons cannot be imported.
    """
    # The kernel takes the slope at a pixel from its right and lower
    # neighbour, and beyond the image from zeros: it is given the straight
    # continuation of the image there.
    image = tf.concat([image, 2 * image[:, -1:] - image[:, -2:-1]], axis=1)
    image = tf.concat(
        [image, 2 * image[:, :, -1:] - image[:, :, -2:-1]], axis=2
    )
    return _resampler()(image, pixels)


def _resampler() -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    try:
        with warnings.catch_warnings():
            # At every import it says that its development has ended.
            warnings.simplefilter("ignore")
            from tensorflow_addons.image import resampler
    except ImportError as error:
        raise ImportError(
            'the sampler "addons" needs tensorflow-addons, which needs '
            'TensorFlow 2.15: pip install "scdepth-tf[addons]" into an '
            "environment of Python 3.11 of its own (docs/named_stack.md)"
        ) from error
    return resampler

"""From images to depth and motion with a trained model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from scdepth_tf.data.augment import resample
from scdepth_tf.model import SCDepth


def depth_predictor(
    model: SCDepth, image_size: tuple[int, int]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from an image of any size to depth at the network's size.

    The image is resized exactly as in training.

    Args:
        model: trained.
        image_size: height and width the network works at.

    Returns:
        uint8 [H, W, 3] RGB -> float32 [h, w] depth > 0, scene units.
    """
    depth = tf.function(lambda image: model(image, training=False))

    def predict(image: np.ndarray) -> np.ndarray:
        resized = resize_image(image, image_size)
        return depth(resized[None]).numpy()[0, ..., 0]

    return predict


def resize_image(image: np.ndarray, image_size: tuple[int, int]) -> tf.Tensor:
    """uint8 [H, W, 3] to float32 [h, w, 3] in [0, 1], as in training."""
    frames, _ = resample(tf.constant(image)[None], tf.eye(3), image_size)
    return frames[0]


def motion_predictor(
    model: SCDepth, image_size: tuple[int, int]
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function from two images to the camera's motion between them.

    Args:
        model: trained.
        image_size: height and width the network works at.

    Returns:
        (target, source) uint8 [H, W, 3] RGB -> float64 [4, 4]
        source_from_target, translation in scene units.
    """
    motion = tf.function(model.source_from_target)

    def predict(target: np.ndarray, source: np.ndarray) -> np.ndarray:
        pair = [
            resize_image(image, image_size)[None] for image in (target, source)
        ]
        return motion(*pair).numpy()[0].astype(np.float64)

    return predict


def sequence_predictor(
    model: SCDepth, image_size: tuple[int, int]
) -> Callable[
    [Sequence[np.ndarray], np.ndarray | None], tuple[np.ndarray, np.ndarray]
]:
    """A function from some consecutive frames to their depth and motion.

    Each network is called once for all of them.

    Args:
        model: trained.
        image_size: height and width the networks work at.

    Returns:
        (images, previous) -> depths float32 [N, h, w] and motions float64
        [N, 4, 4], from the camera of the frame before into that of each
        frame. `images` are N times uint8 [H, W, 3] RGB; `previous` is the
        frame before them: None at the start, whose motion is the identity.
    """
    batch = tf.TensorSpec([None, *image_size, 3])
    depth = tf.function(
        lambda images: model(images, training=False), input_signature=[batch]
    )
    motion = tf.function(model.source_from_target, input_signature=[batch] * 2)

    def predict(
        images: Sequence[np.ndarray], previous: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        before = images[0] if previous is None else previous
        frames = tf.stack(
            [resize_image(image, image_size) for image in (before, *images)]
        )
        depths = depth(frames[1:]).numpy()[..., 0]
        motions = motion(frames[:-1], frames[1:]).numpy().astype(np.float64)
        if previous is None:
            motions[0] = np.eye(4)
        return depths, motions

    return predict

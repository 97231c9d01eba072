"""Optical flow without weights, as the front of a pose network.

An encoder that sees two stacked images has to learn what motion looks like
before it can say how the camera moved: hundreds of thousands of pairs. Flow
by least squares needs none (docs/decisions.md, "A pose network for minutes").
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from scdepth_tf.geometry import bilinear_sample, pixel_grid
from scdepth_tf.nets.layers import check_image_size

STRIDES = (16, 8, 4, 2)
"""Levels of the pyramid, coarse to fine."""
STRIDE = 8
"""Of the features."""
WINDOW = 7
"""Side of the window, in pixels of each level, that moves as one."""
NOISE = 0.003
"""Grey levels: weaker texture than this counts as none, and stays put."""
_GREY = (0.299, 0.587, 0.114)


def flow_encoder() -> keras.Model:
    """`FlowFeatures` as an encoder without weights.

    Returns:
        Model: pairs [B, H, W, 6] in [0, 1] -> list of one feature, at stride
        8 with 5 channels.
    """
    pairs = keras.Input((None, None, 6), dtype="float32", name="images")
    features = FlowFeatures(name="flow_features")(pairs)
    return keras.Model(pairs, [features], name="optical_flow")


@keras.saving.register_keras_serializable("scdepth_tf")
class FlowFeatures(keras.layers.Layer):
    """What moved where: flow, how far to trust it, and where that was.

    Input: image pairs [B, H, W, 6] in [0, 1].

    Output: [B, H/8, W/8, 5] float32: flow (x, y) in hundredths of the
    image's width, texture (about 1 where flow is sharp, 0 where there is
    nothing to see), position (x, y) from −1 to 1.

    Raises:
        ValueError: a statically known H or W is not divisible by 32.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def call(self, pairs: tf.Tensor) -> tf.Tensor:
        check_image_size((pairs.shape[1], pairs.shape[2]))
        flow, texture = optical_flow(pairs[..., :3], pairs[..., 3:])
        width = tf.cast(tf.shape(pairs)[2], tf.float32)
        features = tf.concat([flow * (100.0 / width), 20.0 * texture], axis=-1)
        features = _halve(features, STRIDE // STRIDES[-1])
        position = tf.broadcast_to(
            _position(features), [*tf.unstack(tf.shape(features)[:3]), 2]
        )
        return tf.concat([features, position], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, _ = input_shape
        small = [None if s is None else s // STRIDE for s in (height, width)]
        return (batch, *small, 5)


def optical_flow(
    first: tf.Tensor, second: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lucas–Kanade flow on a pyramid, coarse to fine.

    Lucas and Kanade, IJCAI 1981; the pyramid as in Bouguet's report on the
    OpenCV tracker, 2000, here for every pixel, one iteration a level. Good
    for motion of up to some 16 pixels.

    Args:
        first: [B, H, W, 3] in [0, 1].
        second: the same shape.

    Returns:
        Flow [B, H/2, W/2, 2], (x, y) in pixels of the images: what is at p
        in `first` is at p + flow in `second`. Texture [B, H/2, W/2, 1]:
        square root of the window's smaller structure-tensor eigenvalue
        (about), in grey levels per pixel.
    """
    first, second = _grey(first), _grey(second)
    flow = tf.zeros_like(_halve(tf.repeat(first, 2, axis=-1), STRIDES[0]))
    for stride in STRIDES:
        target, source = _halve(first, stride), _halve(second, stride)
        if stride != STRIDES[0]:
            flow = 2.0 * tf.image.resize(flow, tf.shape(target)[1:3])
        step, texture = _least_squares_step(target, _shift(source, flow))
        flow = _mean_filter(flow + tf.clip_by_value(step, -1.0, 1.0), 3)
    return flow * STRIDES[-1], texture


def _grey(image: tf.Tensor) -> tf.Tensor:
    image = tf.convert_to_tensor(image)
    return tf.reduce_sum(image * _GREY, axis=-1, keepdims=True)


def _least_squares_step(
    target: tf.Tensor, source: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The small motion of each window that explains source − target best."""
    dx, dy = _gradients(0.5 * (target + source))
    change = source - target
    products = [dx * dx, dx * dy, dy * dy, dx * change, dy * change]
    xx, xy, yy, xt, yt = (_mean_filter(p, WINDOW) for p in products)
    # The prior of no motion, with the weight of texture as weak as noise.
    xx, yy = xx + 4.0 * NOISE**2, yy + 4.0 * NOISE**2
    determinant = xx * yy - xy * xy
    step = tf.concat([xy * yt - yy * xt, xy * xt - xx * yt], axis=-1)
    return step / determinant, tf.sqrt(determinant / (xx + yy))


def _gradients(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Central differences [B, H, W, 1] along x and y."""
    sides = [[0, 0], [1, 1], [1, 1], [0, 0]]
    padded = tf.pad(image, sides, mode="SYMMETRIC")
    dx = 0.5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    dy = 0.5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    return dx, dy


def _shift(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """`image` sampled at p + flow; beyond the border, the border."""
    size = tf.shape(image)
    return bilinear_sample(image, pixel_grid(size[1], size[2]) + flow)


def _halve(image: tf.Tensor, times: int) -> tf.Tensor:
    return tf.nn.avg_pool2d(image, times, times, "VALID")


def _mean_filter(image: tf.Tensor, side: int) -> tf.Tensor:
    rows = tf.nn.avg_pool2d(image, [side, 1], 1, "SAME")
    return tf.nn.avg_pool2d(rows, [1, side], 1, "SAME")


def _position(features: tf.Tensor) -> tf.Tensor:
    size = tf.shape(features)
    x, y = tf.meshgrid(
        tf.linspace(-1.0, 1.0, size[2]), tf.linspace(-1.0, 1.0, size[1])
    )
    return tf.stack([x, y], axis=-1)[tf.newaxis]

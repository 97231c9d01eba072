"""EfficientNet-Lite0 as an encoder (Tan and Le, ICML 2019; the Lite variants
of the TensorFlow TPU repository, 2020: ReLU6, no squeeze-and-excitation).
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from scdepth_tf.nets.initializers import encoder_initializer
from scdepth_tf.nets.layers import BatchNormalization, Standardize

STEM_CHANNELS = 32
FEATURE_BLOCKS = (0, 2, 4, 10, 15)
"""The last block at each of the strides 2, 4, 8, 16 and 32."""


class Block(NamedTuple):
    """One inverted residual block."""

    kernel_size: int
    stride: int
    expansion: int
    channels: int


class _Stage(NamedTuple):
    repeats: int
    first: Block


_STAGES = (
    _Stage(1, Block(kernel_size=3, stride=1, expansion=1, channels=16)),
    _Stage(2, Block(kernel_size=3, stride=2, expansion=6, channels=24)),
    _Stage(2, Block(kernel_size=5, stride=2, expansion=6, channels=40)),
    _Stage(3, Block(kernel_size=3, stride=2, expansion=6, channels=80)),
    _Stage(3, Block(kernel_size=5, stride=1, expansion=6, channels=112)),
    _Stage(4, Block(kernel_size=5, stride=2, expansion=6, channels=192)),
    _Stage(1, Block(kernel_size=3, stride=1, expansion=6, channels=320)),
)
BLOCKS = tuple(
    stage.first if repeat == 0 else stage.first._replace(stride=1)
    for stage in _STAGES
    for repeat in range(stage.repeats)
)
"""The sixteen blocks of Lite0 in order."""


def efficientnet_lite0(channels: int = 3) -> keras.Model:
    """EfficientNet-Lite0 without its classifier.

    Strided convolutions pad as TensorFlow's "same" (on even sizes one pixel
    more below and to the right), as the published weights expect. The
    published stochastic depth is left out: it regularises long supervised
    training. BatchNorm keeps the published eps 1e-3; its momentum is 0.9,
    the ResNets', because depth training is short (published: 0.99).

    Args:
        channels: 3 for an image, 6 for a pair of images.

    Returns:
        Model: [B, H, W, channels] in [0, 1] -> five features at strides 2,
        4, 8, 16 and 32 with 16, 24, 40, 112 and 320 channels.
    """
    images = keras.Input((None, None, channels), dtype="float32")
    # The published input is (byte − 127) / 128.
    x = Standardize(mean=127 / 255, scale=255 / 128)(images)
    x = _convolution(STEM_CHANNELS, 3, stride=2, name="stem")(x)
    x = _norm("stem")(x)
    x = keras.layers.Activation("relu6")(x)
    features = []
    for index, block in enumerate(BLOCKS):
        x = _inverted_residual(x, block, name=f"block{index}")
        if index in FEATURE_BLOCKS:
            features.append(x)
    return keras.Model(images, features, name="efficientnet_lite0")


def _inverted_residual(
    inputs: keras.KerasTensor, block: Block, name: str
) -> keras.KerasTensor:
    x = inputs
    channels = inputs.shape[-1]
    if block.expansion != 1:
        expanded = block.expansion * channels
        x = _convolution(expanded, 1, name=f"{name}_expand")(x)
        x = _norm(f"{name}_expand")(x)
        x = keras.layers.Activation("relu6")(x)
    x = keras.layers.DepthwiseConv2D(
        block.kernel_size,
        block.stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=encoder_initializer(),
        name=f"{name}_depthwise",
    )(x)
    x = _norm(f"{name}_depthwise")(x)
    x = keras.layers.Activation("relu6")(x)
    x = _convolution(block.channels, 1, name=f"{name}_project")(x)
    x = _norm(f"{name}_project")(x)
    if block.stride == 1 and channels == block.channels:
        x = keras.layers.Add()([x, inputs])
    return x


def _convolution(
    channels: int, kernel_size: int, stride: int = 1, *, name: str
) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        channels,
        kernel_size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=encoder_initializer(),
        name=name,
    )


def _norm(name: str) -> keras.layers.Layer:
    return BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")

"""ResNet-18 and ResNet-50 as encoders (He et al., CVPR 2016), with the details
of torchvision's, which the published SC-Depth weights stand on: the stride of
a bottleneck is in its 3×3 convolution, strided convolutions pad both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras

from scdepth_tf.nets.initializers import encoder_initializer
from scdepth_tf.nets.layers import BatchNormalization, Standardize

_STAGE_WIDTHS = (64, 128, 256, 512)

if TYPE_CHECKING:
    Block = Callable[[keras.KerasTensor, int, int, str], keras.KerasTensor]


def resnet18(channels: int = 3) -> keras.Model:
    """ResNet-18 without its classifier.

    Args:
        channels: 3 for an image, 6 for a pair of images.

    Returns:
        Model: [B, H, W, channels] in [0, 1] -> five features at strides 2,
        4, 8, 16 and 32 with 64, 64, 128, 256 and 512 channels.
    """
    return _resnet(channels, _basic_block, (2, 2, 2, 2), name="resnet18")


def resnet50(channels: int = 3) -> keras.Model:
    """ResNet-50 without its classifier.

    Args:
        channels: 3 for an image, 6 for a pair of images.

    Returns:
        Model: [B, H, W, channels] in [0, 1] -> five features at strides 2,
        4, 8, 16 and 32 with 64, 256, 512, 1024 and 2048 channels.
    """
    return _resnet(channels, _bottleneck_block, (3, 4, 6, 3), name="resnet50")


def _resnet(
    channels: int, block: Block, repeats: tuple[int, ...], name: str
) -> keras.Model:
    images = keras.Input((None, None, channels), dtype="float32")
    # One grey mean and deviation for all channels (both published codes).
    x = Standardize(mean=0.45, scale=1 / 0.225)(images)
    x = _convolution(x, _STAGE_WIDTHS[0], 7, 2, name="stem")
    x = keras.layers.ReLU()(_norm("stem")(x))
    features = [x]
    # Zeros are the identity of a maximum over values that passed a ReLU.
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.MaxPooling2D(3, 2)(x)
    for stage, width in enumerate(_STAGE_WIDTHS):
        for repeat in range(repeats[stage]):
            stride = 2 if stage > 0 and repeat == 0 else 1
            x = block(x, width, stride, f"stage{stage + 1}_block{repeat}")
        features.append(x)
    return keras.Model(images, features, name=name)


def _basic_block(
    inputs: keras.KerasTensor, width: int, stride: int, name: str
) -> keras.KerasTensor:
    x = _convolution(inputs, width, 3, stride, name=f"{name}_conv1")
    x = keras.layers.ReLU()(_norm(f"{name}_conv1")(x))
    x = _convolution(x, width, 3, name=f"{name}_conv2")
    x = _norm(f"{name}_conv2")(x)
    x = keras.layers.Add()([x, _shortcut(inputs, width, stride, name)])
    return keras.layers.ReLU()(x)


def _bottleneck_block(
    inputs: keras.KerasTensor, width: int, stride: int, name: str
) -> keras.KerasTensor:
    x = _convolution(inputs, width, 1, name=f"{name}_conv1")
    x = keras.layers.ReLU()(_norm(f"{name}_conv1")(x))
    x = _convolution(x, width, 3, stride, name=f"{name}_conv2")
    x = keras.layers.ReLU()(_norm(f"{name}_conv2")(x))
    x = _convolution(x, 4 * width, 1, name=f"{name}_conv3")
    x = _norm(f"{name}_conv3")(x)
    x = keras.layers.Add()([x, _shortcut(inputs, 4 * width, stride, name)])
    return keras.layers.ReLU()(x)


def _shortcut(
    inputs: keras.KerasTensor, channels: int, stride: int, name: str
) -> keras.KerasTensor:
    if stride == 1 and inputs.shape[-1] == channels:
        return inputs
    x = _convolution(inputs, channels, 1, stride, name=f"{name}_shortcut")
    return _norm(f"{name}_shortcut")(x)


def _convolution(
    x: keras.KerasTensor,
    channels: int,
    kernel_size: int,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """Convolution padded by kernel_size // 2 on every side.

    With a stride, "same" would pad one side only and shift the features by
    half a pixel against the published weights.
    """
    padding = "same"
    if stride > 1:
        padding = "valid"
        if kernel_size > 1:
            x = keras.layers.ZeroPadding2D(kernel_size // 2)(x)
    return keras.layers.Conv2D(
        channels,
        kernel_size,
        stride,
        padding=padding,
        use_bias=False,
        kernel_initializer=encoder_initializer(),
        name=name,
    )(x)


def _norm(name: str) -> keras.layers.Layer:
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")

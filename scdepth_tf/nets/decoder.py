"""The U-Net decoder of the depth network (Godard et al., ICCV 2019, with the
one full-resolution output that SC-Depth trains).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras

from scdepth_tf.nets.initializers import (
    decoder_initializer,
    logits_initializer,
)
from scdepth_tf.nets.layers import ReflectPad, Upsample

CHANNELS = (16, 32, 64, 128, 256)
"""Published width at strides 1, 2, 4, 8 and 16."""
SLIM_CHANNELS = (8, 16, 24, 48, 96)
"""With them Lite0 has a fifth of the multiplications of ResNet-18 with the
published ones; multiples of 8 fill the registers of int8 kernels."""
FIRST_LOGIT = -1.0
"""Depth starts at 0.37 scene units. At logit 0, as the published codes have
it, depth 0.2 starts only a factor of 2 from the nearest that 10·sigmoid can
say, and near things are cut off until the scale has grown."""
UPSAMPLINGS = ("nearest", "bilinear")


def decode(
    features: list[keras.KerasTensor], decoder: str, upsampling: str
) -> keras.KerasTensor:
    """Five features -> one logit per pixel.

    Per level: 3×3, ×2 upsampling, the encoder's feature of that size, 3×3.
    The last level, at full resolution, has no feature to meet.

    Args:
        features: [B, H/s, W/s, any] at strides s = 2, 4, 8, 16 and 32.
        decoder: a key of `DECODERS`.
        upsampling: "nearest" or "bilinear".

    Returns:
        [B, H, W, 1] float32.

    Raises:
        ValueError: unknown decoder or upsampling.
    """
    convolution, activation, _, channels = get_decoder(decoder)
    if upsampling not in UPSAMPLINGS:
        raise ValueError(
            f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got"
            f" {upsampling!r}"
        )
    *skips, x = features
    skips = [None, *skips]
    for level in reversed(range(len(channels))):
        x = convolution(x, channels[level], f"level{level}_reduce")
        x = keras.layers.Activation(activation)(x)
        x = Upsample(upsampling)(x)
        if skips[level] is not None:
            x = keras.layers.Concatenate()([x, skips[level]])
        x = convolution(x, channels[level], f"level{level}_merge")
        x = keras.layers.Activation(activation)(x)
    return convolution(x, 1, "logits")


class Decoder(NamedTuple):
    """What the decoders differ in."""

    convolution: Callable[[keras.KerasTensor, int, str], keras.KerasTensor]
    activation: str
    upsampling: str
    """Default of the `upsampling` choice."""
    channels: tuple[int, ...]
    """Width at strides 1, 2, 4, 8 and 16."""


def get_decoder(name: str) -> Decoder:
    """Looks a decoder up by name.

    Raises:
        ValueError: unknown name.
    """
    if name not in DECODERS:
        raise ValueError(
            f"decoder must be one of {', '.join(DECODERS)}, got {name!r}"
        )
    return DECODERS[name]


def _zero_padded(
    x: keras.KerasTensor, channels: int, name: str
) -> keras.KerasTensor:
    return _convolution(channels, "same", name)(x)


def _reflect_padded(
    x: keras.KerasTensor, channels: int, name: str
) -> keras.KerasTensor:
    return _convolution(channels, "valid", name)(ReflectPad()(x))


def _convolution(channels: int, padding: str, name: str) -> keras.layers.Layer:
    # The head stays in float32 under mixed precision: at a logit of −5 one
    # step of bfloat16 is 3 % of depth.
    is_head = name == "logits"
    return keras.layers.Conv2D(
        channels,
        3,
        padding=padding,
        kernel_initializer=(
            logits_initializer() if is_head else decoder_initializer()
        ),
        bias_initializer=keras.initializers.Constant(FIRST_LOGIT * is_head),
        dtype="float32" if is_head else None,
        name=name,
    )


DECODERS = {
    "reference": Decoder(_reflect_padded, "elu", "nearest", CHANNELS),
    "mobile": Decoder(_zero_padded, "relu", "bilinear", CHANNELS),
    "slim": Decoder(_zero_padded, "relu", "bilinear", SLIM_CHANNELS),
}

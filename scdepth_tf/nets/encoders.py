"""The encoders by name."""

from __future__ import annotations

from collections.abc import Callable

import keras

from scdepth_tf.nets.efficientnet_lite import efficientnet_lite0
from scdepth_tf.nets.resnet import resnet18, resnet50
from scdepth_tf.nets.weights import load_imagenet

ENCODERS: dict[str, Callable[[int], keras.Model]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "efficientnet_lite0": efficientnet_lite0,
}


def build_encoder(
    name: str, channels: int, weights: str | None = None
) -> keras.Model:
    """Builds an encoder, fully convolutional, with free height and width.

    Args:
        name: a key of `ENCODERS`.
        channels: 3 for an image, 6 for a pair of images.
        weights: None for random weights, or "imagenet".

    Returns:
        Model: [B, H, W, channels] in [0, 1] -> list of five features at
        strides 2, 4, 8, 16 and 32.

    Raises:
        ValueError: unknown name, or no weights of that kind for it.
        FileNotFoundError: the package with the weights is not installed.
    """
    if name not in ENCODERS:
        raise ValueError(
            f"encoder must be one of {', '.join(ENCODERS)}, got {name!r}"
        )
    if weights not in (None, "imagenet"):
        raise ValueError(
            f'encoder_weights must be None or "imagenet", got {weights!r}'
        )
    encoder = ENCODERS[name](channels)
    if weights == "imagenet":
        load_imagenet(encoder)
    return encoder

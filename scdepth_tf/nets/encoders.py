"""The encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from scdepth_tf.nets.efficientnet_lite import efficientnet_lite0
from scdepth_tf.nets.published import load_encoder
from scdepth_tf.nets.resnet import resnet18, resnet50
from scdepth_tf.nets.weights import load_imagenet

ENCODERS: dict[str, Callable[[int], keras.Model]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "efficientnet_lite0": efficientnet_lite0,
}


def build_encoder(
    name: str, channels: int, weights: str | Path | None = None
) -> keras.Model:
    """Builds an encoder, fully convolutional, with free height and width.

    Args:
        name: a key of `ENCODERS`.
        channels: 3 for an image, 6 for a pair of images.
        weights: None for random weights, "imagenet" where a package has
            them, or the path of a file that `load_encoder` reads.

    Returns:
        Model: [B, H, W, channels] in [0, 1] -> list of five features at
        strides 2, 4, 8, 16 and 32.

    Raises:
        ValueError: unknown name, or the weights are not for it.
        FileNotFoundError: the package or the file with the weights is not
            there.
    """
    if name not in ENCODERS:
        raise ValueError(
            f"encoder must be one of {', '.join(ENCODERS)}, got {name!r}"
        )
    encoder = ENCODERS[name](channels)
    if weights == "imagenet":
        load_imagenet(encoder)
    elif weights is not None:
        load_encoder(encoder, weights)
    return encoder

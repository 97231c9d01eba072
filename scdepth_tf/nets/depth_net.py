"""The depth network: an encoder, a U-Net decoder and one disparity head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import tensorflow as tf

from scdepth_tf.nets.encoders import build_encoder
from scdepth_tf.nets.initializers import head_initializer
from scdepth_tf.nets.layers import ReflectPad, Upsample

DECODER_CHANNELS = (16, 32, 64, 128, 256)
"""Width of the decoder at strides 1, 2, 4, 8 and 16."""

Convolution = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]


@keras.saving.register_keras_serializable("scdepth_tf")
class DepthNet(keras.Model):
    """Depth from one image.

    disparity = alpha · sigmoid(logits) + beta and depth = 1 / disparity, so
    that with the published alpha 10 and beta 0.01 depth lies between 0.0999
    and 100 scene units.

    Args:
        encoder: "resnet18", "resnet50" or "efficientnet_lite0".
        decoder: "reference" (reflection padding and ELU, as both published
            codes) or "mobile" (zero padding and ReLU, which int8 runtimes
            execute as they are).
        upsampling: "nearest" (SC-SfMLearner-Release) or "bilinear"
            (sc_depth_pl). None: nearest for reference, bilinear for mobile.
        encoder_weights: None for random weights or "imagenet". Not part of
            `get_config`: a saved model brings its own weights.
        alpha: range of the disparity.
        beta: smallest disparity.

    Attributes:
        encoder: the encoder as a model, images -> five features.
        network: the trainable part as a functional model, images
            [B, H, W, 3] in [0, 1] -> logits [B, H, W, 1].
        min_disparity, max_disparity: the open interval of disparities.

    Raises:
        ValueError: unknown names; H or W of an image not divisible by 32.
        FileNotFoundError: the ImageNet weights are not installed.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        decoder: Literal["reference", "mobile"] = "reference",
        upsampling: Literal["nearest", "bilinear"] | None = None,
        encoder_weights: Literal["imagenet"] | None = None,
        alpha: float = 10.0,
        beta: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if decoder not in _DECODERS:
            raise ValueError(
                f"decoder must be one of {', '.join(_DECODERS)}, got"
                f" {decoder!r}"
            )
        convolution, activation, default_upsampling = _DECODERS[decoder]
        if upsampling is None:
            upsampling = default_upsampling
        if upsampling not in ("nearest", "bilinear"):
            raise ValueError(
                "upsampling must be one of nearest, bilinear, got"
                f" {upsampling!r}"
            )
        self.encoder_name = encoder
        self.decoder_name = decoder
        self.upsampling = upsampling
        self.alpha = alpha
        self.beta = beta
        self.encoder = build_encoder(encoder, 3, encoder_weights)
        images = keras.Input((None, None, 3), dtype="float32", name="image")
        features = self.encoder(images)
        logits = _decode(features, convolution, activation, upsampling)
        self.network = keras.Model(images, logits, name="network")
        self.built = True  # all weights exist: nothing waits for a first call

    @property
    def min_disparity(self) -> float:
        return self.beta

    @property
    def max_disparity(self) -> float:
        return self.alpha + self.beta

    def logits(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Raw output: [B, H, W, 3] in [0, 1] -> [B, H, W, 1] float32."""
        return self.network(images, training=training)

    def disparity(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Inverse depth: [B, H, W, 3] in [0, 1] -> [B, H, W, 1] float32."""
        logits = self.logits(images, training=training)
        return self.alpha * tf.sigmoid(logits) + self.beta

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Depth: [B, H, W, 3] in [0, 1] -> [B, H, W, 1] float32, > 0."""
        return 1.0 / self.disparity(images, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "encoder": self.encoder_name,
            "decoder": self.decoder_name,
            "upsampling": self.upsampling,
            "alpha": self.alpha,
            "beta": self.beta,
        }


def _decode(
    features: list[keras.KerasTensor],
    convolution: Convolution,
    activation: str,
    upsampling: str,
) -> keras.KerasTensor:
    """Five features -> logits at full resolution.

    Per level: 3×3, ×2 upsampling, the encoder's feature of that size, 3×3.
    The last level, at full resolution, has no feature to meet.
    """
    *skips, x = features
    skips = [None, *skips]
    for level in reversed(range(len(DECODER_CHANNELS))):
        channels = DECODER_CHANNELS[level]
        x = convolution(x, channels, f"level{level}_reduce")
        x = keras.layers.Activation(activation)(x)
        x = Upsample(upsampling)(x)
        if skips[level] is not None:
            x = keras.layers.Concatenate()([x, skips[level]])
        x = convolution(x, channels, f"level{level}_merge")
        x = keras.layers.Activation(activation)(x)
    return convolution(x, 1, "logits")


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
    return keras.layers.Conv2D(
        channels,
        3,
        padding=padding,
        kernel_initializer=head_initializer(),
        dtype="float32" if name == "logits" else None,
        name=name,
    )


_DECODERS = {
    "reference": (_reflect_padded, "elu", "nearest"),
    "mobile": (_zero_padded, "relu", "bilinear"),
}

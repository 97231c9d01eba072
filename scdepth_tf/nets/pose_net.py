"""The pose network: camera motion between the two images of a pair."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from scdepth_tf.nets.encoders import build_encoder
from scdepth_tf.nets.initializers import pose_head_initializer

CHANNELS = 256
POSE_SCALE = 0.01
"""Small motions at the start of training (Zhou et al., CVPR 2017)."""


@keras.saving.register_keras_serializable("scdepth_tf")
class PoseNet(keras.Model):
    """Pose vector of an image pair.

    The encoder sees both images stacked on channels; a 1×1 and two 3×3
    convolutions with ReLU and a linear 1×1 convolution follow, and the mean
    over all positions times 0.01 is the pose.

    Args:
        encoder: "resnet18", "resnet50" or "efficientnet_lite0".
        encoder_weights: None for random weights or "imagenet" (the first
            convolution's kernel is repeated for the second image and
            halved). Not part of `get_config`: a saved model brings its own
            weights.

    Attributes:
        encoder: the encoder as a model, pairs -> five features.
        network: the trainable part as a functional model, pairs
            [B, H, W, 6] in [0, 1] -> unscaled pose [B, 6].

    Raises:
        ValueError: unknown names; H or W of an image not divisible by 32.
        FileNotFoundError: the ImageNet weights are not installed.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        encoder_weights: Literal["imagenet"] | None = None,
        **kwargs: Any,
    ) -> None:
        # Images stay float32 up to the standardisation under every policy.
        super().__init__(autocast=False, **kwargs)
        self.encoder_name = encoder
        self.encoder = build_encoder(encoder, 6, encoder_weights)
        pairs = keras.Input((None, None, 6), dtype="float32", name="pair")
        x = self.encoder(pairs)[-1]
        x = _convolution(CHANNELS, 1, name="squeeze", activation="relu")(x)
        x = _convolution(CHANNELS, 3, name="conv1", activation="relu")(x)
        x = _convolution(CHANNELS, 3, name="conv2", activation="relu")(x)
        # In float32 under mixed precision: a step of bfloat16 is 0.4 %.
        x = _convolution(6, 1, name="motion", dtype="float32")(x)
        x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
        self.network = keras.Model(pairs, x, name="network")
        self.built = True  # all weights exist: nothing waits for a first call

    def call(self, pairs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Pose between the images of each pair.

        Args:
            pairs: [B, H, W, 6] in [0, 1], the target's channels first.
            training: whether BatchNorm uses the batch's statistics.

        Returns:
            [B, 6] float32 (tx, ty, tz, rx, ry, rz): source_from_target,
            translation in scene units, rotation in radians.
        """
        return POSE_SCALE * self.network(pairs, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoder": self.encoder_name}


def _convolution(
    channels: int, kernel_size: int, **kwargs: Any
) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        channels,
        kernel_size,
        padding="same",
        kernel_initializer=pose_head_initializer(),
        **kwargs,
    )

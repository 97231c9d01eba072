"""The pose network: camera motion between the two images of a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.nets.encoders import build_encoder
from scdepth_tf.nets.initializers import (
    pose_head_initializer,
    relu_initializer,
)
from scdepth_tf.nets.optical_flow import flow_encoder

CHANNELS = 256
FLOW_CHANNELS = 64
"""Width of the head on optical flow, which has five channels, not 512."""
POSE_SCALE = 0.01
"""Small motions at the start of training (Zhou et al., CVPR 2017)."""
FLOW_POSE_SCALE = 0.04
"""With Adam, four times the scale is four times the speed: motion has to be
about right before depth can learn anything but smoothness."""


@keras.saving.register_keras_serializable("scdepth_tf")
class PoseNet(stack.Model):
    """Pose vector of an image pair.

    After the encoder, a 1×1 and two 3×3 convolutions with ReLU and a linear
    1×1 convolution follow; the mean over all positions times 0.01 (0.04 on
    optical flow) is the pose.

    Args:
        encoder: "resnet18", "resnet50" or "efficientnet_lite0", which see
            both images stacked on channels, or "optical_flow", which sees
            the Lucas–Kanade flow between them and learns within minutes.
        encoder_weights: None for random weights, "imagenet" (Lite0) or the
            path of a PyTorch file with a ResNet's (`load_encoder`); the
            kernel of a first convolution for one image is repeated for the
            second and halved. Not part of `get_config`: a saved model brings
            its own weights.

    Attributes:
        encoder: the encoder as a model, pairs -> features, the last of
            which the head reads.
        network: the trainable part as a functional model, pairs
            [B, H, W, 6] in [0, 1] -> unscaled pose [B, 6].

    Raises:
        ValueError: unknown names; H or W of an image not divisible by 32.
        FileNotFoundError: the encoder's weights are not there.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        encoder_weights: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        # Images stay float32 up to the standardisation under every policy.
        super().__init__(autocast=False, **kwargs)
        self.encoder_name = encoder
        if encoder == "optical_flow":
            _refuse_weights(encoder_weights)
            self.encoder = flow_encoder()
            channels, initializer = FLOW_CHANNELS, relu_initializer
            self.pose_scale = FLOW_POSE_SCALE
        else:
            self.encoder = build_encoder(encoder, 6, encoder_weights)
            channels, initializer = CHANNELS, pose_head_initializer
            self.pose_scale = POSE_SCALE
        pairs = keras.Input((None, None, 6), dtype="float32", name="pair")
        # Keras 2 gives a single feature without the list around it.
        x = tf.nest.flatten(self.encoder(pairs))[-1]
        for name, size in (("squeeze", 1), ("conv1", 3), ("conv2", 3)):
            x = keras.layers.Conv2D(
                channels,
                size,
                padding="same",
                activation="relu",
                kernel_initializer=initializer(),
                name=name,
            )(x)
        # In float32 under mixed precision: a step of bfloat16 is 0.4 %.
        x = keras.layers.Conv2D(
            6,
            1,
            kernel_initializer=pose_head_initializer(),
            dtype="float32",
            name="motion",
        )(x)
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
        return self.pose_scale * self.network(pairs, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoder": self.encoder_name}


def _refuse_weights(encoder_weights: str | None) -> None:
    if encoder_weights is not None:
        raise ValueError(
            "the optical_flow encoder has no weights to start from; leave "
            f"encoder_weights out, got {encoder_weights!r}"
        )

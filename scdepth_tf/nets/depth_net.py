"""The depth network: an encoder, a U-Net decoder and one disparity head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.nets.decoder import decode, get_decoder
from scdepth_tf.nets.encoders import build_encoder


@keras.saving.register_keras_serializable("scdepth_tf")
class DepthNet(stack.Model):
    """Depth from one image.

    disparity = alpha · sigmoid(logits) + beta and depth = 1 / disparity, so
    that with the published alpha 10 and beta 0.01 depth lies between 0.0999
    and 100 scene units.

    Args:
        encoder: "resnet18", "resnet50" or "efficientnet_lite0".
        decoder: "reference" (reflection padding and ELU, as both published
            codes), "mobile" (zero padding and ReLU, which int8 runtimes
            execute as they are) or "slim" (mobile, narrower: a quarter
            of its multiplications in the decoder).
        upsampling: "nearest" (SC-SfMLearner-Release) or "bilinear"
            (sc_depth_pl). None: nearest for reference, bilinear else.
        encoder_weights: None for random weights, "imagenet" (Lite0) or the
            path of a PyTorch file with a ResNet's (`load_encoder`). Not part
            of `get_config`: a saved model brings its own weights.
        alpha: range of the disparity.
        beta: smallest disparity.

    Attributes:
        encoder: the encoder as a model, images -> five features.
        network: the trainable part as a functional model, images
            [B, H, W, 3] in [0, 1] -> logits [B, H, W, 1].
        min_disparity, max_disparity: the open interval of disparities.

    Raises:
        ValueError: unknown names; H or W of an image not divisible by 32.
        FileNotFoundError: the encoder's weights are not there.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        decoder: Literal["reference", "mobile", "slim"] = "reference",
        upsampling: Literal["nearest", "bilinear"] | None = None,
        encoder_weights: str | Path | None = None,
        alpha: float = 10.0,
        beta: float = 0.01,
        **kwargs: Any,
    ) -> None:
        # Images stay float32 up to the standardisation under every policy.
        super().__init__(autocast=False, **kwargs)
        if upsampling is None:
            upsampling = get_decoder(decoder).upsampling
        self.encoder_name = encoder
        self.decoder_name = decoder
        self.upsampling = upsampling
        self.alpha = alpha
        self.beta = beta
        self.encoder = build_encoder(encoder, 3, encoder_weights)
        images = keras.Input((None, None, 3), dtype="float32", name="image")
        logits = decode(self.encoder(images), decoder, upsampling)
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

"""Layers without weights that both networks are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import keras
import tensorflow as tf

SIZE_MULTIPLE = 32
"""Height and width must be divisible by the stride of the last feature."""


def check_image_size(image_size: tuple[int | None, int | None]) -> None:
    """Refuses sizes that the networks' skip connections cannot meet at.

    Args:
        image_size: height and width in pixels; None where unknown.

    Raises:
        ValueError: a known side is not a positive multiple of 32.
    """
    known = [side for side in image_size if side is not None]
    if all(side > 0 and side % SIZE_MULTIPLE == 0 for side in known):
        return
    nearest = " × ".join(str(_nearest_valid(side)) for side in image_size)
    given = " × ".join("any" if s is None else str(s) for s in image_size)
    raise ValueError(
        f"height and width must be divisible by {SIZE_MULTIPLE}, got {given};"
        f" the nearest valid size is {nearest}"
    )


def _nearest_valid(side: int | None) -> int | str:
    if side is None:
        return "any"
    return max(1, round(side / SIZE_MULTIPLE)) * SIZE_MULTIPLE


@keras.saving.register_keras_serializable("scdepth_tf")
class Standardize(keras.layers.Layer):
    """(images − mean) · scale, the first layer of every encoder.

    It runs in float32 under every dtype policy: bfloat16 cannot tell apart
    neighbouring grey levels of a bright image before the mean is taken off.

    Input and output: [B, H, W, 3·n], n images in [0, 1] stacked on channels.

    Raises:
        ValueError: when a statically known H or W is not divisible by 32.
    """

    def __init__(self, mean: float, scale: float, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.mean = mean
        self.scale = scale

    def call(self, images: tf.Tensor) -> tf.Tensor:
        check_image_size((images.shape[1], images.shape[2]))
        return (images - self.mean) * self.scale

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}


@keras.saving.register_keras_serializable("scdepth_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' own, but its training step is one kernel each way.

    It has Keras' name, by which files of weights know a layer. Keras computes
    it of a dozen passes over the features (docs/benchmarks.md).
    The running variance is that of PyTorch, unbiased. Inference, frozen
    layers and statistics over several replicas are Keras' own.

    Input and output: [B, H, W, C].
    """

    def call(
        self,
        features: tf.Tensor,
        training: bool | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        is_fused = training and self.trainable and not self.synchronized
        if not is_fused:
            return super().call(features, training=training, mask=mask)
        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=features,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=True,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance)
        return normalised


def batch_norms(
    layer: keras.layers.Layer,
) -> Iterator[keras.layers.BatchNormalization]:
    """All BatchNorm in a model; one that two models share comes twice."""
    if isinstance(layer, keras.layers.BatchNormalization):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from batch_norms(inner)


@keras.saving.register_keras_serializable("scdepth_tf")
class ReflectPad(keras.layers.Layer):
    """One pixel of reflection (without the edge itself) on all four sides."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        if 1 in features.shape[1:3]:
            raise ValueError(
                "reflection needs features of at least 2 × 2: the reference"
                " decoder takes images of at least 64 × 64 pixels"
            )
        sides = [[0, 0], [1, 1], [1, 1], [0, 0]]
        return tf.pad(features, sides, mode="REFLECT")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        grow = [None if side is None else side + 2 for side in (height, width)]
        return (batch, *grow, channels)


@keras.saving.register_keras_serializable("scdepth_tf")
class Upsample(keras.layers.Layer):
    """Doubles height and width: [B, H, W, C] -> [B, 2H, 2W, C].

    `bilinear` samples at half-pixel centres (torch: align_corners=False).
    A resize op instead of `keras.layers.UpSampling2D`, which TFLite lowers
    to RESHAPE and TILE; this one becomes a single RESIZE op.
    """

    def __init__(
        self, method: Literal["nearest", "bilinear"], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.method = method

    def call(self, features: tf.Tensor) -> tf.Tensor:
        height, width = features.shape[1:3]
        if height is None or width is None:
            size = 2 * tf.shape(features)[1:3]
        else:
            size = (2 * height, 2 * width)
        doubled = tf.image.resize(features, size, method=self.method)
        # Bilinear resizing answers in float32 whatever it was given.
        return tf.cast(doubled, features.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        doubled = [None if s is None else 2 * s for s in (height, width)]
        return (batch, *doubled, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "method": self.method}

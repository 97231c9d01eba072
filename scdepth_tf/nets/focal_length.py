"""Focal lengths that are learnt along with depth and motion."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

LARGEST_FACTOR = 2.0
_RATE = 10.0


@keras.saving.register_keras_serializable("scdepth_tf")
class FocalLengthScale(keras.layers.Layer):
    """One factor for each camera, by which fx and fy are multiplied.

    Intrinsics learnt from video: Gordon et al., *Depth from Videos in the
    Wild*, ICCV 2019. Here the ratio fx : fy and the principal point stay as
    given, because a drive says next to nothing about them (docs/decisions.md).

    The factor is exp(ln 2 · tanh(10·w / ln 2)) with w = 0 at the start: 1,
    always between 1/2 and 2, and as quick to halve as to double. The 10 makes
    it learn ten times as fast as a network's weights do under Adam, whose
    steps are about the learning rate: at 1e-4 a camera that is 30 % off needs
    at least 360 steps.

    Args:
        cameras: how many cameras there are.
    """

    def __init__(self, cameras: int, **kwargs):
        kwargs.setdefault("dtype", "float32")  # under mixed precision too
        super().__init__(**kwargs)
        if cameras < 1:
            raise ValueError(f"cameras must be 1 or more. Received: {cameras}")
        self.cameras = cameras
        self.weight = self.add_weight(
            shape=(cameras,), initializer="zeros", name="weight"
        )
        self.built = True

    def call(self, camera: tf.Tensor) -> tf.Tensor:
        """Factors [B, 1] float32 of the cameras with the indices [B]; 1 for
        an index that there is not.
        """
        weight = tf.convert_to_tensor(self.weight)[:, None]
        chosen = tf.one_hot(camera, self.cameras) @ weight
        return _factor(chosen, tf.tanh, tf.exp)

    def factors(self) -> np.ndarray:
        """The factor of each camera, float64 [cameras]."""
        weight = np.asarray(self.weight, np.float64)
        return _factor(weight, np.tanh, np.exp)

    def get_config(self) -> dict:
        """The number of cameras."""
        return {**super().get_config(), "cameras": self.cameras}


def _factor(weight, tanh, exp):
    limit = float(np.log(LARGEST_FACTOR))
    return exp(limit * tanh(_RATE * weight / limit))

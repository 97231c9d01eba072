"""The real networks at a small size, and what each Keras made of them.

    python -m tests.stacks.small_model

writes KERAS.weights.h5 and KERAS.npz beside this file, KERAS being keras_2 or
keras_3, whichever is installed.
"""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import keras
import numpy as np

import scdepth_tf as sd
from scdepth_tf import stack
from scdepth_tf.nets import decoder, encoders, layers, pose_net

FOLDER = Path(__file__).parent


def _encoder(channels: int) -> keras.Model:
    images = keras.Input((None, None, channels), dtype="float32")
    x = layers.Standardize(mean=0.45, scale=4.0)(images)
    features = []
    for level in range(5):
        x = keras.layers.Conv2D(
            3, 3, 2, padding="same", use_bias=False, name=f"conv{level}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"conv{level}_norm")(x)
        x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
        x = keras.layers.ReLU()(x)
        features.append(x)
    return keras.Model(images, features, name="small")


def small_model() -> sd.SCDepth:
    """Its weights are drawn anew by NumPy, BatchNorm's statistics too."""
    narrow = decoder.DECODERS["reference"]._replace(channels=(2, 3, 4, 4, 4))
    with (
        mock.patch.dict(encoders.ENCODERS, small=_encoder),
        mock.patch.dict(decoder.DECODERS, reference=narrow),
        mock.patch.object(pose_net, "FLOW_CHANNELS", 4),
    ):
        model = sd.SCDepth(
            sd.DepthNet("small"),
            sd.PoseNet("optical_flow"),
            learned_focal_lengths=2,
        )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.uniform(-0.4, 0.4, weight.shape)
        if stack.path(weight).endswith(("gamma", "moving_variance")):
            values = 1 + values
        weight.assign(values)
    return model


def predictions(model: sd.SCDepth) -> dict[str, np.ndarray]:
    """Depth, pose and focal lengths for a fixed input."""
    rng = np.random.default_rng(1)
    images = rng.random((2, 64, 96, 3)).astype(np.float32)
    pair = np.concatenate([images[:1], np.roll(images[:1], 2, 2)], axis=-1)
    return {
        "depth": np.asarray(model(images)),
        "pose": np.asarray(model.pose_net(pair)),
        "focal": model.focal_length_scale.factors(),
    }


if __name__ == "__main__":
    name = stack.KERAS.lower().replace(" ", "_")
    written = small_model()
    written.save_weights(FOLDER / f"{name}.weights.h5")
    np.savez_compressed(FOLDER / f"{name}.npz", **predictions(written))

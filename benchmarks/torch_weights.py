"""Weights of our networks as `torch_networks.load_weights` takes them.

Runs where Keras is; PyTorch may live in another environment.
"""

from __future__ import annotations

import keras
import numpy as np

from scdepth_tf.nets import DepthNet, PoseNet
from scdepth_tf.nets.published import resnet_name
from scdepth_tf.nets.weights import lite0_name

_NAMES = {
    "resnet18": lambda layer: f"encoder.{resnet_name(layer)}",
    "efficientnet_lite0": lambda layer: f"encoder.{lite0_name(layer)}",
}


def torch_state(network: DepthNet | PoseNet) -> dict[str, np.ndarray]:
    """Weights by their names in `torch_networks`, axes as PyTorch has them.

    Raises:
        ValueError: there is no such network in `torch_networks`.
    """
    encoder = network.encoder_name
    if encoder not in _NAMES:
        raise ValueError(
            f"encoder must be one of {', '.join(_NAMES)}, got {encoder!r}"
        )
    state = {}
    for layer in network.encoder.layers:
        if layer.weights:
            state |= _tensors(layer, _NAMES[encoder](layer.name))
    for layer in network.network.layers:
        if not isinstance(layer, keras.Model):
            name = "logits_layer" if layer.name == "logits" else layer.name
            state |= _tensors(layer, name)
    return state


def _tensors(layer: keras.layers.Layer, name: str) -> dict[str, np.ndarray]:
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
    else:
        parts = ("weight", "bias")
    return {
        f"{name}.{part}": _in_their_order(layer, weight.numpy())
        for part, weight in zip(parts, layer.weights, strict=False)
    }


def _in_their_order(
    layer: keras.layers.Layer, weight: np.ndarray
) -> np.ndarray:
    if weight.ndim != 4:
        return weight
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return weight.transpose(2, 3, 0, 1)
    return weight.transpose(3, 2, 0, 1)

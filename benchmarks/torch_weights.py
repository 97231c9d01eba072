"""Weights of our networks as `torch_networks.load_weights` takes them, and
the way back.

Runs where Keras is; PyTorch may live in another environment.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from scdepth_tf.model import SCDepth
from scdepth_tf.nets import DepthNet, PoseNet
from scdepth_tf.nets.published import put_weights, resnet_name
from scdepth_tf.nets.weights import lite0_name

_NETWORKS = ("depth_net", "pose_net")
_NAMES = {
    "resnet18": lambda layer: f"encoder.{resnet_name(layer)}",
    "efficientnet_lite0": lambda layer: f"encoder.{lite0_name(layer)}",
}


def write_torch_weights(model: SCDepth, path: Path) -> None:
    """Write the weights of both networks as .npz, for `torch_engine`.

    Raises:
        ValueError: a network has no twin in `torch_networks`.
    """
    arrays = {
        f"{name}/{key}": value
        for name in _NETWORKS
        for key, value in torch_state(getattr(model, name)).items()
    }
    np.savez(path, **arrays)


def read_torch_weights(model: SCDepth, path: Path) -> None:
    """Replace the weights of both networks by those of such a file.

    Raises:
        ValueError: they are of other networks.
    """
    with np.load(path) as arrays:
        for name in _NETWORKS:
            network = getattr(model, name)
            put_weights(
                [*network.encoder.layers, *network.network.layers],
                {
                    key.removeprefix(f"{name}/"): arrays[key]
                    for key in arrays.files
                    if key.startswith(f"{name}/")
                },
                _names(network),
                path,
            )


def torch_state(network: DepthNet | PoseNet) -> dict[str, np.ndarray]:
    """Weights by their names in `torch_networks`, axes as PyTorch has them.

    Raises:
        ValueError: there is no such network in `torch_networks`.
    """
    name = _names(network)
    state = {}
    for layer in (*network.encoder.layers, *network.network.layers):
        if layer.weights and not isinstance(layer, keras.Model):
            state |= _tensors(layer, name(layer.name))
    return state


def _names(network: DepthNet | PoseNet) -> Callable[[str], str]:
    """Our name of a layer -> its name in `torch_networks`."""
    encoder = network.encoder_name
    if encoder not in _NAMES:
        raise ValueError(
            f"encoder must be one of {', '.join(_NAMES)}, got {encoder!r}"
        )
    in_encoder = {layer.name for layer in network.encoder.layers}

    def name(layer: str) -> str:
        if layer in in_encoder:
            return _NAMES[encoder](layer)
        return "logits_layer" if layer == "logits" else layer

    return name


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

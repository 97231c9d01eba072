"""Tensors out of files of `torch.save`, without PyTorch, and without running
anything that a file says.

Such a file is a pickle, and a pickle can call any function of any installed
module. Here it gets neither: what rebuilds tensors and dictionaries is
replaced by our own, and every other name by a stand-in without effect.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_ZIP_MAGIC = b"PK\x03\x04"
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_MALFORMED = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
"""What a damaged or malicious file can raise in zipfile and unpickler."""


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the state dict in a file of `torch.save`.

    It may be the whole content of the file or its entry `state_dict`, as in
    Lightning checkpoints. Both formats are read: a zip archive (PyTorch 1.6
    and later) and a chain of pickles before the raw storages. Numbers and
    texts beside the tensors are passed over, and so is everything outside of
    the state dict, of whatever class.

    Args:
        path: the file.

    Returns:
        Tensor name -> array, in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, has another format, or holds
            something else than a state dict; the line says what.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        is_zip = start.startswith(_ZIP_MAGIC)
        if not is_zip and not start.startswith(b"\x80"):
            raise ValueError(
                f"{path} is not a file of torch.save: it starts with {start!r}"
            )
        try:
            return _read_zip(file) if is_zip else _read_legacy(file)
        except _MALFORMED as error:
            raise ValueError(
                f"{path} is not a PyTorch state dict that can be read:"
                f" {_reason(error)}; where PyTorch reads it, save"
                " model.state_dict() anew with torch.save"
            ) from error


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split())  # in one line
    if isinstance(error, _ContentError):
        return reason
    return f"it is damaged or cut short ({reason or type(error).__name__})"


class _ContentError(ValueError):
    """A sentence about what the file holds instead."""


# === The two formats ===


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(names) != 1:
            raise _ContentError("it is a zip archive without one data.pkl")
        folder = names[0].removesuffix("data.pkl")
        with archive.open(_stored(archive, names[0])) as content:
            tensors = _tensors(_TensorUnpickler(content).load())
        storages = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            member = _stored(archive, f"{folder}data/{storage.key}")
            _check_size(storage, member.file_size)
            storages[storage] = np.frombuffer(
                archive.read(member), storage.dtype
            )
        return _arrays(tensors, storages)


def _stored(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member as PyTorch writes them: neither compressed nor encrypted."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise _ContentError(f"PyTorch does not write {name} like this")
    return member


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    """Magic number, protocol, machine, content, the order of the storages,
    and then these: each a count and that many elements.
    """
    if _TensorUnpickler(file).load() != _LEGACY_MAGIC:
        raise _ContentError("it is a pickle of something else")
    for _protocol_and_machine in range(2):
        _TensorUnpickler(file).load()
    unpickler = _TensorUnpickler(file)
    tensors = _tensors(unpickler.load())
    wanted = {tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in _TensorUnpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = np.frombuffer(_read(file, 8), "<i8")
        size = int(count) * np.dtype(storage.dtype).itemsize
        _check_size(storage, size)
        content = _read(file, size)
        if storage in wanted:
            storages[storage] = np.frombuffer(content, storage.dtype)
    return _arrays(tensors, storages)


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError("it ends too early")
    return content


# === From a pickle to tensors ===


class _Storage(NamedTuple):
    key: str
    dtype: str
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Table(dict):
    """A dictionary whose attributes a pickle cannot set."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _RebuildTensor:
    """Stands in for torch._utils._rebuild_tensor_v2; a pickle can set
    attributes of a function or class, but not of an object without any.
    """

    __slots__ = ()

    def __call__(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_gradient_and_hooks: object,
    ) -> _Tensor:
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _RebuildParameter:
    """Stands in for torch._utils._rebuild_parameter."""

    __slots__ = ()

    def __call__(
        self, tensor: _Tensor, *_gradient_and_hooks: object
    ) -> _Tensor:
        return tensor


class _StandIn:
    """Takes the place of any other object; nothing has an effect on it."""

    origin = ""

    def __new__(cls, *_arguments: object, **_named: object) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *_arguments: object, **_named: object) -> None:
        pass

    def _ignore(self, *_arguments: object, **_named: object) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = _ignore

    def __call__(self, *_arguments: object, **_named: object) -> _StandIn:
        return self


class _TensorUnpickler(pickle._Unpickler):
    """Rebuilds dictionaries and descriptions of tensors, nothing else.

    On the unpickler in Python: the one in C reserves as much memory as a file
    asks for, and prints errors of its own about damaged ones.
    """

    def __init__(self, file: BinaryIO | zipfile.ZipExtFile) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known = {
            ("collections", "OrderedDict"): _Table,
            ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
            ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
        }
        if (module, name) in known:
            return known[module, name]
        return type("StandIn", (_StandIn,), {"origin": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> _Storage | _StandIn:
        kind, dtype, key, _device, count, *view = pid
        if kind != "storage" or any(part is not None for part in view):
            raise _ContentError("it has storages of an unknown kind")
        if isinstance(dtype, type) and issubclass(dtype, _StandIn):
            return dtype()  # reported where it is met
        if dtype not in _STORAGES.values():
            raise _ContentError("it has storages of an unknown kind")
        storage = _Storage(str(key), dtype, int(count))
        self.storages[storage.key] = storage
        return storage


def _tensors(content: object) -> dict[str, _Tensor]:
    """The tensors of a state dict, alone or in a checkpoint around it."""
    if isinstance(content, dict) and isinstance(
        content.get("state_dict"), dict
    ):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise _ContentError(f"it holds {_name(content)} instead")
    tensors = {}
    for name, value in content.items():
        if isinstance(value, _Tensor) and isinstance(value.storage, _Storage):
            tensors[str(name)] = value
        elif isinstance(value, (_Tensor, _StandIn, type)):
            raise _ContentError(f"its entry {name!r} is {_name(value)}")
    if not tensors:
        raise _ContentError(
            "it has no tensors, neither at its top nor in an entry"
            f" state_dict, but {_first(content)}"
        )
    return tensors


def _name(value: object) -> str:
    if isinstance(value, _Tensor):
        value = value.storage
    if isinstance(value, _StandIn):
        return f"an object of {value.origin}, which is not rebuilt"
    if isinstance(value, type) and issubclass(value, _StandIn):
        return f"{value.origin}, which is not loaded"
    return f"a {type(value).__name__}"


def _first(names: Iterable[object]) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


# === From tensors to arrays ===


def _check_size(storage: _Storage, size: int) -> None:
    if size != storage.count * np.dtype(storage.dtype).itemsize:
        raise EOFError(f"storage {storage.key} has another size than it says")


def _arrays(
    tensors: dict[str, _Tensor], storages: dict[_Storage, np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        name: _take(storages[tensor.storage], tensor)
        for name, tensor in tensors.items()
    }


def _take(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """A tensor out of its flat storage, whatever its strides."""
    count = math.prod(tensor.shape)
    steps = list(zip(tensor.shape, tensor.strides, strict=True))
    last = tensor.offset + sum((size - 1) * step for size, step in steps)
    if min(tensor.offset, *tensor.shape, *tensor.strides, count) < 0 or (
        count and max(last + 1, count) > storage.size
    ):
        raise IndexError("a tensor reaches beyond its storage")
    if not count:
        return np.empty(tensor.shape, storage.dtype)
    return np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        tensor.shape,
        [step * storage.itemsize for step in tensor.strides],
    ).copy()

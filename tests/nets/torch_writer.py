"""Files as torch.save writes them, written without PyTorch.

For whole networks: the files that PyTorch itself wrote are small
(tests/nets/golden).
"""

import contextlib
import pickle
import sys
import types
import unittest.mock
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"float32": "FloatStorage", "int64": "LongStorage"}


class _Storage:
    def __init__(self, array: np.ndarray, key: str) -> None:
        self.array = np.array(array, order="C")  # 0-d stays 0-d
        self.key = key


class _Pickler(pickle.Pickler):
    """Writes arrays as PyTorch writes tensors."""

    def __init__(self, file, legacy: bool) -> None:
        super().__init__(file, protocol=2)
        self.storages = []
        self.legacy = legacy

    def reducer_override(self, value):
        if not isinstance(value, np.ndarray):
            return NotImplemented
        storage = _Storage(value, str(len(self.storages)))
        self.storages.append(storage)
        strides = tuple(s // value.itemsize for s in storage.array.strides)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (storage, 0, value.shape, strides, False, {})

    def persistent_id(self, value):
        if not isinstance(value, _Storage):
            return None
        kind = getattr(sys.modules["torch"], _STORAGES[value.array.dtype.name])
        identity = ("storage", kind, value.key, "cuda:0", value.array.size)
        return (*identity, None) if self.legacy else identity


def save(path: Path, content: object, legacy: bool = False) -> Path:
    """Writes `content`, its arrays as tensors."""
    with _torch_names():
        if legacy:
            _save_legacy(path, content)
        else:
            _save_zip(path, content)
    return path


def _save_zip(path: Path, content: object) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            pickler = _Pickler(file, legacy=False)
            pickler.dump(content)
        for storage in pickler.storages:
            name = f"archive/data/{storage.key}"
            archive.writestr(name, storage.array.tobytes())


def _save_legacy(path: Path, content: object) -> None:
    with path.open("wb") as file:
        for part in (LEGACY_MAGIC, 1001, {"little_endian": True}):
            pickle.dump(part, file, 2)
        pickler = _Pickler(file, legacy=True)
        pickler.dump(content)
        pickle.dump([storage.key for storage in pickler.storages], file, 2)
        for storage in pickler.storages:
            file.write(np.int64(storage.array.size).tobytes())
            file.write(storage.array.tobytes())


@contextlib.contextmanager
def _torch_names() -> Iterator[None]:
    """While it lasts, the few names of PyTorch that a pickle refers to."""

    def _rebuild_tensor_v2() -> None:
        pass

    functions = types.ModuleType("torch._utils")
    functions._rebuild_tensor_v2 = _rebuild_tensor_v2
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    torch = types.ModuleType("torch")
    torch._utils = functions
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    with unittest.mock.patch.dict(
        sys.modules, {"torch": torch, "torch._utils": functions}
    ):
        yield

"""The libraries of the extra `video`, and what to do where they are absent."""

from __future__ import annotations

import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module `av`, `cv2` or `yaml`.

    Raises:
        ModuleNotFoundError: it is not installed; the line says how to.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f"reading footage needs {name}: pip install 'scdepth-tf[video]'",
            name=name,
        ) from error

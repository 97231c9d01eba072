"""Which outputs there are, what they need, and where they go."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from scdepth_tf.predict import video
from scdepth_tf.predict.files import write_npz, write_png
from scdepth_tf.predict.sequence import Output, Sequence
from scdepth_tf.predict.video import write_video

NEED_CAMERA = ("cloud", "mesh", "rgbd", "rerun")
"""Outputs that need intrinsics."""

_MODULES = {
    "video": ("av", "matplotlib"),
    "trajectory": ("matplotlib",),
}
_EXTRAS = {"av": "video", "matplotlib": "viz"}


def missing(sequence: Sequence) -> list[Output]:
    """The outputs over frames that were asked for and are not there yet."""
    asked = sequence.config.write
    single = {"video": (video.FILE, write_video)}
    opened = [
        output
        for name, (file, output) in single.items()
        if name in asked and not (sequence.folder / file).exists()
    ]
    for name, output in {"png": write_png, "npz": write_npz}.items():
        if name in asked:
            opened.append(output)
    return opened


def check_installed(asked: Iterable[str]) -> None:
    """Find out before the work what could not be written after it.

    Raises:
        ModuleNotFoundError: a library is not installed; the line says how to.
    """
    for name in asked:
        for module in _MODULES.get(name, ()):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
                raise ModuleNotFoundError(
                    f"--write {name} needs {module}: pip install "
                    f"'scdepth-tf[{_EXTRAS[module]}]'",
                    name=module,
                ) from error

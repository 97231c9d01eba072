"""Which outputs there are, what they need, and where they go."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator

from scdepth_tf.predict import cloud, mesh, recording, rgbd, video
from scdepth_tf.predict.files import (
    NPZ_FOLDER,
    PICTURE_FOLDER,
    PNG_FOLDER,
    write_npz,
    write_pictures,
    write_png,
)
from scdepth_tf.predict.fusion import fuse
from scdepth_tf.predict.sequence import Output, PredictedFrame, Sequence

OF_VIDEO = ("video", "trajectory")
"""What is written unless something else is asked for."""

OF_PICTURE = ("pictures", "npz")
"""The same where the footage is a single picture."""

NEED_CAMERA = ("cloud", "mesh", "rgbd", "rerun")
"""Outputs that need intrinsics."""

PLACES = {
    "video": video.FILE,
    "trajectory": "trajectory.txt",
    "pictures": PICTURE_FOLDER,
    "png": PNG_FOLDER,
    "npz": NPZ_FOLDER,
    "cloud": cloud.FILE,
    "mesh": mesh.FILE,
    "rgbd": f"{rgbd.FOLDER}/{rgbd.ASSOCIATIONS}",
    "rerun": recording.FILE,
}
"""What each output leaves in the folder of its sequence, or the last of it."""

_OF_FRAMES = {
    "video": video.write_video,
    "rerun": recording.write_recording,
    "rgbd": rgbd.write_rgbd,
    "pictures": write_pictures,
    "png": write_png,
    "npz": write_npz,
}
_OF_POINTS = {"cloud": cloud.write_cloud, "mesh": mesh.write_mesh}
_GROW = ("pictures", "png", "npz")
"""Folders that grow frame by frame: they do not show whether all are there."""

_MODULES = {
    "video": ("av", "matplotlib"),
    "trajectory": ("matplotlib",),
    "pictures": ("matplotlib",),
    "mesh": ("open3d",),
    "rerun": ("rerun",),
}
_EXTRAS = {
    "av": "video",
    "matplotlib": "viz",
    "open3d": "mesh",
    "rerun": "rerun",
}


def missing(sequence: Sequence) -> list[Output]:
    """The outputs over frames that were asked for and are not there yet."""

    def opened(table: dict) -> list:
        return [
            output
            for name, output in table.items()
            if name in sequence.config.write
            and (name in _GROW or not (sequence.folder / PLACES[name]).exists())
        ]

    of_points = opened(_OF_POINTS)

    @contextlib.contextmanager
    def write_points(
        sequence: Sequence,
    ) -> Iterator[Callable[[PredictedFrame], None]]:
        with contextlib.ExitStack() as stack:
            sinks = [
                stack.enter_context(open_(sequence)) for open_ in of_points
            ]
            with fuse(sequence, sinks) as add:
                yield add

    return opened(_OF_FRAMES) + ([write_points] if of_points else [])


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

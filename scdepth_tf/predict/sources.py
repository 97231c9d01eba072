"""Videos, folders of pictures and scenes as sequences of frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scdepth_tf import data
from scdepth_tf.config import PredictConfig, PrepareConfig
from scdepth_tf.data.folder import read_intrinsics
from scdepth_tf.data.tfds import is_tfds
from scdepth_tf.evaluate.samples import contiguous_parts
from scdepth_tf.prepare.calibration import describe_camera
from scdepth_tf.prepare.footage import (
    PICTURE_SUFFIXES,
    Footage,
    Frame,
    Pictures,
    open_footage,
)
from scdepth_tf.prepare.selection import Clock

PICTURES_PER_SECOND = 10.0
"""At which pictures count as taken where nobody says."""


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Consecutive frames of one camera, not yet read."""

    name: str
    """What to call it, and its folder where there are several."""

    image_size: tuple[int, int]
    """Height and width of the frames."""

    intrinsics: np.ndarray | None
    """[3, 3] in pixels of the frames; None where the camera is unknown."""

    expected_frames: int
    """How many there should be, where that is known; else 0."""

    frames: Callable[[], Iterator[Frame]]
    """All frames in order, as often as asked."""

    truth: Callable[[int], np.ndarray | None] | None = None
    """Ground-truth depth of a frame by its index: float32 [H, W] metres, 0
    where unknown."""


def open_sources(
    path: str | Path,
    config: PredictConfig,
    scenes: Sequence[str] = (),
    refocus: Callable[[data.Scene], np.ndarray] | None = None,
) -> list[Source]:
    """The sequences in a video, a picture, a folder of pictures, a folder of
    scenes, a KITTI raw root or a TFDS dataset.

    Args:
        path: what to open. A folder with pictures of its own is one sequence.
        config: says what is known of the camera and the frame rate.
        scenes: names or patterns of scenes to take, where there are several.
        refocus: the intrinsics of a scene, where they are learnt.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it holds nothing that can be used, or the options do not
            fit it; the line says why.
        ModuleNotFoundError: PyAV is not installed.
    """
    if not 0 <= config.frame_rate < np.inf:
        raise ValueError(
            f"--frame-rate is {config.frame_rate:g}; give 0 or more"
        )
    if not is_tfds(path) and _is_footage(Path(path)):
        if scenes:
            raise ValueError(
                f"--scenes chooses among scenes, but {path} is one sequence"
            )
        return [_from_footage(Path(path), config)]
    if _tells_camera(config):
        raise ValueError(
            f"{path}: its scenes have a cam.txt each; --intrinsics and --fov "
            "are for videos and folders of pictures"
        )
    rate = config.frame_rate or PICTURES_PER_SECOND
    return [
        _from_scene(part, rate, refocus)
        for scene in data.open_scenes(path, "all", scenes)
        for part in contiguous_parts(scene)
    ]


def is_picture(path: str | Path) -> bool:
    """Whether footage is a single picture."""
    path = Path(path)
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _is_footage(path: Path) -> bool:
    if not path.is_dir():
        return True
    return any(
        file.suffix.lower() in PICTURE_SUFFIXES
        and not file.name.startswith(".")
        for file in path.iterdir()
    )


def _from_footage(path: Path, config: PredictConfig) -> Source:
    pictures_rate = config.frame_rate or PICTURES_PER_SECOND
    if is_picture(path):
        footage = Pictures(path, pictures_rate)
    else:
        footage = open_footage(path, pictures_rate)
    size = footage.orientation.show_size(footage.stored_size)
    # The rate of pictures is when they were taken: all are due.
    rate = 0.0 if isinstance(footage, Pictures) else config.frame_rate

    def frames() -> Iterator[Frame]:
        clock = Clock(rate)
        return (frame for frame in footage.frames() if clock.is_due(frame.time))

    return Source(
        name=path.stem if path.is_file() else path.absolute().name,
        image_size=size,
        intrinsics=_camera(path, footage, size, config),
        expected_frames=0 if rate else footage.expected_frames,
        frames=frames,
    )


def _tells_camera(config: PredictConfig) -> bool:
    # Not whether they are true: --fov 0 is a mistake that must be told.
    return config.intrinsics is not None or config.fov is not None


def _camera(
    path: Path, footage: Footage, size: tuple[int, int], config: PredictConfig
) -> np.ndarray | None:
    if _tells_camera(config):
        told = PrepareConfig(intrinsics=config.intrinsics, fov=config.fov)
        return describe_camera(told, size, footage.square_pixels).matrix
    if (path / "cam.txt").is_file():
        return read_intrinsics(path / "cam.txt")
    return None


def _from_scene(
    scene: data.Scene,
    rate: float,
    refocus: Callable[[data.Scene], np.ndarray] | None,
) -> Source:
    times = np.arange(len(scene)) / rate
    if scene.timestamps is not None:
        times = (scene.timestamps - scene.timestamps[0]) / 1e9

    def frames() -> Iterator[Frame]:
        for index, file in enumerate(scene.frames):
            yield Frame(
                float(times[index]), False, _reader(scene, index), file.stem
            )

    return Source(
        name=scene.name,
        image_size=scene.image_size,
        intrinsics=refocus(scene) if refocus else scene.intrinsics,
        expected_frames=len(scene),
        frames=frames,
        truth=scene.depth if scene.depths else None,
    )


def _reader(scene: data.Scene, index: int) -> Callable[[], np.ndarray]:
    return lambda: scene.image(index)

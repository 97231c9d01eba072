"""Which frames of KITTI raw train, validate and test."""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple, Protocol

CAMERA_OF_SIDE = {"l": "02", "r": "03"}
_FORMS = (
    # monodepth2: DATE/DRIVE FRAME SIDE
    re.compile(
        r"(?P<day>[\d_]+)/(?P<drive>\S+?)\s+(?P<frame>\d+)\s+(?P<side>[lr])"
    ),
    # SfMLearner and others: …/DATE/DRIVE/image_02/data/FRAME.png
    re.compile(
        r"(?:.*/)?(?P<day>\d{4}_\d\d_\d\d)/(?P<drive>[^/\s]+)/"
        r"image_(?P<camera>0[23])/data/(?P<frame>\d+)\.(?:png|jpg)"
    ),
    # SfMLearner: DATE_DRIVE_CAMERA FRAME
    re.compile(
        r"(?P<drive>(?P<day>\d{4}_\d\d_\d\d)_drive_\d{4}_sync)_"
        r"(?P<camera>0[23])\s+(?P<frame>\d+)"
    ),
)


class Frame(NamedTuple):
    """A frame of one camera of a drive."""

    drive: str
    """DATE/DATE_drive_NNNN_sync."""

    camera: str
    """02 or 03."""

    number: int


class _TextFile(Protocol):
    def read_text(self, encoding: str) -> str: ...


def read_frames(path: _TextFile) -> tuple[Frame, ...]:
    """A split file: `DATE/DRIVE FRAME SIDE` lines or plain image paths.

    Raises:
        ValueError: a line is neither, or comes twice, or there is none.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    frames = tuple(
        _parse(line.strip(), number, path)
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
    if not frames:
        raise ValueError(f"{path}: names no frame; write one a line")
    return tuple(dict.fromkeys(frames))


def eigen_test_frames() -> tuple[Frame, ...]:
    """The 697 test frames of Eigen et al., Depth Map Prediction from a Single
    Image (NeurIPS 2014), in the published order.
    """
    return read_frames(_package_file("eigen_test_files.txt"))


def eigen_test_drives() -> frozenset[str]:
    """The 28 drives that these come from, named as in `Frame.drive`."""
    names = _package_file("eigen_test_scenes.txt").read_text("utf-8").split()
    return frozenset(f"{name[:10]}/{name}_sync" for name in names)


def _package_file(name: str) -> resources.abc.Traversable:
    return resources.files("tfds_kitti.kitti_raw") / name


def _parse(line: str, number: int, path: _TextFile) -> Frame:
    for form in _FORMS:
        if found := form.fullmatch(line):
            parts = found.groupdict()
            camera = parts.get("camera") or CAMERA_OF_SIDE[parts["side"]]
            return Frame(
                f"{parts['day']}/{parts['drive']}", camera, int(parts["frame"])
            )
    raise ValueError(
        f"{path}, line {number}: expected `DATE/DRIVE FRAME l` or "
        f"`DATE/DRIVE/image_02/data/FRAME.png`, got {line!r}"
    )

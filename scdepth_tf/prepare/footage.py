"""Videos and folders of pictures as one stream of frames with times."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from scdepth_tf.data.folder import natural_key
from scdepth_tf.prepare import extras
from scdepth_tf.prepare.orientation import Orientation

_LOG = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mts", ".m4v")
_ORIENTATION_TAG = 0x0112
_MISSING_END_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame, not yet turned into pixels."""

    time: float
    """Seconds from the start of its footage."""

    damaged: bool
    """The decoder found it damaged."""

    read: Callable[[], np.ndarray]
    """Its picture as displayed: uint8 [H, W, 3], RGB."""

    name: str = ""
    """Its number in a video, its file's name without the ending in a
    folder."""


class Footage(Protocol):
    """A video or a folder of pictures."""

    path: Path
    stored_size: tuple[int, int]
    """Height and width as stored."""
    orientation: Orientation
    """From stored to displayed."""
    square_pixels: bool
    expected_frames: int
    """How many frames there should be, where that is known; else 0."""
    warnings: list[str]
    """What was wrong but did not stop; complete when `frames` has ended."""

    def frames(self) -> Iterator[Frame]:
        """All frames in order."""


def open_footage(path: str | Path, frame_rate: float) -> Footage:
    """Open a video file or a folder of pictures.

    Args:
        path: the file or folder.
        frame_rate: at which the pictures of a folder were taken.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it holds nothing that can be used; the line says why.
        ModuleNotFoundError: PyAV is not installed.
    """
    path = Path(path)
    if path.is_dir():
        return Pictures(path, frame_rate)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file or folder; give a video or a folder of "
            "pictures"
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise ValueError(
            f"{path}: one picture is no footage; give its folder or a video"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty (0 bytes); copy it again")
    return Video(path)


class Video:
    """A video file, read with PyAV (FFmpeg)."""

    def __init__(self, path: Path):
        self._av = extras.load("av")
        self.path = path
        self.warnings: list[str] = []
        first = None
        with self._open() as container:
            stream = self._stream(container)
            self.expected_frames = _expected_frames(stream, container)
            self._duration = _duration(stream, container)
            rate = stream.average_rate or stream.guessed_rate
            self._period = float(1 / rate) if rate else 1 / 30
            aspect = stream.sample_aspect_ratio
            self.square_pixels = not aspect or aspect == 1
            first = next(self._decode(container, stream), None)
            if first is None:
                raise ValueError(
                    f"{path}: no frame can be decoded; the file is truncated "
                    "or damaged: copy or record it again"
                )
            if first.interlaced_frame:
                self._warn("is interlaced: deinterlace it for sharp edges")
        turns, rest = divmod(round(first.rotation), 90)
        if rest:
            raise ValueError(
                f"{path}: asks to be turned by {first.rotation} degrees; only "
                "quarter turns can be followed: encode it upright"
            )
        self.stored_size = (first.height, first.width)
        self.orientation = Orientation(turns % 4)

    def frames(self) -> Iterator[Frame]:
        """All frames; times are the file's own, so the rate may vary."""
        start = last = None
        with self._open() as container:
            frames = self._decode(container, self._stream(container))
            for number, frame in enumerate(frames):
                if (frame.height, frame.width) != self.stored_size:
                    height, width = self.stored_size
                    raise ValueError(
                        f"{self.path}: changes from {width}x{height} to "
                        f"{frame.width}x{frame.height} pixels after "
                        f"{last or 0:.1f} s; cut it there and give the "
                        "parts one by one"
                    )
                time = frame.time
                if time is None:  # raw streams carry none
                    time = 0.0 if last is None else last + self._period
                    start = start or 0.0
                start = time if start is None else start
                last = time
                yield Frame(
                    time - start,
                    frame.is_corrupt,
                    self._reader(frame),
                    f"{number:06d}",
                )
        missing = self._duration - ((last or 0.0) - (start or 0.0))
        if missing > _MISSING_END_SECONDS + self._period:
            self._warn(
                f"ends after {self._duration - missing:.1f} of "
                f"{self._duration:.1f} s: it is truncated or its end is "
                "damaged; the rest is missing"
            )

    def _reader(self, frame: object) -> Callable[[], np.ndarray]:
        return lambda: self.orientation.show(frame.to_ndarray(format="rgb24"))

    def _open(self):
        try:
            return self._av.open(str(self.path))
        except self._av.error.FFmpegError as error:
            raise ValueError(
                f"{self.path}: not a video that FFmpeg can open "
                f"({error.strerror}); if it is one, it is truncated or "
                "damaged: copy or record it again"
            ) from None

    def _stream(self, container):
        for stream in container.streams.video:
            cover = self._av.stream.Disposition.attached_pic
            if not stream.disposition & cover:
                stream.thread_type = "AUTO"
                return stream
        kinds = sorted({stream.type for stream in container.streams})
        raise ValueError(
            f"{self.path}: has no video, only "
            f"{' and '.join(kinds) or 'nothing'}; give a file with moving "
            "pictures"
        )

    def _decode(self, container, stream) -> Iterator:
        """Decoded frames; packets that cannot be decoded are counted."""
        failures = 0
        try:
            for packet in container.demux(stream):
                try:
                    yield from packet.decode()
                except self._av.error.InvalidDataError:
                    failures += 1
        except self._av.error.FFmpegError:
            failures += 1
        if failures:
            self._warn(f"has {failures} damaged places, which are left out")

    def _warn(self, what: str) -> None:
        line = f"{self.path.name} {what}"
        if line not in self.warnings:
            self.warnings.append(line)
            _LOG.warning("warning: %s", line)


class Pictures:
    """A folder of pictures in the natural order of their names, or one of
    them alone.
    """

    square_pixels = True

    def __init__(self, path: Path, frame_rate: float):
        self.path = path
        self.warnings: list[str] = []
        self._period = 1 / frame_rate if frame_rate else 0.1
        self._files = _picture_files(path)
        _check_no_depth(self._files)
        self.expected_frames = len(self._files)
        self.stored_size, self.orientation = _header(self._files[0])

    def frames(self) -> Iterator[Frame]:
        """All pictures, equally far apart in time."""
        for number, file in enumerate(self._files):
            yield Frame(
                number * self._period, False, self._reader(file), file.stem
            )

    def _reader(self, file: Path) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            size, orientation = _header(file)
            shown = orientation.show_size(size)
            expected = self.orientation.show_size(self.stored_size)
            if shown != expected:
                raise ValueError(
                    f"{file}: {shown[1]}x{shown[0]} pixels upright, but "
                    f"{self._files[0].name} has {expected[1]}x{expected[0]}; "
                    "the pictures of one camera share one size: put others "
                    "into a folder of their own"
                )
            return orientation.show(_pixels(file))

        return read


def _picture_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    names = [file for file in folder.iterdir() if not file.name.startswith(".")]
    files = [file for file in names if file.suffix.lower() in PICTURE_SUFFIXES]
    if files:
        return sorted(files, key=lambda file: natural_key(file.name))
    videos = [f.name for f in names if f.suffix.lower() in _VIDEO_SUFFIXES]
    found = sorted({file.suffix.lower() for file in names if file.is_file()})
    if videos:
        advice = f"it holds videos: give them by name, {videos[0]} …"
    elif ".heic" in found:
        advice = "it holds .heic: convert them to .jpg"
    else:
        advice = f"found {', '.join(found) or 'no files'}"
    raise ValueError(
        f"{folder}: holds no pictures ({', '.join(PICTURE_SUFFIXES)}); {advice}"
    )


def _check_no_depth(files: Sequence[Path]) -> None:
    """Refuse pictures of 16 bits and more, by the first of each kind."""
    firsts = {_kind(file): file for file in reversed(files)}
    for file in firsts.values():
        with _opened(file) as image:
            mode = image.mode
        if mode.startswith(("I", "F")):
            raise ValueError(
                f"{file}: grey of more than 8 bits, which is a depth map or a "
                "raw picture; put the pictures of the camera, 8 bits a "
                "colour, into a folder of their own"
            )


def _kind(file: Path) -> str:
    """All endings of a name but numbers: .color.jpg and .depth.png are two
    kinds, 17.25.png and 17.30.png are one.
    """
    endings = (end for end in file.suffixes if not end[1:].isdigit())
    return "".join(endings).lower()


def _header(file: Path) -> tuple[tuple[int, int], Orientation]:
    """Stored height and width, and orientation, without decoding."""
    with _opened(file) as image:
        code = image.getexif().get(_ORIENTATION_TAG, 1)
        return image.size[::-1], Orientation.from_exif(code)


def _pixels(file: Path) -> np.ndarray:
    with _opened(file) as image:
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(_unreadable(file, str(error))) from None


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        raise ValueError(_unreadable(file, "no picture")) from None
    except OSError as error:
        raise ValueError(_unreadable(file, str(error))) from None


def _unreadable(file: Path, reason: str) -> str:
    return (
        f"{file}: cannot be read ({reason}); it may be truncated: copy it "
        "again or delete it"
    )


def _duration(stream, container) -> float:
    """Seconds that the file says it lasts; 0 where it says nothing."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


def _expected_frames(stream, container) -> int:
    if stream.frames:
        return stream.frames
    rate = stream.average_rate or 0
    return round(float(rate) * _duration(stream, container))


def check_same_camera(footage: Sequence[Footage]) -> None:
    """Raises ValueError unless all have one size and orientation."""
    first = footage[0]
    for other in footage[1:]:
        if (other.stored_size, other.orientation) != (
            first.stored_size,
            first.orientation,
        ):
            height, width = other.orientation.show_size(other.stored_size)
            shown = first.orientation.show_size(first.stored_size)
            raise ValueError(
                f"{other.path}: {width}x{height} pixels as displayed, but "
                f"{first.path.name} has {shown[1]}x{shown[0]} or is turned "
                "otherwise; prepare footage of different cameras one by one"
            )

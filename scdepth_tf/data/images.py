"""Reading image and depth files, and telling broken ones by name.

numpy and Pillow only: what trains decodes in the graph (`pipeline`).
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from scdepth_tf.data.records import PackedFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DEPTH_SUFFIXES = (".npz", ".npy", ".png")

_MILLIMETRES_PER_METRE = 1000.0
_KITTI_CODES_PER_METRE = 256.0
_TUM_CODES_PER_METRE = 5000.0
_END_MARKERS = {
    "JPEG": b"\xff\xd9",
    "MPO": b"\xff\xd9",  # a JPEG with previews, as phones write them
    "PNG": b"IEND\xaeB`\x82",
}
_COLOR_MODES = ("RGB", "L", "RGBA", "LA", "P", "CMYK", "1")
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def load_image(path: str | Path | PackedFile) -> np.ndarray:
    """Image file as uint8 [H, W, 3], RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or no image.
    """
    with _opened(path) as image:
        return np.asarray(image.convert("RGB"))


def load_cut(
    file: Path | PackedFile | BinaryIO,
    image_size: tuple[int, int],
    zoom: Sequence[float] = (1.0, 1.0),
    offset: Sequence[float] = (0.0, 0.0),
) -> np.ndarray:
    """Resizes an image to `image_size`·zoom and cuts `image_size` out, in one
    interpolation (antialiased bilinear), as `augment.resample`.

    Args:
        file: image file.
        image_size: height and width of the result.
        zoom: along y and x, 1 or more; fractions of pixels count.
        offset: along y and x, position of the cut-out in [0, 1].

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ValueError: the file is missing, truncated or no image.
    """
    try:
        with _opened(file) as image:
            size = np.array([image.height, image.width], np.float64)
            cut = size / zoom
            top, left = (size - cut) * offset
            return np.asarray(
                image.convert("RGB").resize(
                    image_size[::-1],
                    Image.Resampling.BILINEAR,
                    (left, top, left + cut[1], top + cut[0]),
                )
            )
    except FileNotFoundError as error:
        # tf.data calls it "unknown"; of a ValueError it passes on the kind.
        raise ValueError(str(error)) from None


def load_thumbnail(path: str | Path | PackedFile, width: int) -> np.ndarray:
    """Image file as grey float32 [h, width] in [0, 255], each pixel the mean
    of those it covers. A JPEG is decoded at reduced size: quick.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or no image.
    """
    with _opened(path) as image:
        height = max(1, round(image.height * width / image.width))
        image.draft("L", (2 * width, 2 * height))
        grey = np.asarray(image.convert("L"), np.float32)
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small)


def load_depth(path: str | Path | PackedFile) -> np.ndarray:
    """Depth file as float32 [H, W], metres along the camera's Z, 0 = none.

    `.npz` holds the map under `depth` or `velodyne_depth`, `.npy` holds it
    alone, both in metres; a 16-bit `.png` holds millimetres (0 and 65535:
    none), as RGB-D cameras write them. Other units: `load_kitti_depth`,
    `load_tum_depth`. Anything not finite or not positive becomes 0.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is unreadable or holds something else.
    """
    path = _as_file(path)
    if path.suffix == ".png":
        codes = _load_codes(path)
        depth = np.where(codes == 65535, 0, codes) / _MILLIMETRES_PER_METRE
        return depth.astype(np.float32)
    content = _load_numpy(path)
    if not isinstance(content, np.ndarray):
        key = "depth" if "depth" in content else "velodyne_depth"
        if key not in content:
            raise ValueError(
                f"{path}: expected an array named depth or velodyne_depth, "
                f"got {', '.join(content) or 'an empty archive'}"
            )
        content = content[key]
    depth = content.astype(np.float32)
    if depth.ndim == 3 and depth.shape[2] == 1:
        depth = depth[:, :, 0]
    if depth.ndim != 2:
        raise ValueError(
            f"{path}: expected one depth map [H, W], got an array of shape "
            f"{content.shape}"
        )
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def load_kitti_depth(path: str | Path | PackedFile) -> np.ndarray:
    """KITTI's annotated depth `.png` (metres × 256, 0 = none; devkit of the
    depth benchmark) as float32 [H, W] in metres.
    """
    return (_load_codes(path) / _KITTI_CODES_PER_METRE).astype(np.float32)


def load_tum_depth(path: str | Path | PackedFile) -> np.ndarray:
    """Depth `.png` in the unit of TUM RGB-D (metres × 5000, 0 = none), which
    sc_depth_pl's indoor sets have, too, as float32 [H, W] in metres.
    """
    return (_load_codes(path) / _TUM_CODES_PER_METRE).astype(np.float32)


def load_instance(path: str | Path | PackedFile) -> np.ndarray | None:
    """The `instance` mask uint8 [H, W] beside the depth in a `.npz` (0 static,
    1 parked car, 2 moving), or None where the file has none.
    """
    path = _as_file(path)
    if path.suffix != ".npz":
        return None
    content = _load_numpy(path)
    return content.get("instance") if isinstance(content, dict) else None


def common_size(frames: Sequence[Path]) -> tuple[int, int]:
    """Height and width that all frames of a scene share.

    Reads headers and end markers only, so that 45,000 frames open quickly; a
    file that is damaged in the middle is found by `find_unreadable`.

    Raises:
        FileNotFoundError: a frame is missing.
        ValueError: a frame is unreadable, truncated or of another size.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        sizes = list(pool.map(_checked_size, frames))
    for frame, size in zip(frames, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{frame}: {size[1]}x{size[0]} pixels, but "
                f"{frames[0].name} has {sizes[0][1]}x{sizes[0][0]}; the frames "
                "of one scene share one camera and one size: put other sizes "
                "into a scene of their own"
            )
    return sizes[0]


def first_size(frames: Sequence[Path]) -> tuple[int, int]:
    """Height and width of the first readable frame.

    Raises:
        ValueError: none is readable; the line is about the first.
    """
    complaint = None
    for frame in frames:
        try:
            return _checked_size(frame)
        except (FileNotFoundError, ValueError) as error:
            complaint = complaint or error
    raise ValueError(f"no readable frame: {complaint}") from complaint


def find_unreadable(paths: Iterable[Path | PackedFile]) -> list[str]:
    """Decodes every image in full and returns one line for each that fails,
    naming file, reason and remedy. Slow: meant for the moment after a decode
    failure in training.
    """
    with ThreadPoolExecutor() as pool:
        complaints = pool.map(_complaint, paths)
        return [complaint for complaint in complaints if complaint]


def _complaint(path: Path) -> str | None:
    try:
        load_image(path)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return None


def _checked_size(path: Path) -> tuple[int, int]:
    try:
        with (
            path.open("rb") as file,
            Image.open(file, formats=("JPEG", "PNG")) as image,
        ):
            width, height = image.size
            if image.mode not in _COLOR_MODES:
                raise ValueError(f"mode {image.mode}, not 8-bit colour or grey")
            if not _has_end_marker(file, image.format):
                image.load()
    except FileNotFoundError:
        raise FileNotFoundError(_missing(path)) from None
    except _UNREADABLE as error:
        raise ValueError(_unreadable(path, error)) from None
    return height, width


def _has_end_marker(file: BinaryIO, image_format: str | None) -> bool:
    """Whether the file ends as its format demands. A camera may append bytes
    of its own, so a missing marker is grounds for suspicion, not proof.
    """
    marker = _END_MARKERS.get(image_format or "")
    if marker is None:
        return False
    position = file.tell()
    file.seek(-len(marker), os.SEEK_END)
    found = file.read() == marker
    file.seek(position)
    return found


@contextlib.contextmanager
def _opened(
    path: str | Path | PackedFile | BinaryIO,
) -> Iterator[Image.Image]:
    """The image in a file; a failure inside the block is the file's."""
    try:
        with (
            path if isinstance(path, io.IOBase) else _as_file(path).open("rb")
        ) as file:
            _check_sums(file)
            with Image.open(file) as image:
                yield image
    except FileNotFoundError:
        raise FileNotFoundError(_missing(path)) from None
    except _UNREADABLE as error:
        raise ValueError(_unreadable(path, error)) from None


def _check_sums(file: BinaryIO) -> None:
    """Those of a PNG: Pillow decodes on past wrong ones, to garbage."""
    with Image.open(file) as image:
        if image.format == "PNG":
            image.verify()
    file.seek(0)


def _as_file(path: str | Path | PackedFile) -> Path | PackedFile:
    """Paths that are no `Path`, such as those of cloud storage, stay."""
    return Path(path) if isinstance(path, str) else path


def _load_codes(path: str | Path | PackedFile) -> np.ndarray:
    with _opened(path) as image:
        codes = np.asarray(image)
    if codes.ndim != 2 or codes.dtype == np.uint8:
        raise ValueError(
            f"{path}: expected a 16-bit greyscale depth .png, got "
            f"{codes.dtype} of shape {codes.shape}; save metric depth as .npy "
            "or .npz instead"
        )
    return codes


def _load_numpy(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            content = np.load(file)
            return content if isinstance(content, np.ndarray) else dict(content)
    except FileNotFoundError:
        raise FileNotFoundError(_missing(path)) from None
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path}: not a readable .npy or .npz file ({error}); write it "
            "again with numpy.save or numpy.savez"
        ) from None


def _missing(path: Path) -> str:
    return f"{path}: no such file; copy it again or remove its entry"


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        reason = "neither JPEG nor PNG"
    else:
        reason = str(error)
    return (
        f"{path}: not a readable image ({reason}); it may be truncated: copy "
        "it again or delete it"
    )

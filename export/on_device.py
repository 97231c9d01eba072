r"""Depth on a device: copy this file, lite.py and a .tflite file there.

    python on_device.py depth_int8.tflite photo.jpg
    python on_device.py depth_int8.tflite drive.mp4 --out depth
    python on_device.py depth_int8.tflite camera:0 --show
    ffmpeg -i drive.mp4 -f rawvideo -pix_fmt rgb24 - | \
        python on_device.py depth_int8.tflite - --size 720 1280 --out depth

Needs NumPy and ai-edge-litert or tflite-runtime. Writes NAME.depth.npy (float32
depth, in metres where the file knows the scale) and NAME.depth.png (a picture:
near is bright): beside an image, and of a video only with --out. Input size,
head, quantization and scale come from the .tflite file. Images of type .npy and
.ppm and raw frames on standard input are read with NumPy alone, other images
with OpenCV or Pillow, videos and cameras with OpenCV (pip install
opencv-python), whichever is there.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

try:
    from lite import DepthPredictor
except ModuleNotFoundError:
    from scdepth_tf.lite import DepthPredictor

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}


def main() -> None:
    options = parse()
    predict = DepthPredictor(options.model, num_threads=options.threads)
    unit = "m" if predict.metres_per_unit else "scene units"
    names, frames = open_source(options.source, options.size)
    out = options.out
    if out is None and is_image(options.source):
        out = Path(options.source).parent
    if out:
        make_folder(out)
    start, count = time.perf_counter(), 0
    for depth in predict.stream(frames, resize_to_image=options.full_size):
        count += 1
        name = next(names)
        if out:
            write(out, name, depth)
        if options.show and not shown(picture(depth)):
            break
        near, middle, far = np.quantile(depth, [0.05, 0.5, 0.95])
        sys.stdout.write(
            f"{name}: {near:.2f}, {middle:.2f}, {far:.2f} {unit} (near,"
            " median, far)\n"
        )
    seconds = time.perf_counter() - start
    if not count:
        sys.exit(f"there are no frames in {options.source}")
    frames = "frame" if count == 1 else "frames"
    sys.stdout.write(f"{count} {frames}, {count / seconds:.1f} a second\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", help="a file of `scdepth export`")
    parser.add_argument(
        "source", help="image, video, camera:NUMBER, or - for raw RGB frames"
    )
    parser.add_argument("--out", type=Path, help="folder for .npy and .png")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument(
        "--full-size", action="store_true", help="depth at the image's size"
    )
    parser.add_argument(
        "--size",
        type=positive,
        nargs=2,
        metavar=("H", "W"),
        help="of raw frames",
    )
    parser.add_argument("--show", action="store_true", help="in a window")
    return parser.parse_args()


def positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


# === Images in ===


def open_source(
    source: str, size: list[int] | None
) -> tuple[Iterator[str], Iterator[np.ndarray]]:
    """Names and frames, uint8 [H, W, 3] RGB, of what the user named."""
    if is_image(source):
        return iter([Path(source).stem]), iter([read_image(Path(source))])
    names = (f"{index:06d}" for index in range(sys.maxsize))
    return names, raw_frames(size) if source == "-" else video(source)


def is_image(source: str) -> bool:
    return not (
        source == "-"
        or source.startswith("camera:")
        or Path(source).suffix.lower() in VIDEOS
    )


def read_image(path: Path) -> np.ndarray:
    if not path.is_file():
        sys.exit(f"there is no file {path}")
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".ppm":
        return read_ppm(path)
    if cv2 := module("cv2"):
        image = cv2.imread(str(path))
        if image is None:
            sys.exit(f"{path} is no image that OpenCV can read")
        return image[..., ::-1]
    if module("PIL"):
        from PIL import Image

        return np.asarray(Image.open(path).convert("RGB"))
    sys.exit(
        f"reading {path} needs Pillow or OpenCV (pip install pillow); NumPy"
        " alone reads .npy and .ppm"
    )


def read_ppm(path: Path) -> np.ndarray:
    """A binary PPM with 8 bits a colour and no comments."""
    content = path.read_bytes()
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", content)
    if header is None:
        sys.exit(f"{path} is no binary PPM with 8 bits a colour")
    shape = (int(header[2]), int(header[1]), 3)
    pixels = np.frombuffer(content, np.uint8, offset=header.end())
    if pixels.size != np.prod(shape):
        sys.exit(f"{path} is cut: its header promises more pixels than it has")
    return pixels.reshape(shape)


def raw_frames(size: list[int] | None) -> Iterator[np.ndarray]:
    if size is None:
        sys.exit("raw frames need --size H W")
    height, width = size
    count = 3 * height * width
    while len(frame := sys.stdin.buffer.read(count)) == count:
        yield np.frombuffer(frame, np.uint8).reshape(height, width, 3)
    if frame:
        sys.exit(
            f"the last frame is cut: {len(frame)} of its {count} bytes came;"
            f" are they frames of {height} x {width} (height, width)?"
        )


def video(source: str) -> Iterator[np.ndarray]:
    camera = source.startswith("camera:")
    if not (camera or Path(source).is_file()):
        sys.exit(f"there is no file {source}")
    cv2 = module("cv2")
    if cv2 is None:
        sys.exit(
            f"reading {source} needs OpenCV, or ffmpeg before this program"
            " (--help shows how)"
        )
    capture = cv2.VideoCapture(int(source[7:]) if camera else source)
    if not capture.isOpened():
        sys.exit(f"{source} cannot be opened")
    while True:
        is_there, frame = capture.read()
        if not is_there:
            return
        yield frame[..., ::-1]


def module(name: str):
    """A module that may not be installed; None without it."""
    try:
        return __import__(name)
    except ModuleNotFoundError:
        return None


# === Depth and pictures out ===


def make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"cannot make the folder {out}: {error.strerror}")


def write(out: Path, name: str, depth: np.ndarray) -> None:
    array = io.BytesIO()
    np.save(array, depth)
    contents = {"npy": array.getvalue(), "png": png(picture(depth))}
    for ending, content in contents.items():
        path = out / f"{name}.depth.{ending}"
        try:
            path.write_bytes(content)
        except OSError as error:
            path.unlink(missing_ok=True)
            sys.exit(f"cannot write {path}: {error.strerror}")


def picture(depth: np.ndarray) -> np.ndarray:
    """uint8 [h, w] of inverse depth: near is bright."""
    inverse = 1 / depth
    far, near = np.quantile(inverse, [0.02, 0.98])
    scaled = (inverse - far) / max(near - far, 1e-6)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def png(grey: np.ndarray) -> bytes:
    """A PNG file of a uint8 [h, w] picture."""
    height, width = grey.shape
    rows = np.insert(grey, 0, 0, axis=1)  # each row begins with its filter

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", checksum)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def shown(grey: np.ndarray) -> bool:
    """Shows a picture; False once the user pressed q."""
    cv2 = module("cv2")
    if cv2 is None:
        sys.exit("--show needs OpenCV")
    cv2.imshow("depth", cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO))
    return cv2.waitKey(1) != ord("q")


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, ValueError, ImportError) as error:
        sys.exit(str(error))

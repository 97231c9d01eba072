"""Depth on the device: numpy and a LiteRT runtime, nothing else.

This file imports nothing of the package (nor TensorFlow, nor Pillow): it can
be copied to a device beside the .tflite file it runs. It works with
`ai-edge-litert` and, where only that is installed, with `tflite-runtime`.

    predict = DepthPredictor("depth_int8.tflite")
    depth = predict(image)  # uint8 RGB [H, W, 3] -> float32 [h, w]
    for depth in predict.stream(frames):  # of a camera, a video
        ...

The network ends in logits. Sigmoid and reciprocal stay in float here, because
an int8 sigmoid has only 256 steps of 1/256: with disparity = 10·σ + 0.01 its
five farthest codes would mean depths 100, 20, 11, 8 and 6.
"""

from __future__ import annotations

import importlib
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

METADATA_NAME = "scdepth.json"
"""The file in a model's zip tail that describes the model."""

METADATA_FORMAT = 1
"""Version of that description which this file understands."""


class DepthPredictor:
    """Depth from one image, by a .tflite file that describes itself.

    Reads input size, head and quantization from the file. Not thread-safe:
    one predictor a thread.

    Args:
        path: .tflite file written by `scdepth_tf.export`.
        num_threads: CPU threads of the runtime.

    Attributes:
        metadata: what the file says about itself.
        image_size: height and width the network works at.
        metres_per_unit: what a scene unit is (`scdepth calibrate`); None
            where the file does not know, and depth stays in scene units.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a TFLite model, without a description, or not a
            depth network.
        ImportError: neither runtime is installed.
    """

    def __init__(self, path: str | Path, num_threads: int = 2) -> None:
        self.metadata = read_metadata(path)
        if self.metadata["kind"] != "depth":
            raise ValueError(
                f"{path} holds a {self.metadata['kind']} network, expected a"
                " depth network"
            )
        self.image_size: tuple[int, int] = tuple(self.metadata["input"]["size"])
        self.metres_per_unit: float | None = self.metadata.get("scale", {}).get(
            "metres_per_unit"
        )
        self._run = _runner(path, num_threads)
        self._input = self._run.get_input_details()["image"]
        self._output = self._run.get_output_details()["logits"]
        self._resize = {"image": _Resizer(), "disparity": _Resizer()}

    def __call__(
        self, image: np.ndarray, resize_to_image: bool = False
    ) -> np.ndarray:
        """Depth of one image.

        Args:
            image: [H, W, 3] uint8 RGB, any size; resized to the network's
                size, whatever the change of aspect ratio, as in training.
            resize_to_image: return depth at the image's size instead of the
                network's. Disparity is interpolated, not depth: between a
                near and a far surface that is what a pixel in between sees.

        Returns:
            [h, w] float32 depth > 0: metres where the file knows the scale
            (see `metres_per_unit`), else scene units, one unknown scale for
            all images of a model.

        Raises:
            ValueError: the image is not uint8 [H, W, 3].
        """
        return self._depth(image, resize_to_image).copy()

    def stream(
        self, frames: Iterable[np.ndarray], resize_to_image: bool = False
    ) -> Iterator[np.ndarray]:
        """Depth of the frames of a video or camera, one after the other.

        A frame is taken when its depth is asked for, never ahead: a camera's
        is as fresh as can be. Each is looked at alone, and nothing is
        averaged or scaled over time: the scale of the network's depth is one
        for the whole video. Filters and buffers are made once.

        Args:
            frames: images as in a call. A frame may have another size than
                the one before.
            resize_to_image: as in a call.

        Yields:
            Depth of each frame, as a call gives it. The next frame's may be
            written over it: copy what you keep.

        Raises:
            ValueError: a frame is not uint8 [H, W, 3].
        """
        for frame in frames:
            yield self._depth(frame, resize_to_image)

    def _depth(self, image: np.ndarray, resize_to_image: bool) -> np.ndarray:
        _check_image(image)
        disparity = self._disparity(self._logits(image))
        if resize_to_image:
            disparity = self._resize["disparity"](disparity, image.shape[:2])
        unit = np.float32(self.metres_per_unit or 1.0)
        return np.divide(unit, disparity, out=disparity)[..., 0]

    def _logits(self, image: np.ndarray) -> np.ndarray:
        pixels = self._resize["image"](image, self.image_size)
        pixels /= np.float32(255)
        answer = self._run(image=_quantize(pixels[np.newaxis], self._input))
        return _dequantize(answer["logits"][0], self._output)

    def _disparity(self, logits: np.ndarray) -> np.ndarray:
        head = self.metadata["output"]
        # exp(80) still fits float32, and σ(−80) is zero beside beta.
        sigmoid = 1.0 / (1.0 + np.exp(-np.maximum(logits, -80.0)))
        return head["alpha"] * sigmoid + head["beta"]


class PosePredictor:
    """Camera motion between two images, by a .tflite file that describes
    itself.

    Not thread-safe: one predictor a thread.

    Args:
        path: .tflite file of a pose network.
        num_threads: CPU threads of the runtime.

    Attributes:
        metadata: what the file says about itself.
        image_size: height and width the network works at.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a TFLite model, without a description, or not a pose
            network.
        ImportError: neither runtime is installed.
    """

    def __init__(self, path: str | Path, num_threads: int = 2) -> None:
        self.metadata = read_metadata(path)
        if self.metadata["kind"] != "pose":
            raise ValueError(
                f"{path} holds a {self.metadata['kind']} network, expected a"
                " pose network"
            )
        self.image_size: tuple[int, int] = tuple(self.metadata["input"]["size"])
        self._run = _runner(path, num_threads)
        self._inputs = self._run.get_input_details()

    def __call__(self, target: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Motion between two images of one camera.

        Args:
            target: [H, W, 3] uint8 RGB, any size.
            source: the same.

        Returns:
            [6] float32 (tx, ty, tz, rx, ry, rz), source_from_target:
            translation in the depth network's scene units, rotation in
            radians, R = Rx·Ry·Rz.

        Raises:
            ValueError: an image is not uint8 [H, W, 3].
        """
        pair = {"target": target, "source": source}
        for image in pair.values():
            _check_image(image)
        values = {
            name: _quantize(
                prepare(image, self.image_size)[np.newaxis], self._inputs[name]
            )
            for name, image in pair.items()
        }
        return self._run(**values)["pose"][0]


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a .tflite file says about itself (its keys: docs of `export`).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a TFLite model, or without a description that this
            version understands.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no model file at {path}; `scdepth export` writes one"
        )
    with path.open("rb") as file:
        is_tflite = file.read(8)[4:] == b"TFL3"
    if not is_tflite:
        raise ValueError(
            f"{path} is not a TFLite model; expected a .tflite file written"
            " by `scdepth export`"
        )
    try:
        with zipfile.ZipFile(path) as tail:
            metadata = json.loads(tail.read(METADATA_NAME))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} does not describe itself (no {METADATA_NAME} inside: cut"
            " short, or another program's); export it again with"
            " `scdepth export`"
        ) from error
    if metadata["format"] != METADATA_FORMAT:
        raise ValueError(
            f"{path} has a description of format {metadata['format']}, this"
            f" version reads format {METADATA_FORMAT}; use the version that"
            f" wrote it ({metadata['producer']}) or export it again"
        )
    return metadata


def prepare(image: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """What the network sees of an image: resized, in [0, 1].

    Args:
        image: [H, W, 3] uint8 RGB, any size.
        image_size: height and width of the network's input.

    Returns:
        [h, w, 3] float32 in [0, 1].
    """
    return resize(image, image_size) / np.float32(255)


def resize(image: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Bilinear resize with antialiasing, half-pixel centres.

    The same as `tf.image.resize(..., "bilinear", antialias=True)`, which the
    training pipeline uses: shrinking averages over all pixels it covers.

    Args:
        image: [H, W, C] of any numeric type.
        image_size: height and width of the result.

    Returns:
        [h, w, C] float32 in the range of the input.
    """
    return _Resizer()(image, image_size)


class _Resizer:
    """`resize` whose filters and buffers serve the next image of that size.

    What it returns is its own buffer, which the next call writes over.
    """

    def __init__(self) -> None:
        self._made_for: tuple | None = None

    def __call__(
        self, image: np.ndarray, image_size: tuple[int, int]
    ) -> np.ndarray:
        if image.shape[:2] == image_size:
            return image.astype(np.float32)
        made_for = (image.shape, image.dtype, image_size)
        if self._made_for != made_for:
            old, (height, width) = image.shape, image_size
            self._rows = _Rows(old, height, image.dtype)
            self._columns = _Rows((old[1], height, *old[2:]), width, np.float32)
            self._turned = np.empty((old[1], height, *old[2:]), np.float32)
            self._made_for = made_for
        # In a row of memory what is taken together: three times as fast.
        np.copyto(self._turned, self._rows(image).swapaxes(0, 1))
        return self._columns(self._turned).swapaxes(0, 1)


class _Rows:
    """[H, ...] -> [height, ...]: each new row a weighted mean of old rows."""

    def __init__(
        self, shape: tuple[int, ...], height: int, dtype: np.dtype | type
    ) -> None:
        new_shape = (height, *shape[1:])
        self._is_same = shape[0] == height
        self._resized = np.empty(new_shape, np.float32)
        if self._is_same:
            return
        self._rows, weights = _triangle_filter(shape[0], height)
        self._weights = weights.reshape(
            *weights.shape, *[1] * (len(new_shape) - 1)
        )
        self._taken = np.empty(new_shape, dtype)
        self._weighted = np.empty(new_shape, np.float32)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if self._is_same:
            np.copyto(self._resized, image, casting="same_kind")
            return self._resized
        self._resized.fill(0)
        for tap in range(self._rows.shape[1]):
            # The indices are within the image; "clip" needs no buffer.
            np.take(image, self._rows[:, tap], 0, out=self._taken, mode="clip")
            np.multiply(self._weights[:, tap], self._taken, out=self._weighted)
            self._resized += self._weighted
        return self._resized


def _triangle_filter(size: int, new_size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each new sample: the old ones it covers and their weights.

    Samples are centred in cells that divide a line of length `size`. The
    triangle reaches one cell to either side: an old cell, or a new one where
    those are wider.

    Returns:
        Indices and float32 weights, both [new_size, taps].
    """
    step = size / new_size
    reach = max(step, 1.0)
    centres = (np.arange(new_size)[:, np.newaxis] + 0.5) * step
    first = np.ceil(centres - reach - 0.5).astype(int)
    taps = first + np.arange(math.ceil(2 * reach) + 1)
    weights = np.maximum(1.0 - np.abs(taps + 0.5 - centres) / reach, 0.0)
    weights[(taps < 0) | (taps >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, size - 1), weights.astype(np.float32)


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray):
        raise ValueError(
            "expected an image as a numpy array, uint8 [H, W, 3] RGB, got"
            f" {type(image).__name__}; numpy.asarray(image) makes one"
        )
    has_pixels = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    if image.dtype != np.uint8 or not has_pixels:
        raise ValueError(
            "expected an image of uint8 [H, W, 3] RGB, got"
            f" {image.dtype} {list(image.shape)}"
        )


def _quantize(values: np.ndarray, tensor: Mapping[str, Any]) -> np.ndarray:
    """Float values as the tensor stores them; unchanged for float tensors."""
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    codes = np.rint(values / np.float32(scale)) + np.float32(zero_point)
    return np.clip(codes, limits.min, limits.max).astype(tensor["dtype"])


def _dequantize(values: np.ndarray, tensor: Mapping[str, Any]) -> np.ndarray:
    """Stored values as floats; unchanged for float tensors."""
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    return (values - np.float32(zero_point)) * np.float32(scale)


def _runner(path: str | Path, num_threads: int) -> Callable:
    """What runs the one signature of a .tflite file.

    Raises:
        ValueError: the file is damaged, or `num_threads` below 1.
    """
    if num_threads < 1:
        raise ValueError(f"num_threads is {num_threads}; give 1 or more")
    runtime = _runtime()
    try:
        return runtime.Interpreter(
            model_path=str(path), num_threads=num_threads
        ).get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be run ({str(error).strip().splitlines()[0]}); "
            "copy or export it again"
        ) from error


def _runtime() -> ModuleType:
    """The installed runtime's `interpreter` module."""
    for package in ("ai_edge_litert", "tflite_runtime"):
        try:
            return importlib.import_module(f"{package}.interpreter")
        except ModuleNotFoundError as error:
            if error.name != package:  # installed, but broken
                raise
    raise ImportError(
        "running a .tflite file needs a LiteRT runtime:"
        ' pip install "scdepth-tf[lite]"'
    )

"""float32 .tflite -> int8 .tflite, with litert-quantizer and no TensorFlow.

Weights get one scale per output channel, activations one per tensor. The
whole graph becomes int8, its input and its logits too; sigmoid and reciprocal
follow in float outside (`scdepth_tf.lite` says why). The input's scale is
exactly 1/255 and its zero point −128, so that a camera's byte b enters as
b − 128, without loss.

The converter's own quantization is Google's legacy road, litert-quantizer the
current one. On the mobile network both are as fast, and litert-quantizer with
our ranges is 3 to 4 % closer to float.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from scdepth_tf.export import graph
from scdepth_tf.lite import resize

RECIPE = "static_wi8_ai8"
"""litert-quantizer's name for int8 weights and int8 activations."""

_NUM_THREADS = 2

Ranges = dict[str, dict[str, np.ndarray]]
"""Smallest ("min") and largest ("max") value by tensor name."""

_log = logging.getLogger(__name__)


def quantize_int8(
    model: bytes, calibration: Iterable[np.ndarray], image_size: tuple[int, int]
) -> tuple[bytes, dict[str, Any]]:
    """Quantizes a float model to int8 and takes out the shift this leaves.

    Rounding before a ReLU does not average out: an error that falls below
    zero is cut, one above stays. Layer by layer this shifts the logits, and
    with them the scale of all depths (7 % on the mobile network, twice the
    error that remains without the shift). So the mean shift on the
    calibration frames is subtracted from the last bias (empirical bias
    correction: Nagel et al., Data-Free Quantization, ICCV 2019, appendix D).

    Args:
        model: float .tflite with signature `image` -> `logits`.
        calibration: RGB frames of the training domain, [H, W, 3] uint8 or
            float in [0, 1], any size; 100 or more are worth their time. Read
            once, one at a time; kept in memory as bytes at the network's
            size.
        image_size: height and width of the model's input.

    Returns:
        The int8 .tflite and how it was made (for its description).

    Raises:
        ValueError: no frame, or a frame that is not an RGB image.
        ImportError: litert-quantizer is not installed.
    """
    quantizer, recipe = _litert_quantizer()
    observer = _FloatObserver(model)
    images = []
    for index, frame in enumerate(calibration):
        images.append(_network_bytes(frame, image_size, index))
        observer.observe(images[-1])
    if not images:
        raise ValueError(
            "calibration has no frame; int8 needs frames of the training"
            " domain, 100 or more"
        )
    ranges = observer.ranges()
    float_model = bytearray(model)
    _make_biases_fit(float_model, ranges)
    with _quiet_quantizer():
        result = quantizer.Quantizer(
            float_model, getattr(recipe, RECIPE)()
        ).quantize(
            ranges, enable_progress_bar=False, enable_progress_report=False
        )
    quantized = bytearray(result.quantized_model)
    _lower_output(quantized, _mean_logit(quantized, images) - observer.logit)
    _warn_of_float(quantized)
    version = importlib.metadata.version("litert-quantizer")
    return bytes(quantized), {
        "scheme": "int8",
        "tool": f"litert-quantizer {version}",
        "recipe": RECIPE,
        "calibration_frames": len(images),
    }


class _FloatObserver:
    """Runs the float model on frames and keeps what quantization needs.

    The range of a tensor is the mean over frames of its minimum and of its
    maximum: one frame's outlier then costs the others little resolution, and
    the order of the frames does not matter. (litert-quantizer's own
    calibration keeps a moving average in which the first of n frames still
    weighs 0.95ⁿ.)
    """

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert import interpreter as litert

        # Without delegates every intermediate tensor exists to be read.
        self._interpreter = litert.Interpreter(
            model_content=model,
            num_threads=_NUM_THREADS,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=(
                litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        self._run = self._interpreter.get_signature_runner()
        activations = graph.activation_names(model)
        self._tensors = [
            tensor
            for tensor in self._interpreter.get_tensor_details()
            if tensor["name"] in activations and tensor["dtype"] == np.float32
        ]
        self._extremes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {
            tensor["name"]: [] for tensor in self._tensors
        }
        self._logits: list[float] = []

    def observe(self, image: np.ndarray) -> None:
        """Adds one frame, [H, W, 3] uint8 of the network's size."""
        pixels = image[np.newaxis] / np.float32(255)
        self._logits.append(self._run(image=pixels)["logits"].mean())
        for tensor in self._tensors:
            values = self._interpreter.get_tensor(tensor["index"])
            self._extremes[tensor["name"]].append(
                (values.min(keepdims=True), values.max(keepdims=True))
            )

    @property
    def logit(self) -> float:
        """Mean logit of all frames."""
        return float(np.mean(self._logits))

    def ranges(self) -> Ranges:
        """As litert-quantizer takes them: arrays of the tensors' rank."""
        ranges = {}
        for name, extremes in self._extremes.items():
            low, high = np.mean(extremes, axis=0, dtype=np.float64)
            # Any range holds a tensor that never moved; an empty one has no
            # scale.
            high = np.where(low == high, low + 1, high)
            ranges[name] = {"min": low, "max": high}
        image = self._run.get_input_details()["image"]
        ones = np.ones([1] * len(image["shape"]), np.float32)
        ranges[image["name"]] = {"min": 0 * ones, "max": ones}
        return ranges


def _network_bytes(
    frame: np.ndarray, image_size: tuple[int, int], index: int
) -> np.ndarray:
    """A frame at the network's size, uint8."""
    frame = np.asarray(frame)
    is_image = frame.ndim == 3 and frame.shape[2] == 3 and frame.size > 0
    is_float = np.issubdtype(frame.dtype, np.floating)
    if not is_image or not (is_float or frame.dtype == np.uint8):
        raise ValueError(
            f"calibration frame {index}: expected RGB [H, W, 3], uint8 or"
            f" float in [0, 1], got {frame.dtype} {list(frame.shape)}"
        )
    if is_float and not (frame.min() >= 0 and frame.max() <= 1):
        raise ValueError(
            f"calibration frame {index}: expected floats in [0, 1], got"
            f" {frame.min():g} to {frame.max():g}"
        )
    pixels = resize(frame, image_size) * (255 if is_float else 1)
    return np.rint(pixels).astype(np.uint8)


def _make_biases_fit(model: bytearray, ranges: Ranges) -> None:
    """Raises the weights of dead channels, in place, until int32 holds the
    channel's bias.

    A bias is counted in steps of input scale × weight scale. Channels that
    training left dead (the ImageNet EfficientNet-Lite0 has a hundred) have
    weights near 1e-9 and ordinary biases: too many steps for int32, and
    litert-quantizer 0.11 then turns the sign of a positive bias. One weight
    large enough for the scale moves the output by less than 1e-4 of the bias.
    """
    for convolution in graph.convolutions(model):
        low, high = (ranges[convolution.input][end] for end in ("min", "max"))
        input_scale = (np.maximum(high, 0) - np.minimum(low, 0)).item() / 255
        smallest = np.abs(convolution.bias) * 127 / (2**30 * input_scale)
        dead = np.abs(convolution.weights).max(axis=1) < smallest
        convolution.weights[dead, 0] = smallest[dead]


def _mean_logit(model: bytes, images: list[np.ndarray]) -> float:
    """Mean logit of an int8 model over uint8 images of its size."""
    from ai_edge_litert import interpreter as litert

    run = litert.Interpreter(
        model_content=bytes(model), num_threads=_NUM_THREADS
    ).get_signature_runner()
    scale, zero_point = run.get_output_details()["logits"]["quantization"]
    codes = [
        run(image=(image[np.newaxis] ^ 0x80).view(np.int8))["logits"].mean()
        for image in images
    ]
    return float((np.mean(codes) - zero_point) * scale)


def _lower_output(model: bytearray, shift: float) -> None:
    """Subtracts `shift` from the logits, in place."""
    *_, last = graph.convolutions(model)
    last.bias[:] -= round(shift / last.bias_steps.item())
    _log.debug("took a shift of %.4f out of the logits", shift)


def _warn_of_float(model: bytes) -> None:
    types = graph.tensor_types(model)
    if types["FLOAT32"]:
        _log.warning(
            "%d of %d tensors stay float32, because int8 has no kernel for"
            " their op (ELU, in the reference decoder); the mobile decoder"
            " is int8 throughout",
            types["FLOAT32"],
            types.total(),
        )


@contextlib.contextmanager
def _quiet_quantizer() -> Iterator[None]:
    """Without litert-quantizer's progress bar, which has no switch, and its
    runtime's warning about the option that litert-quantizer itself sets.
    """
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.filterwarnings(
            "ignore", ".*experimental_preserve_all_tensors", UserWarning
        )
        yield


def _litert_quantizer() -> tuple[ModuleType, ModuleType]:
    try:
        from litert_quantizer import quantizer, recipe
    except ModuleNotFoundError as error:
        if error.name != "litert_quantizer":  # installed, but broken
            raise
        raise ImportError(
            "int8 export needs litert-quantizer:"
            ' pip install "scdepth-tf[quantize]"'
        ) from error
    return quantizer, recipe

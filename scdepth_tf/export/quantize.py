"""float32 .tflite -> a quantized one, with litert-quantizer, no TensorFlow.

float16   weights of the convolutions in half precision
dynamic   int8 weights, float activations; nothing to calibrate
int8      the whole graph from its input to its logits
int16x8   int8 weights, int16 activations

Weights get one scale per output channel, activations one per tensor. Of a
depth network everything is integer; sigmoid and reciprocal follow in float
outside (`scdepth_tf.lite` says why). The input's scale is exactly 1/255: a
camera's byte enters without loss. Of a pose network the last convolution and
the mean stay float, because six numbers of different sizes in 256 steps would
be useless, and so does optical flow, which divides.

The converter's own quantization is Google's legacy road, litert-quantizer the
current one. What we add to it (exact ranges of the normalised input, wider
ranges, rounding by `scdepth_tf.export.rounding`, the last bias) is measured in
docs/decisions.md.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import io
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from scdepth_tf.export import graph
from scdepth_tf.export.rounding import Moments, round_weights
from scdepth_tf.lite import resize

SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8")
"""Names of what can be made of weights and activations."""

CALIBRATED = ("int8", "int16x8")
"""The schemes that need frames."""

_RECIPES = {
    "dynamic": "dynamic_wi8_afp32",
    "int8": "static_wi8_ai8",
    "int16x8": "static_wi8_ai16",
}
"""litert-quantizer's names."""

_NUM_THREADS = 2

Ranges = dict[str, dict[str, np.ndarray]]
"""Smallest ("min") and largest ("max") value by tensor name."""

Frame = np.ndarray | Sequence[np.ndarray]
"""RGB [H, W, 3], uint8 or float in [0, 1]; a pair of them for pose."""

_log = logging.getLogger(__name__)


def quantize(
    model: bytes,
    scheme: str,
    calibration: Iterable[Frame] = (),
    interface: str = "float32",
) -> tuple[bytes, dict[str, Any]]:
    """Quantizes a float model by the name of a scheme.

    Args:
        model: float .tflite with a signature from images of one size
            (`image`, or `target` and `source`) to one output.
        scheme: one of `SCHEMES`.
        calibration: for `CALIBRATED` ones (and only then read): frames of the
            training domain, any size; 100 or more are worth their time. Read
            once; kept in memory as bytes at the network's size.
        interface: of int8: "uint8" or "float32" inputs and outputs (what is
            float inside stays so).

    Returns:
        The .tflite and how it was made (for its description).

    Raises:
        ValueError: unknown scheme, no frame, or a frame that is no image.
        ImportError: litert-quantizer is not installed.
    """
    check_scheme(scheme)
    if scheme == "float32":
        return model, {"scheme": scheme}
    made = {
        "scheme": scheme,
        "tool": f"litert-quantizer {_quantizer_version()}",
    }
    if scheme == "float16":
        return _quantized(model, _float16_recipe()), made
    if scheme == "dynamic":
        return _quantized(model, _recipe(scheme, model)), made
    integer, count = _integer(model, scheme, calibration)
    outside = interface if scheme == "int8" else "float32"
    return graph.with_interface(integer, outside), {
        **made,
        "calibration_frames": count,
        "interface": outside,
    }


def check_scheme(scheme: str) -> None:
    """Refuses what is not in `SCHEMES`.

    Raises:
        ValueError: unknown; the line names the nearest one.
    """
    if scheme in SCHEMES:
        return
    likely = difflib.get_close_matches(scheme.lower(), SCHEMES, 1, 0.4)
    hint = f"; did you mean {likely[0]}?" if likely else ""
    raise ValueError(
        f"quantize must be one of {', '.join(SCHEMES)}, got {scheme!r}{hint}"
    )


def _integer(
    model: bytes, scheme: str, calibration: Iterable[Frame]
) -> tuple[bytes, int]:
    """The model with integer activations, and the number of frames read.

    Rounding before a ReLU does not average out: an error that falls below
    zero is cut, one above stays. Layer by layer this shifts the logits, and
    with them the scale of all depths. So the mean shift on the calibration
    frames is subtracted from the last bias (empirical bias correction: Nagel
    et al., Data-Free Quantization, ICCV 2019, appendix D).
    """
    observer = _FloatObserver(model)
    samples = []
    for index, frame in enumerate(calibration):
        samples.append(_network_bytes(frame, observer.sizes, index))
        observer.observe(samples[-1])
    if not samples:
        raise ValueError(
            f"calibration has no frame; {scheme} needs frames of the training"
            " domain, 100 or more"
        )
    ranges = observer.ranges(scheme)
    float_model = bytearray(model)
    _make_biases_fit(float_model, ranges)
    quantized = bytearray(
        _quantized(float_model, _recipe(scheme, model), ranges)
    )
    for original, integer, moments in zip(
        graph.convolutions(float_model),
        graph.convolutions(quantized),
        observer.moments,
        strict=True,
    ):
        if integer.weights.dtype == np.int8:
            round_weights(original, integer, moments)
    if observer.output == "logits":
        shift = _mean_logit(quantized, samples) - observer.mean_output
        _lower_output(quantized, shift)
        _warn_of_float(quantized)
    return bytes(quantized), len(samples)


class _FloatObserver:
    """Runs the float model on frames and keeps what quantization needs.

    The range of an int8 tensor ends halfway between the mean over frames of
    its extremes and the outermost: the outermost cost all others resolution,
    the mean cuts off what half of the frames need. What only normalises the
    input is not observed but known: black and white images are its ends. The
    order of the frames does not matter. (litert-quantizer's own calibration
    keeps a moving average in which the first of n frames still weighs 0.95ⁿ.)
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
        (self.output,) = self._run.get_output_details()
        self.sizes = _input_sizes(self._run)
        activations = graph.activation_names(model)
        self._tensors = [
            tensor
            for tensor in self._interpreter.get_tensor_details()
            if tensor["name"] in activations and tensor["dtype"] == np.float32
        ]
        self._convolutions = list(graph.convolutions(bytearray(model)))
        self.moments = [Moments(c) for c in self._convolutions]
        self._extremes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {
            tensor["name"]: [] for tensor in self._tensors
        }
        self._outputs: list[float] = []
        known = {
            details["name"]
            for details in self._run.get_input_details().values()
        }
        if not _has_flow(model):
            known |= graph.names_before_convolutions(model)
        self._normalised = self._range_of_normalised(known)

    def observe(self, sample: dict[str, np.ndarray]) -> None:
        """Adds one frame or pair, [H, W, 3] uint8 by input name."""
        output = self._invoke(sample)
        self._outputs.append(float(output.mean()))
        values = {
            tensor["name"]: self._interpreter.get_tensor(tensor["index"])
            for tensor in self._tensors
        }
        for name, value in values.items():
            self._extremes[name].append(
                (value.min(keepdims=True), value.max(keepdims=True))
            )
        for convolution, moments in zip(
            self._convolutions, self.moments, strict=True
        ):
            moments.add(values[convolution.input])

    @property
    def mean_output(self) -> float:
        """Mean output of all frames."""
        return float(np.mean(self._outputs))

    def ranges(self, scheme: str) -> Ranges:
        """As litert-quantizer takes them: arrays of the tensors' rank."""
        ranges = {}
        for name, extremes in self._extremes.items():
            lows, highs = np.swapaxes(extremes, 0, 1).astype(np.float64)
            low, high = lows.min(axis=0), highs.max(axis=0)
            if scheme == "int8":
                low = (low + lows.mean(axis=0)) / 2
                high = (high + highs.mean(axis=0)) / 2
            if name in self._normalised:
                low, high = self._normalised[name]
            # Any range holds a tensor that never moved; an empty one has no
            # scale.
            high = np.where(low == high, low + 1, high)
            ranges[name] = {"min": low, "max": high}
        return ranges

    def _range_of_normalised(
        self, names: set[str]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Values of tensors that only shift and scale the input."""
        ends = []
        for byte in (0, 255):
            self._invoke(
                {
                    name: np.full((*size, 3), byte, np.uint8)
                    for name, size in self.sizes.items()
                }
            )
            ends.append(
                {
                    tensor["name"]: self._interpreter.get_tensor(
                        tensor["index"]
                    )
                    for tensor in self._tensors
                    if tensor["name"] in names
                }
            )
        black, white = ends
        return {
            name: (
                np.minimum(black[name], white[name]).min(keepdims=True),
                np.maximum(black[name], white[name]).max(keepdims=True),
            )
            for name in black
        }

    def _invoke(self, sample: dict[str, np.ndarray]) -> np.ndarray:
        pixels = {
            name: image[np.newaxis] / np.float32(255)
            for name, image in sample.items()
        }
        return self._run(**pixels)[self.output]


def _input_sizes(run: Any) -> dict[str, tuple[int, int]]:
    """Height and width of each input, the target of a pair first."""
    details = run.get_input_details()
    return {
        name: tuple(details[name]["shape"][1:3].tolist())
        for name in ("image", "target", "source")
        if name in details
    }


def _network_bytes(
    frame: Frame, sizes: dict[str, tuple[int, int]], index: int
) -> dict[str, np.ndarray]:
    """A frame or pair at the network's size, uint8 by input name."""
    images = (frame,) if len(sizes) == 1 else tuple(frame)
    if len(images) != len(sizes):
        raise ValueError(
            f"calibration frame {index}: expected a pair of images for"
            f" {' and '.join(sizes)}, got {len(images)}"
        )
    return {
        name: _resized_bytes(image, size, index)
        for image, (name, size) in zip(images, sizes.items(), strict=True)
    }


def _resized_bytes(
    frame: np.ndarray, image_size: tuple[int, int], index: int
) -> np.ndarray:
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


def _mean_logit(model: bytes, samples: list[dict[str, np.ndarray]]) -> float:
    """Mean logit of an integer model over uint8 images of its size."""
    from ai_edge_litert import interpreter as litert

    outside = graph.with_interface(bytes(model), "float32")
    run = litert.Interpreter(
        model_content=outside, num_threads=_NUM_THREADS
    ).get_signature_runner()
    means = [
        run(image=sample["image"][np.newaxis] / np.float32(255))[
            "logits"
        ].mean()
        for sample in samples
    ]
    return float(np.mean(means))


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
            " their op (ELU, in the reference decoder); mobile and slim are"
            " int8 throughout",
            types["FLOAT32"],
            types.total(),
        )


@contextlib.contextmanager
def _quiet_quantizer() -> Iterator[None]:
    """Without litert-quantizer's progress bar, which has no switch, its steps
    in the log, and its runtime's warning about the option that
    litert-quantizer itself sets.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)  # it logs to the root logger
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.filterwarnings(
            "ignore", ".*experimental_preserve_all_tensors", UserWarning
        )
        try:
            yield
        finally:
            logging.disable(disabled)


def _quantized(
    model: bytes, recipe: list[dict[str, Any]], ranges: Ranges | None = None
) -> bytes:
    quantizer, _ = _litert_quantizer()
    with _quiet_quantizer():
        result = quantizer.Quantizer(bytearray(model), recipe).quantize(
            ranges, enable_progress_bar=False, enable_progress_report=False
        )
    return bytes(result.quantized_model)


def _recipe(scheme: str, model: bytes) -> list[dict[str, Any]]:
    """litert-quantizer's recipe of a scheme, with what stays float."""
    _, recipe = _litert_quantizer()
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    chosen = recipe_manager.RecipeManager()
    chosen.load_quantization_recipe(getattr(recipe, _RECIPES[scheme])())
    stays = _names_that_stay(model) if scheme in CALIBRATED else set()
    if stays:
        names = "|".join(map(re.escape, sorted(stays)))
        chosen.add_quantization_config(
            # An op goes by the names of all its outputs.
            regex=f"(^|;)({names})(;|$)",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    return chosen.get_quantization_recipe()


def _names_that_stay(model: bytes) -> set[str]:
    """Names of the tensors of a pose network that stay float: the motion at
    each position and all that follows, and optical flow.
    """
    if "MEAN" not in graph.operators(model):
        return set()
    names = graph.names_after_convolutions(model)
    if _has_flow(model):
        names |= graph.names_before_convolutions(model)
    return names


def _has_flow(model: bytes) -> bool:
    """Whether a pose network begins with optical flow, which divides."""
    return "DIV" in graph.operators(model)


def _float16_recipe() -> list[dict[str, Any]]:
    _litert_quantizer()
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    recipe = recipe_manager.RecipeManager()
    for op in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        recipe.add_quantization_config(
            regex=".*",
            operation_name=qtyping.TFLOperationName[op],
            op_config=half,
            algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    return recipe.get_quantization_recipe()


def _quantizer_version() -> str:
    _litert_quantizer()
    return importlib.metadata.version("litert-quantizer")


def _litert_quantizer() -> tuple[ModuleType, ModuleType]:
    try:
        from litert_quantizer import quantizer, recipe
    except ModuleNotFoundError as error:
        if error.name != "litert_quantizer":  # installed, but broken
            raise
        raise ImportError(
            "quantized export needs litert-quantizer:"
            ' pip install "scdepth-tf[quantize]"'
        ) from error
    return quantizer, recipe

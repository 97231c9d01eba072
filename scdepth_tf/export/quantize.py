"""float32 .tflite -> int8 .tflite, with litert-quantizer and no TensorFlow.

Weights get one scale per output channel, activations one per tensor. The
whole graph becomes int8, its input and its logits too; sigmoid and reciprocal
follow in float outside (`scdepth_tf.lite` says why). The input's scale is
exactly 1/255 and its zero point −128, so that a camera's byte b enters as
b − 128, without loss.

The converter's own quantization is Google's legacy road; litert-quantizer is
the current one, and at least as accurate on our networks (measured).
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from scdepth_tf.lite import resize

RECIPE = "static_wi8_ai8"
"""litert-quantizer's name for int8 weights and int8 activations."""

_log = logging.getLogger(__name__)

Ranges = dict[str, dict[str, np.ndarray]]


def quantize_int8(
    model: bytes, calibration: Iterable[np.ndarray], image_size: tuple[int, int]
) -> tuple[bytes, dict[str, Any]]:
    """Quantizes a float model to int8.

    Args:
        model: float .tflite with signature `image` -> `logits`.
        calibration: RGB frames of the training domain, [H, W, 3] uint8 or
            float in [0, 1], any size; 100 or more are worth their time.
            Read once, one at a time.
        image_size: height and width of the model's input.

    Returns:
        The int8 .tflite and how it was made (for the description).

    Raises:
        ValueError: no frame, or a frame that is not an RGB image.
        ImportError: litert-quantizer is not installed.
    """
    quantizer, recipe = _litert_quantizer()
    frames = (_calibration_input(frame, image_size) for frame in calibration)
    ranges, count = _activation_ranges(model, frames)
    result = quantizer.Quantizer(
        bytearray(model), getattr(recipe, RECIPE)()
    ).quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    made = {
        "scheme": "int8",
        "tool": f"litert-quantizer {importlib.metadata.version('litert-quantizer')}",
        "recipe": RECIPE,
        "calibration_frames": count,
    }
    return bytes(result.quantized_model), made


def _activation_ranges(
    model: bytes, inputs: Iterable[np.ndarray]
) -> tuple[Ranges, int]:
    """Range of every float tensor, from running the float model on frames.

    The range is the mean over the frames of each frame's minimum and maximum:
    a single frame's outlier then costs the others little resolution, and the
    order of the frames does not matter (litert-quantizer's own calibration
    keeps a moving average that after n frames still weighs the first one
    with 0.95^n).

    Returns:
        Ranges by tensor name, and the number of frames.
    """
    from ai_edge_litert import interpreter as litert

    # Without delegates every intermediate tensor exists to be read.
    interpreter = litert.Interpreter(
        model_content=model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=(
            litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
        num_threads=2,
    )
    run = interpreter.get_signature_runner()
    sums: dict[str, np.ndarray] = {}
    count = 0
    for count, image in enumerate(inputs, start=1):  # noqa: B007
        run(image=image)
        for tensor in interpreter.get_tensor_details():
            if tensor["dtype"] == np.float32:
                values = interpreter.get_tensor(tensor["index"])
                extremes = np.array([values.min(), values.max()])
                sums[tensor["name"]] = sums.get(tensor["name"], 0) + extremes
    if count == 0:
        raise ValueError(
            "calibration has no frame; int8 needs frames of the training"
            " domain, 100 or more"
        )
    sums[run.get_input_details()["image"]["name"]] = np.array([0, count])
    ranges = {
        name: {"min": low / count, "max": high / count}
        for name, (low, high) in sums.items()
    }
    return ranges, count

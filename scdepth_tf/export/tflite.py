"""A network -> .tflite: fixed input, builtin ops only, self-describing."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.export import graph
from scdepth_tf.export.metadata import describe, is_pose, write_metadata
from scdepth_tf.export.quantize import (
    CALIBRATED,
    Frame,
    check_scheme,
)
from scdepth_tf.export.quantize import (
    quantize as quantized,
)
from scdepth_tf.files import replace_file
from scdepth_tf.nets.layers import check_image_size

if TYPE_CHECKING:
    from scdepth_tf.nets import DepthNet, PoseNet

_log = logging.getLogger(__name__)


def export_tflite(
    net: DepthNet | PoseNet,
    path: str | Path,
    image_size: tuple[int, int],
    quantize: Literal[
        "float32", "float16", "dynamic", "int8", "int16x8"
    ] = "float32",
    calibration: Iterable[Frame] | None = None,
    metadata: Mapping[str, Any] | None = None,
    interface: Literal["uint8", "float32"] = "uint8",
) -> Path:
    """Writes a network as a .tflite file that `scdepth_tf.lite` runs.

    A depth network's file has one signature, `image` [1, H, W, 3] -> `logits`
    [1, H, W, 1]; disparity = alpha · sigmoid(logits) + beta and depth = 1 /
    disparity are left to the caller, in float. A pose network's has `target`
    and `source` [1, H, W, 3] -> `pose` [1, 6] float32 (tx, ty, tz, rx, ry,
    rz), source_from_target. Images are float32 in [0, 1], or bytes where the
    interface is uint8; uint8 logits have the scale and zero point of the
    output.

    Args:
        net: the network; float32 throughout.
        path: file to write; appears whole or not at all.
        image_size: height and width, multiples of 32.
        quantize: one of `quantize.SCHEMES`. "float16": half the size;
            "dynamic": a quarter, nothing to calibrate; "int8": a quarter, and
            faster where the processor multiplies bytes (ARM with dot
            products, AVX-512 VNNI; not plain AVX2) if the decoder is
            "mobile"; "int16x8": a quarter, close to float, slow.
        calibration: for int8 and int16x8 (and only then read): RGB frames of
            the training domain, [H, W, 3] uint8 or float in [0, 1], any size;
            for a pose network pairs of them. 100 or more are worth their
            time.
        metadata: JSON values to add to the file's description, for example
            training_data, commit, metrics.
        interface: of int8: bytes in and out, or float32 in and out.

    Returns:
        `path`.

    Raises:
        ValueError: unknown scheme, image size, calibration or metadata; a
            network in mixed precision, with weights that are not finite, or
            with ops that TFLite's builtins lack; `path` cannot be written.
        ImportError: ai-edge-litert or, to quantize, litert-quantizer is not
            installed.
    """
    check_scheme(quantize)
    if quantize in CALIBRATED and calibration is None:
        raise ValueError(
            f"{quantize} needs calibration frames of the training domain, 100"
            " or more; got none"
        )
    check_image_size(image_size)
    # Everything that can be wrong is, where possible, found before the
    # minutes that conversion and calibration may take.
    describe(net, image_size, {}, metadata or {})
    with replace_file(path) as unfinished:
        model = convert(net, image_size)
        if calibration is None:
            calibration = ()
        model, made = quantized(model, quantize, calibration, interface)
        unfinished.write_bytes(model)
        write_metadata(
            unfinished, describe(net, image_size, made, metadata or {})
        )
    _log.info("made %s", Path(path).name)
    return Path(path)


def convert(net: DepthNet | PoseNet, image_size: tuple[int, int]) -> bytes:
    """The network as a float32 .tflite with a fixed input of one image, or
    of two for a pose network.

    Raises:
        ValueError: a network in mixed precision, with weights that are not
            finite, or with ops that TFLite's builtins lack.
    """
    network = net.network
    _check_precision(network)
    _check_finite(network)
    function = _pose(net) if is_pose(net) else _logits(net)
    names = ("target", "source") if is_pose(net) else ("image",)
    specs = [
        tf.TensorSpec((1, *image_size, 3), tf.float32, name=name)
        for name in names
    ]
    concrete = tf.function(function, autograph=False).get_concrete_function(
        *specs
    )
    # The converter freezes the variables that this module tracks. Given the
    # Keras model instead, it would leave READ_VARIABLE ops that yield NaN; a
    # SavedModel works too, in three times the time.
    module = tf.Module()
    module.variables_to_freeze = stack.tensorflow_variables(network.variables)
    with _stderr_to_log():
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [concrete], module
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # Unknown ops come out as custom ops, which we refuse by name: the
        # converter's own refusal is a page of MLIR.
        converter.allow_custom_ops = True
        model = converter.convert()
    _check_operators(model)
    return model


def _logits(net: DepthNet) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    def logits(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": net.network(image, training=False)}

    return logits


def _pose(
    net: PoseNet,
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    def pose(target: tf.Tensor, source: tf.Tensor) -> dict[str, tf.Tensor]:
        pair = tf.concat([target, source], axis=-1)
        return {"pose": net(pair, training=False)}

    return pose


def _check_precision(network: keras.Model) -> None:
    """TFLite's CPU kernels compute in float32: half precision would only
    come out as a trail of CAST ops.
    """
    others = {layer.compute_dtype for layer in network.layers} - {"float32"}
    if others:
        raise ValueError(
            f"the network computes in {', '.join(sorted(others))};"
            " build it under the float32 policy and load the weights to"
            " export it"
        )


def _check_finite(network: keras.Model) -> None:
    for weight in network.weights:
        if not np.isfinite(weight.numpy()).all():
            raise ValueError(
                f"the network's {stack.path(weight)} is not finite: its"
                " training diverged; export an earlier checkpoint"
            )


def _check_operators(model: bytes) -> None:
    """Only builtin ops, and no variables: the weights are constants."""
    kinds = graph.operators(model)
    custom = sorted(kind for kind in kinds if kind.startswith("custom "))
    if custom:
        raise ValueError(
            "the network uses ops that TFLite has no builtin for:"
            f" {', '.join(custom)}; replace their layers"
        )
    if "READ_VARIABLE" in kinds:
        raise ValueError(
            f"{kinds['READ_VARIABLE']} weights of the network are not"
            " among its `network.variables`; layers must own their weights"
        )


@contextlib.contextmanager
def _stderr_to_log() -> Iterator[None]:
    """What the block's C++ code prints to stderr goes to the log, as debug.

    The converter prints some thirty lines past Python's logging. Its own
    switch, TF_CPP_MIN_LOG_LEVEL, is read once, when TensorFlow is imported,
    and belongs to the user; so the file descriptor is diverted meanwhile.
    """
    with tempfile.TemporaryFile() as spool:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(spool.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            spool.seek(0)
            for line in spool.read().decode(errors="replace").splitlines():
                _log.debug("converter: %s", line)

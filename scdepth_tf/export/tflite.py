"""Depth network -> .tflite: fixed input, builtin ops only, self-describing."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
import tensorflow as tf

from scdepth_tf.export import graph
from scdepth_tf.export.metadata import describe, write_metadata
from scdepth_tf.export.quantize import quantize_int8
from scdepth_tf.files import replace_file
from scdepth_tf.nets.layers import check_image_size

if TYPE_CHECKING:
    from scdepth_tf.nets.depth_net import DepthNet

SCHEMES = ("float32", "int8")
"""What `export_tflite` can make of the weights and activations."""

_log = logging.getLogger(__name__)


def export_tflite(
    depth_net: DepthNet,
    path: str | Path,
    image_size: tuple[int, int],
    quantize: Literal["float32", "int8"] = "float32",
    calibration: Iterable[np.ndarray] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a depth network as a .tflite file that `scdepth_tf.lite` runs.

    The file has one signature, `image` [1, H, W, 3] -> `logits` [1, H, W, 1];
    disparity = alpha · sigmoid(logits) + beta and depth = 1 / disparity are
    left to the caller, in float. float32: `image` in [0, 1]. int8: the image
    bytes − 128, and logits with the scale and zero point of the output.

    Args:
        depth_net: the network; float32 throughout.
        path: file to write; appears whole or not at all.
        image_size: height and width, multiples of 32.
        quantize: "float32", or "int8": a quarter of the size, and faster
            where the processor multiplies bytes (ARM with dot products,
            AVX-512 VNNI; not plain AVX2) if the decoder is "mobile".
        calibration: for int8 (and only then read): RGB frames of the
            training domain, [H, W, 3] uint8 or float in [0, 1], any size;
            100 or more are worth their time.
        metadata: JSON values to add to the file's description, for example
            training_data, commit, metrics.

    Returns:
        `path`.

    Raises:
        ValueError: unknown scheme, image size, calibration or metadata; a
            network in mixed precision, with weights that are not finite, or
            with ops that TFLite's builtins lack; `path` cannot be written.
        ImportError: ai-edge-litert or, for int8, litert-quantizer is not
            installed.
    """
    if quantize not in SCHEMES:
        raise ValueError(
            f"quantize must be one of {', '.join(SCHEMES)}, got {quantize!r}"
        )
    if quantize == "int8" and calibration is None:
        raise ValueError(
            "int8 needs calibration frames of the training domain, 100 or"
            " more; got none"
        )
    check_image_size(image_size)
    # Everything that can be wrong is, where possible, found before the
    # minutes that conversion and calibration may take.
    describe(depth_net, image_size, {}, metadata or {})
    with replace_file(path) as unfinished:
        model = convert(depth_net, image_size)
        made = {"scheme": "float32"}
        if quantize == "int8":
            model, made = quantize_int8(model, calibration, image_size)
        unfinished.write_bytes(model)
        description = describe(depth_net, image_size, made, metadata or {})
        write_metadata(unfinished, description)
    _log.info("wrote %s (%s)", path, quantize)
    return Path(path)


def convert(depth_net: DepthNet, image_size: tuple[int, int]) -> bytes:
    """The network as a float32 .tflite with a fixed input of one image.

    Raises:
        ValueError: a network in mixed precision, with weights that are not
            finite, or with ops that TFLite's builtins lack.
    """
    network = depth_net.network
    _check_precision(network)
    _check_finite(network)
    image = tf.TensorSpec((1, *image_size, 3), tf.float32, name="image")

    @tf.function(input_signature=[image], autograph=False)
    def logits(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": network(image, training=False)}

    # The converter freezes the variables that this module tracks. Given the
    # Keras model instead, it would leave READ_VARIABLE ops that yield NaN; a
    # SavedModel works too, in three times the time.
    module = tf.Module()
    module.variables_to_freeze = [v.value for v in network.variables]
    with _stderr_to_log():
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [logits.get_concrete_function()], module
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # Unknown ops come out as custom ops, which we refuse by name: the
        # converter's own refusal is a page of MLIR.
        converter.allow_custom_ops = True
        model = converter.convert()
    _check_operators(model)
    return model


def _check_precision(network: keras.Model) -> None:
    """TFLite's CPU kernels compute in float32: half precision would only
    come out as a trail of CAST ops.
    """
    others = {layer.compute_dtype for layer in network.layers} - {"float32"}
    if others:
        raise ValueError(
            f"the depth network computes in {', '.join(sorted(others))};"
            " build it under the float32 policy and load the weights to"
            " export it"
        )


def _check_finite(network: keras.Model) -> None:
    for weight in network.weights:
        if not np.isfinite(weight.numpy()).all():
            raise ValueError(
                f"the depth network's {weight.path} is not finite: its"
                " training diverged; export an earlier checkpoint"
            )


def _check_operators(model: bytes) -> None:
    """Only builtin ops, and no variables: the weights are constants."""
    kinds = graph.operators(model)
    custom = sorted(kind for kind in kinds if kind.startswith("custom "))
    if custom:
        raise ValueError(
            "the depth network uses ops that TFLite has no builtin for:"
            f" {', '.join(custom)}; replace their layers"
        )
    if "READ_VARIABLE" in kinds:
        raise ValueError(
            f"{kinds['READ_VARIABLE']} weights of the depth network are not"
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

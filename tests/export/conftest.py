"""The mobile depth network and its files, made once."""

from pathlib import Path

import keras
import numpy as np
import pytest

from scdepth_tf.export import export_tflite, rounding
from scdepth_tf.export.metadata import describe, read_model, write_metadata
from scdepth_tf.export.quantize import quantize
from scdepth_tf.nets import DepthNet
from tests.small_depth_net import frames, spread_logits

IMAGE_SIZE = (64, 96)

MOBILE_OPERATORS = {
    "SUB",  # the input's mean; its scale is folded into the stem
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "ADD",
    "RESIZE_BILINEAR",
    "CONCATENATION",
}


@pytest.fixture(scope="session")
def depth_net() -> DepthNet:
    keras.utils.set_random_seed(0)
    depth_net = DepthNet("efficientnet_lite0", "mobile")
    images = np.stack(list(frames(4, IMAGE_SIZE))) / np.float32(255)
    spread_logits(depth_net.network, images)
    return depth_net


@pytest.fixture(scope="session")
def float_file(depth_net, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "depth_float32.tflite"
    return export_tflite(depth_net, path, IMAGE_SIZE)


@pytest.fixture(scope="session")
def int8_file(depth_net, float_file) -> Path:
    """As `export_tflite` makes it, without converting a second time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounding, "MAX_TAPS", 700)  # the wide ones take long
        model, made = quantize(
            read_model(float_file), "int8", frames(10, IMAGE_SIZE), "uint8"
        )
    path = float_file.with_name("depth_int8.tflite")
    path.write_bytes(model)
    write_metadata(path, describe(depth_net, IMAGE_SIZE, made, {}))
    return path

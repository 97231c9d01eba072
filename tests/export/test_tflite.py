"""From the network to the file: the same depth, and nothing unexpected."""

import logging
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.export import export_tflite, graph, tflite
from scdepth_tf.export.metadata import read_model
from scdepth_tf.lite import DepthPredictor, read_metadata
from scdepth_tf.nets import DepthNet
from tests.export.conftest import IMAGE_SIZE, MOBILE_OPERATORS
from tests.small_depth_net import SmallDepthNet, frames, spread_logits


class InverseError(keras.layers.Layer):
    """An op that TFLite has no builtin for."""

    def call(self, features):
        return tf.math.erfinv(tf.tanh(features))


def test_float_file_gives_the_depth_of_the_network(depth_net, float_file):
    predict = DepthPredictor(float_file)
    for frame in frames(3, IMAGE_SIZE, seed=1):
        expected = depth_net(frame[np.newaxis] / np.float32(255))[0, ..., 0]
        assert np.ptp(np.log(expected)) > 1, "the network sees no structure"
        np.testing.assert_allclose(predict(frame), expected, rtol=1e-4)


def test_mobile_network_has_exactly_the_expected_kinds_of_op(float_file):
    assert graph.operators(read_model(float_file)).keys() == MOBILE_OPERATORS


def test_default_network_exports_to_builtins_too(tmp_path):
    keras.utils.set_random_seed(0)
    depth_net = DepthNet("resnet18", "reference")
    frame = next(frames(1, IMAGE_SIZE))
    image = frame[np.newaxis] / np.float32(255)
    spread_logits(depth_net.network, image)
    path = export_tflite(depth_net, tmp_path / "depth.tflite", IMAGE_SIZE)
    assert graph.operators(read_model(path))["RESIZE_NEAREST_NEIGHBOR"] == 5
    np.testing.assert_allclose(
        DepthPredictor(path)(frame), depth_net(image)[0, ..., 0], rtol=1e-4
    )


def test_signature_is_image_to_logits(float_file):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(float_file)).get_signature_runner()
    image = run.get_input_details()["image"]
    logits = run.get_output_details()["logits"]
    assert list(image["shape"]) == [1, *IMAGE_SIZE, 3]
    assert list(logits["shape"]) == [1, *IMAGE_SIZE, 1]
    assert image["dtype"] == logits["dtype"] == np.float32


def test_file_says_what_the_network_was_and_what_the_caller_adds(tmp_path):
    path = export_tflite(
        SmallDepthNet(),
        tmp_path / "depth.tflite",
        IMAGE_SIZE,
        metadata={"training_data": "streets", "commit": "abc"},
    )
    metadata = read_metadata(path)
    assert metadata["input"]["size"] == list(IMAGE_SIZE)
    assert metadata["output"]["alpha"] == SmallDepthNet.alpha
    assert metadata["output"]["beta"] == SmallDepthNet.beta
    assert metadata["quantization"] == {"scheme": "float32"}
    assert metadata["network"]["encoder"] == "small"
    assert metadata["training_data"] == "streets"


def test_int8_export_says_how_it_was_calibrated(tmp_path):
    path = export_tflite(
        SmallDepthNet(),
        tmp_path / "depth.tflite",
        IMAGE_SIZE,
        quantize="int8",
        calibration=frames(3, IMAGE_SIZE),
    )
    made = read_metadata(path)["quantization"]
    assert made["scheme"] == "int8"
    assert made["calibration_frames"] == 3


def test_op_without_builtin_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="no builtin for: custom Erfinv;"):
        export_tflite(
            SmallDepthNet(InverseError()), tmp_path / "d.tflite", IMAGE_SIZE
        )
    assert not list(tmp_path.iterdir())


def test_network_in_mixed_precision_is_refused(tmp_path):
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        depth_net = SmallDepthNet()
    finally:
        keras.mixed_precision.set_global_policy(before)
    with pytest.raises(ValueError, match="computes in bfloat16"):
        export_tflite(depth_net, tmp_path / "d.tflite", IMAGE_SIZE)


def test_what_the_converter_prints_goes_to_the_log(caplog, capfd):
    with caplog.at_level(logging.DEBUG, tflite.__name__):
        with tflite._stderr_to_log():
            os.write(2, b"W0000 converter.cc: a line of C++\n")
        os.write(2, b"and back")
    assert capfd.readouterr().err == "and back"
    assert "converter: W0000 converter.cc: a line of C++" in caplog.text


def test_network_that_diverged_is_refused(tmp_path):
    depth_net = SmallDepthNet()
    head = depth_net.network.get_layer("logits")
    head.set_weights([weight * np.nan for weight in head.get_weights()])
    with pytest.raises(ValueError, match=r"logits/kernel .* not finite"):
        export_tflite(depth_net, tmp_path / "depth.tflite", IMAGE_SIZE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantize": "int4"}, "int16x8, got 'int4'; did you mean int8"),
        ({"quantize": "dynamic_range"}, "did you mean dynamic"),
        ({"quantize": "int8"}, "needs calibration frames"),
        ({"quantize": "int8", "calibration": []}, "has no frame"),
        ({"image_size": (60, 96)}, "divisible by 32"),
        ({"metadata": {"format": 7}}, "cannot be given: format"),
        ({"metadata": {"metrics": np.float32(1)}}, "must be JSON"),
    ],
)
def test_bad_request_is_one_line_and_leaves_nothing(tmp_path, changes, message):
    request = {"image_size": IMAGE_SIZE, **changes}
    with pytest.raises(ValueError, match=message) as caught:
        export_tflite(SmallDepthNet(), tmp_path / "depth.tflite", **request)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_calibration_that_breaks_off_leaves_the_old_file(tmp_path):
    def unreadable():
        yield from frames(2, IMAGE_SIZE)
        raise ValueError("000002.jpg is cut short")

    path = tmp_path / "depth.tflite"
    path.write_bytes(b"the old file")
    with pytest.raises(ValueError, match="000002"):
        export_tflite(
            SmallDepthNet(),
            path,
            IMAGE_SIZE,
            quantize="int8",
            calibration=unreadable(),
        )
    assert path.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_output_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for path in (tmp_path, tmp_path / "file" / "depth.tflite"):
        with pytest.raises(ValueError, match="cannot write") as caught:
            export_tflite(SmallDepthNet(), path, IMAGE_SIZE)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "depth.tflite"
    export_tflite(SmallDepthNet(), path, IMAGE_SIZE)
    assert DepthPredictor(path).image_size == IMAGE_SIZE


def test_spread_logits_spans_depth():
    depth_net = SmallDepthNet()
    images = np.stack(list(frames(2, IMAGE_SIZE))) / np.float32(255)
    spread_logits(depth_net.network, images)
    depth = depth_net(images)
    assert depth.min() < 0.5 < 10 < depth.max()

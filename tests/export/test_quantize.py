"""int8: integer throughout, close to float, and honest where it cannot be."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.export import graph, quantize, verify
from scdepth_tf.export.compatibility import too_new
from scdepth_tf.export.metadata import describe, read_model, write_metadata
from scdepth_tf.export.quantize import SCHEMES
from scdepth_tf.export.quantize import quantize as quantized
from scdepth_tf.export.tflite import convert
from scdepth_tf.lite import DepthPredictor
from tests.export.conftest import IMAGE_SIZE, MOBILE_OPERATORS
from tests.small_depth_net import SmallDepthNet, frames, spread_logits


@pytest.fixture(scope="module")
def small_net() -> SmallDepthNet:
    depth_net = SmallDepthNet()
    images = np.stack(list(frames(4, IMAGE_SIZE))) / np.float32(255)
    spread_logits(depth_net.network, images)
    return depth_net


@pytest.fixture(scope="module")
def float_model(small_net) -> bytes:
    return convert(small_net, IMAGE_SIZE)


def steps(model: bytes) -> np.ndarray:
    """The scales that calibration and weights led to."""
    found = graph.convolutions(bytearray(model))
    return np.concatenate([convolution.bias_steps for convolution in found])


def quantize_int8(model: bytes, calibration) -> tuple[bytes, dict]:
    return quantized(model, "int8", calibration, "uint8")


def save(model: bytes, depth_net, path):
    path.write_bytes(model)
    write_metadata(
        path, describe(depth_net, IMAGE_SIZE, {"scheme": "int8"}, {})
    )
    return path


def test_int8_depth_is_close_to_the_networks(depth_net, int8_file):
    report = verify(int8_file, depth_net, frames(6, IMAGE_SIZE, seed=1))
    assert report.log_depth_ratio < 0.06
    assert 0.97 < report.scale < 1.03
    assert 100 < report.distinct_depths <= 256


def test_everything_between_image_and_logits_is_int8(int8_file):
    model = read_model(int8_file)
    types = graph.tensor_types(model)
    assert types.keys() == {"INT8", "UINT8"}
    assert types["UINT8"] == 2, "the image and the logits"
    # QUANTIZE here rescales int8 to int8, where concatenated tensors differ.
    assert graph.operators(model).keys() == MOBILE_OPERATORS | {"QUANTIZE"}


def test_camera_bytes_enter_without_loss(int8_file):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(int8_file)).get_signature_runner()
    image = run.get_input_details()["image"]
    assert image["dtype"] == np.uint8
    scale, zero_point = image["quantization"]
    assert scale == np.float32(1 / 255)
    assert zero_point == 0


def test_weights_have_a_scale_per_channel(float_model):
    model, _ = quantize_int8(float_model, frames(3, IMAGE_SIZE))
    hidden, head = graph.convolutions(bytearray(model))
    assert len(set(hidden.bias_steps)) == 8
    assert len(head.bias_steps) == 1


def test_calibration_on_the_wrong_domain_is_worse(
    small_net, float_model, tmp_path
):
    fog = [np.full((*IMAGE_SIZE, 3), grey, np.uint8) for grey in (110, 130)]
    error = {}
    for name, calibration in (("right", frames(8, IMAGE_SIZE)), ("fog", fog)):
        model, _ = quantize_int8(float_model, calibration)
        path = save(model, small_net, tmp_path / f"{name}.tflite")
        report = verify(path, small_net, frames(4, IMAGE_SIZE, seed=1))
        error[name] = report.log_depth_ratio
    assert error["right"] < 0.03
    assert error["fog"] > 10 * error["right"]


def test_order_of_the_frames_does_not_matter(float_model):
    images = list(frames(5, IMAGE_SIZE))
    forward, _ = quantize_int8(float_model, images)
    backward, _ = quantize_int8(float_model, images[::-1])
    np.testing.assert_allclose(steps(forward), steps(backward), rtol=1e-6)


def test_frames_of_any_size_and_float_frames_calibrate_alike(float_model):
    large = [
        image.repeat(3, axis=0).repeat(2, axis=1)
        for image in frames(3, IMAGE_SIZE)
    ]
    as_floats = [image / np.float32(255) for image in large]
    from_bytes, _ = quantize_int8(float_model, large)
    from_floats, _ = quantize_int8(float_model, as_floats)
    np.testing.assert_allclose(steps(from_bytes), steps(from_floats), rtol=1e-2)


def test_mean_logit_survives_quantization(small_net, float_model, tmp_path):
    """Many dark frames narrow the ranges, the bright ones are cut at them:
    without the correction of the last bias that shifts the mean by two steps.
    """
    bright = list(frames(3, IMAGE_SIZE))
    images = [*bright, *(image // 8 for image in bright * 3)]
    model, _ = quantize_int8(float_model, images)
    predict = DepthPredictor(save(model, small_net, tmp_path / "d.tflite"))
    mean = np.mean([predict._logits(image) for image in images])
    expected = np.mean(small_net.network(np.stack(images) / np.float32(255)))
    step, _ = predict._output["quantization"]
    assert abs(mean - expected) < step


def test_dead_channel_keeps_its_bias():
    """Weights near zero need 1e9 steps and more for an ordinary bias."""
    depth_net = SmallDepthNet()
    hidden = depth_net.network.get_layer("hidden")
    kernel, bias = hidden.get_weights()
    kernel[..., 3] = 1e-12
    bias[3] = 0.7
    hidden.set_weights([kernel, bias])
    model, _ = quantize_int8(
        convert(depth_net, IMAGE_SIZE), frames(3, IMAGE_SIZE)
    )
    quantized, _ = graph.convolutions(bytearray(model))
    value = quantized.bias[3] * quantized.bias_steps[3]
    assert value == pytest.approx(0.7, rel=1e-3)


def test_no_worse_than_the_converters_own_quantization(
    small_net, float_model, tmp_path
):
    """The converter's legacy path as an oracle: same ranges of frames, its
    own choice of scales.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((1, *IMAGE_SIZE, 3), name="image")]
    )
    def logits(image):
        return {"logits": small_net.network(image)}

    module = tf.Module()
    module.v = stack.tensorflow_variables(small_net.network.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [logits.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[np.newaxis] / np.float32(255)] for image in frames(8, IMAGE_SIZE)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    oracle = save(converter.convert(), small_net, tmp_path / "oracle.tflite")
    model, _ = quantize_int8(float_model, frames(8, IMAGE_SIZE))
    ours = save(model, small_net, tmp_path / "ours.tflite")
    unseen = list(frames(4, IMAGE_SIZE, seed=1))
    reference = verify(oracle, small_net, unseen).log_depth_ratio
    assert 0 < verify(ours, small_net, unseen).log_depth_ratio < 1.1 * reference


def test_normalising_the_image_loses_no_bit(float_model):
    """One code of the normalised image for each of a byte's 256 values."""
    model, _ = quantize_int8(float_model, frames(3, IMAGE_SIZE))
    found = graph.convolutions(bytearray(model))
    hidden = next(found)
    step = (hidden.bias_steps / hidden.weight_steps)[0]
    assert step == pytest.approx(1 / 255, rel=1e-3)  # 1 / 0.225 is folded


def test_rounding_with_what_the_layer_reads_beats_the_nearest(
    float_model, small_net, tmp_path, monkeypatch
):
    unseen = list(frames(4, IMAGE_SIZE, seed=1))
    error = {}
    for name in ("ours", "nearest"):
        if name == "nearest":
            monkeypatch.setattr(quantize, "round_weights", lambda *_: None)
        model, _ = quantized(float_model, "int16x8", frames(8, IMAGE_SIZE))
        path = save(model, small_net, tmp_path / f"{name}.tflite")
        error[name] = verify(path, small_net, unseen).log_depth_ratio
    assert 0 < error["ours"] < 0.8 * error["nearest"]


@pytest.mark.parametrize(
    ("scheme", "limit"),
    [("float16", 1e-3), ("dynamic", 0.02), ("int8", 0.03), ("int16x8", 0.01)],
)
def test_every_scheme_is_near_and_known_to_old_runtimes(
    float_model, small_net, tmp_path, scheme, limit
):
    model, made = quantized(float_model, scheme, frames(8, IMAGE_SIZE))
    assert made["scheme"] == scheme
    assert not too_new(model)
    path = save(model, small_net, tmp_path / "d.tflite")
    report = verify(path, small_net, frames(4, IMAGE_SIZE, seed=1))
    assert 0 < report.log_depth_ratio < limit
    assert path.stat().st_size < len(float_model) + 3000


def test_float_outside_gives_the_same_logits_as_bytes(float_model):
    """In float the image is rounded to the byte that it came from."""
    from ai_edge_litert.interpreter import Interpreter

    frame = next(frames(1, IMAGE_SIZE, seed=1))[np.newaxis]
    logits = []
    for interface in ("uint8", "float32"):
        model, _ = quantized(
            float_model, "int8", frames(3, IMAGE_SIZE), interface
        )
        run = Interpreter(model_content=model).get_signature_runner()
        if interface == "uint8":
            scale, zero = run.get_output_details()["logits"]["quantization"]
            codes = run(image=frame)["logits"].astype(np.float32)
            logits.append((codes - zero) * np.float32(scale))
        else:
            logits.append(run(image=frame / np.float32(255))["logits"])
    np.testing.assert_allclose(*logits, atol=1e-5)


def test_unknown_scheme_names_the_nearest(float_model):
    with pytest.raises(ValueError, match="did you mean float16"):
        quantized(float_model, "fp16")
    assert SCHEMES[0] == "float32"


def test_op_without_int8_kernel_is_reported(caplog):
    depth_net = SmallDepthNet(keras.layers.ELU())
    with caplog.at_level(logging.WARNING, quantize.__name__):
        quantize_int8(convert(depth_net, IMAGE_SIZE), frames(2, IMAGE_SIZE))
    assert "stay float32" in caplog.text


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((64, 96), np.uint8), r"frame 0: expected RGB .* \[64, 96\]"),
        (np.zeros((64, 96, 3), np.int64), "got int64"),
        (np.full((64, 96, 3), 200.0), r"floats in \[0, 1\], got 200 to 200"),
        (np.full((64, 96, 3), np.nan), "got nan to nan"),
    ],
)
def test_frame_that_is_no_image_is_named(float_model, frame, message):
    with pytest.raises(ValueError, match=message):
        quantize_int8(float_model, [frame])

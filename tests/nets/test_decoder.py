"""The decoders by themselves: what they compute, what TFLite makes of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from scdepth_tf.nets.decoder import DECODERS, FIRST_LOGIT, decode

CHANNELS = (16, 24, 40, 112, 320)
SHAPES = [
    (64 // stride, 96 // stride, channels)
    for stride, channels in zip((2, 4, 8, 16, 32), CHANNELS, strict=True)
]


def build(decoder: str, upsampling: str) -> keras.Model:
    """A decoder on the features of one 64 × 96 image."""
    inputs = [keras.Input(shape, batch_size=1) for shape in SHAPES]
    return keras.Model(inputs, decode(inputs, decoder, upsampling))


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_reference_decoder_has_no_border_in_flat_features(upsampling):
    """Reflection continues constant features, so the output is constant."""
    features = [np.full((1, *shape), 0.5, np.float32) for shape in SHAPES]
    logits = build("reference", upsampling)(features).numpy()
    np.testing.assert_allclose(logits, logits[0, 32, 48, 0], atol=1e-5)
    zero_padded = build("mobile", upsampling)(features).numpy()
    assert np.ptp(zero_padded) > 1e-4


def test_every_feature_reaches_the_output(rng):
    decoder = build("mobile", "bilinear")
    features = [rng.random((1, *shape), np.float32) for shape in SHAPES]
    before = decoder(features)
    for index in range(5):
        changed = list(features)
        changed[index] = 1 - features[index]
        assert np.abs(decoder(changed) - before).max() > 0, index


@pytest.mark.parametrize("name", ["mobile", "slim"])
def test_device_decoders_are_three_kinds_of_tflite_ops(rng, name):
    decoder = build(name, "bilinear")
    converter = tf.lite.TFLiteConverter.from_keras_model(decoder)
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("RESIZE_BILINEAR") == 5
    assert names.count("CONV_2D") == 11
    assert names.count("CONCATENATION") == 4
    assert set(names) - {"DELEGATE"} == {
        "RESIZE_BILINEAR",
        "CONV_2D",
        "CONCATENATION",
    }

    features = [rng.random((1, *shape), np.float32) for shape in SHAPES]
    for entry in interpreter.get_input_details():
        (feature,) = (f for f in features if f.shape == tuple(entry["shape"]))
        interpreter.set_tensor(entry["index"], feature)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    np.testing.assert_allclose(
        interpreter.get_tensor(output["index"]), decoder(features), atol=1e-5
    )


def test_depth_starts_almost_flat_at_its_first_value(rng):
    keras.utils.set_random_seed(0)
    features = [rng.normal(0, 7, (1, *shape)) for shape in SHAPES]
    for decoder in DECODERS:
        logits = build(decoder, "nearest")(features)
        assert np.abs(logits - FIRST_LOGIT).max() < 2
        assert abs(np.mean(logits) - FIRST_LOGIT) < 0.5

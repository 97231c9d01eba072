"""The depth network: head, sizes, serialisation, gradients, TFLite."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.nets import DepthNet
from scdepth_tf.nets.layers import Upsample

SMALL = "efficientnet_lite0"


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.random((1, 64, 96, 3), np.float32)


@pytest.fixture(scope="module")
def small() -> DepthNet:
    """A network that the tests share and leave as it is."""
    return DepthNet(SMALL, "mobile", encoder_weights="imagenet")


def disturb(network: keras.Model, rng: np.random.Generator) -> None:
    """Moves every weight, BatchNorm statistics included, off its start."""
    network.set_weights(
        [
            weight * rng.uniform(0.8, 1.2, weight.shape)
            + rng.uniform(0, 0.01, weight.shape)
            for weight in network.get_weights()
        ]
    )


@pytest.mark.parametrize(
    ("encoder", "decoder", "encoder_weights"),
    [
        ("efficientnet_lite0", "mobile", "imagenet"),
        ("efficientnet_lite0", "slim", None),
        ("resnet18", "reference", None),
        ("resnet50", "mobile", None),
    ],
)
def test_saved_model_comes_back_the_same(
    encoder, decoder, encoder_weights, images, rng, tmp_path, monkeypatch
):
    network = DepthNet(
        encoder,
        decoder,
        encoder_weights=encoder_weights,
        alpha=5.0,
        beta=0.02,
    )
    disturb(network, rng)
    network.save(tmp_path / "depth.keras")
    network.save_weights(tmp_path / "depth.weights.h5")

    # Reading a model back must not ask for the ImageNet package.
    monkeypatch.setattr(importlib.util, "find_spec", _refuse)
    loaded = keras.models.load_model(tmp_path / "depth.keras")
    assert loaded.get_config() == network.get_config()
    filled = DepthNet.from_config(network.get_config())
    filled.load_weights(tmp_path / "depth.weights.h5")

    expected = network.get_weights()
    assert len(expected) > 100
    for copy in (loaded, filled):
        for ours, theirs in zip(copy.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_allclose(copy(images), network(images), rtol=1e-5)


def _refuse(name: str) -> None:
    raise ModuleNotFoundError(name)


def test_head_is_the_published_one(small, images):
    logits = small.logits(images).numpy()
    disparity = 10.0 / (1.0 + np.exp(-logits)) + 0.01
    np.testing.assert_allclose(small.disparity(images), disparity, rtol=1e-5)
    np.testing.assert_allclose(small(images), 1 / disparity, rtol=1e-5)
    assert logits.shape == (1, 64, 96, 1)
    assert small.min_disparity == 0.01
    assert small.max_disparity == 10.01


def test_depth_stays_finite_at_the_ends_of_the_head(images):
    network = DepthNet(SMALL, "mobile")
    bias = network.network.get_layer("logits").bias
    bias.assign([-1000.0])
    np.testing.assert_allclose(network(images), 1 / 0.01, rtol=1e-5)
    bias.assign([1000.0])
    np.testing.assert_allclose(network(images), 1 / 10.01, rtol=1e-5)


def test_resnet18_has_the_published_number_of_parameters():
    # 14.8 M in the published code: with three unused heads of 3×3 and the
    # unused ImageNet classifier, without BatchNorm statistics.
    network = DepthNet("resnet18", "reference")
    unused_heads = sum(9 * channels + 1 for channels in (32, 64, 128))
    classifier = 512 * 1000 + 1000
    trainable = sum(int(w.numpy().size) for w in network.trainable_weights)
    assert network.count_params() == 14_336_817
    assert trainable + unused_heads + classifier == pytest.approx(
        14.8e6, abs=0.05e6
    )


def test_slim_lite0_is_a_fifth_of_the_published_network():
    published = _operations(DepthNet("resnet18", "reference"))
    assert _operations(DepthNet(SMALL, "slim")) < 0.2 * published


def _operations(network: DepthNet) -> int:
    """Multiplications and additions for one image."""
    image = tf.TensorSpec([1, 256, 832, 3])
    logits = tf.function(network.network).get_concrete_function(image)
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return profiler.profile(logits.graph, options=options).total_float_ops


@pytest.mark.parametrize(
    ("encoder", "decoder"), [(SMALL, "mobile"), ("resnet18", "reference")]
)
def test_gradient_reaches_every_weight(encoder, decoder, images, rng):
    keras.utils.set_random_seed(0)
    network = DepthNet(encoder, decoder)
    weight = rng.standard_normal((1, 64, 96, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weight * network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_weights)
    for variable, gradient in zip(
        network.trainable_weights, gradients, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name
        assert np.abs(gradient).max() > 0, variable.name


def test_training_moves_the_running_statistics_and_inference_does_not(images):
    network = DepthNet(SMALL, "mobile")
    statistics = network.non_trainable_weights
    before = [weight.numpy() for weight in statistics]
    network(images, training=False)
    network.logits(images)
    for weight, value in zip(statistics, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    network(images, training=True)
    for weight, value in zip(statistics, before, strict=True):
        assert np.abs(weight.numpy() - value).max() > 0, weight.name


@pytest.mark.parametrize(
    ("policy", "decoder"),
    [("mixed_float16", "reference"), ("mixed_bfloat16", "mobile")],
)
def test_mixed_precision_answers_in_float32(policy, decoder, small, images):
    full = DepthNet(SMALL, decoder) if decoder == "reference" else small
    full.set_weights(small.get_weights())
    keras.mixed_precision.set_global_policy(policy)
    try:
        network = DepthNet(SMALL, decoder)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    network.set_weights(small.get_weights())
    assert network.encoder(images)[-1].dtype == policy.removeprefix("mixed_")

    depth, disparity = network(images), network.disparity(images)
    assert depth.dtype == disparity.dtype == tf.float32
    # Keras would round the images on their way into call(), not elsewhere.
    np.testing.assert_array_equal(depth, 1 / disparity)
    expected = full.logits(images).numpy()
    difference = np.abs(network.logits(images) - expected).max()
    assert 0 < difference < 0.1 * np.ptp(expected)


def test_height_and_width_are_free(small, images):
    free = tf.function(
        small, input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    wide = tf.concat([images, images], axis=2)
    for batch in (images, wide):
        np.testing.assert_allclose(free(batch), small(batch), rtol=1e-4)


def test_image_of_a_size_that_does_not_fit_is_refused(small):
    with pytest.raises(ValueError, match="nearest valid size is 96 × 416"):
        small(np.zeros((1, 100, 416, 3)))
    with pytest.raises(ValueError, match="at least 64 × 64"):
        DepthNet(SMALL, "reference")(np.zeros((1, 32, 64, 3)))


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        ({"encoder": "resnet34"}, "resnet18, resnet50, efficientnet_lite0"),
        ({"decoder": "fast"}, "reference, mobile, slim"),
        ({"upsampling": "cubic"}, "nearest, bilinear"),
    ],
)
def test_unknown_name_lists_the_choices(arguments, choices):
    with pytest.raises(ValueError, match=choices) as error:
        DepthNet(**arguments)
    assert repr(*arguments.values()) in str(error.value)


@pytest.mark.parametrize(
    ("decoder", "upsampling"),
    [("reference", "nearest"), ("mobile", "bilinear")],
)
def test_decoder_brings_its_published_upsampling(decoder, upsampling):
    layers = DepthNet(SMALL, decoder).network.layers
    methods = [x.method for x in layers if isinstance(x, Upsample)]
    assert methods == [upsampling] * 5

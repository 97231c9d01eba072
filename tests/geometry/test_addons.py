"""The kernel of tensorflow-addons is our sampler, to rounding."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import geometry
from scdepth_tf.geometry import bilinear_sample
from tests import planes
from tests.tiny_model import batch_of, tiny_model

HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None
needs_addons = pytest.mark.skipif(
    not HAS_ADDONS, reason="tensorflow-addons is not installed"
)
ADDONS = sd.LossConfig(sampler="addons")


def both(function, *arguments):
    """Values and gradients of both samplers, flat."""
    results = []
    for sampler in ("gather", "addons"):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            values = function(*arguments, sampler)
            weights = np.random.default_rng(1).normal(size=values.shape)
            total = tf.reduce_sum(values * tf.cast(weights, tf.float32))
        gradients = tape.gradient(total, arguments)
        results.append([values, *gradients])
    return zip(*results, strict=True)


def assert_equal(ours, theirs):
    scale = np.abs(ours).max()
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5 * scale)


def awkward_pixels(rng, height, width):
    """Everywhere, far outside, on pixels, on the border, NaN and infinite."""
    limits = np.array([width, height]) - 1.0
    anywhere = rng.uniform(-0.5, 1.5, (2, 9, 11, 2)) * limits
    on_pixels = np.round(anywhere)
    on_border = np.clip(anywhere, 0.0, limits)
    strange = anywhere.copy()
    strange[:, ::2, ::3] = np.nan
    strange[:, 1::2, ::3, 1] = np.inf
    pixels = [anywhere, on_pixels, on_border, np.clip(on_pixels, 0, limits)]
    return tf.constant(np.concatenate([*pixels, strange], 1), tf.float32)


@needs_addons
@pytest.mark.parametrize("channels", [1, 4])
def test_samplers_agree_in_values_and_gradients(rng, channels):
    shape = (2, 7, 12, channels)
    image = tf.constant(rng.normal(size=shape), tf.float32)
    pixels = awkward_pixels(rng, 7, 12)
    for ours, theirs in both(bilinear_sample, image, pixels):
        assert np.isfinite(ours).all()
        assert_equal(ours, theirs)


@needs_addons
@pytest.mark.parametrize(
    "vector",
    [
        (0.0,) * 6,
        (0.2, -0.1, -0.5, 0.02, -0.05, 0.03),
        (-0.3, 0.05, 0.6, -0.02, 0.04, 0.0),
    ],
)
def test_warps_agree_in_values_and_gradients(rng, vector):
    size = (1, planes.HEIGHT, planes.WIDTH)
    image = tf.constant(rng.uniform(0, 1, (*size, 3)), tf.float32)
    depth = tf.constant(rng.uniform(2.0, 60.0, (*size, 1)), tf.float32)
    pose = tf.constant([vector], tf.float32)
    intrinsics = tf.constant(planes.INTRINSICS[None], tf.float32)

    def warp(image, depth, pose, sampler):
        seen = geometry.inverse_warp(
            image,
            depth,
            depth,
            geometry.pose_matrix(pose),
            intrinsics,
            sampler,
        )
        return tf.concat(seen, axis=-1)

    for ours, theirs in both(warp, image, depth, pose):
        assert_equal(ours, theirs)


@needs_addons
def test_training_is_the_same_with_either():
    figures = []
    for loss in (sd.LossConfig(), ADDONS):
        model = tiny_model(loss=loss)
        model.compile("sgd")
        history = model.fit(
            tf.data.Dataset.from_tensors(batch_of()).repeat(3), verbose=0
        ).history
        weights = [w.numpy().ravel() for w in model.weights]
        figures.append((history, np.concatenate(weights)))
    (ours, our_weights), (theirs, their_weights) = figures
    assert ours["skipped"] == [0.0]
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(their_weights, our_weights, atol=1e-5)


@needs_addons
def test_xla_is_refused_for_a_kernel_that_it_cannot_compile():
    with pytest.raises(ValueError, match="leave jit_losses out"):
        tiny_model(loss=ADDONS, jit_losses=True)


@pytest.mark.skipif(HAS_ADDONS, reason="tensorflow-addons is installed")
def test_without_tensorflow_addons_one_line_says_what_to_install():
    model = tiny_model(loss=ADDONS)  # which predicts without
    with pytest.raises(ImportError, match=r"scdepth-tf\[addons\]") as error:
        model.compile(keras.optimizers.SGD())
    assert "\n" not in str(error.value)

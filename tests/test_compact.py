"""Rounded weights: how far off, how small, and still Keras'."""

import keras
import numpy as np
import pytest

from scdepth_tf.compact import LARGE, compact_weights, round_kernel


def test_large_kernels_are_rounded_about_as_finely_as_int8(rng):
    kernel = rng.normal(size=(3, 3, 60, 80)).astype(np.float32)
    kernel *= 10.0 ** rng.uniform(-6, 3, 80).astype(np.float32)
    kernel[..., 7] = 0
    assert kernel.size > LARGE
    rounded = round_kernel(kernel)
    largest = np.abs(kernel).max(axis=(0, 1, 2))
    assert (np.abs(rounded - kernel) <= largest / 127).all()
    for channel in np.moveaxis(rounded, -1, 0):
        assert len(np.unique(channel)) <= 2 * 127 + 1
    assert len(np.unique(rounded[..., 0])) > 64


def test_small_kernels_lose_a_little_of_each_weight(rng):
    kernel = rng.normal(size=(3, 3, 8, 8)).astype(np.float32)
    kernel[0, 0, 0, 0] = 0
    rounded = round_kernel(kernel)
    assert rounded.dtype == np.float32
    assert (rounded != kernel).any()
    np.testing.assert_allclose(rounded, kernel, rtol=2**-12)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(64, 3, activation="relu", name="small"),
            keras.layers.Conv2D(256, 3, name="large"),
            keras.layers.BatchNormalization(name="norm"),
        ]
    )
    for norm_weight in model.layers[-1].weights:
        norm_weight.assign(norm_weight + 0.123456789)
    return model


def test_keras_reads_the_small_file(model, tmp_path, rng):
    images = rng.random((2, 16, 16, 3), np.float32)
    expected = np.asarray(model(images))
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    size = path.stat().st_size
    norm = model.layers[-1].get_weights()
    compact_weights(path)
    assert path.stat().st_size < 0.4 * size
    assert list(tmp_path.iterdir()) == [path]
    for weight in model.weights:
        weight.assign(weight * 0)
    model.load_weights(path)
    for before, after in zip(norm, model.layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    error = np.abs(np.asarray(model(images)) - expected)
    assert 0 < error.max() < 0.02 * np.abs(expected).max()

"""The layers without weights against what they say they compute."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.nets.layers import (
    ReflectPad,
    Standardize,
    Upsample,
    check_image_size,
)


def ramp(height: int, width: int) -> np.ndarray:
    """Features whose two channels are the row and the column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns], -1)[None].astype(np.float32)


def test_bilinear_upsampling_samples_at_half_pixel_centres():
    rows, columns = np.mgrid[:6, :10]
    expected = np.stack(
        [np.clip((rows - 0.5) / 2, 0, 2), np.clip((columns - 0.5) / 2, 0, 4)],
        axis=-1,
    )
    doubled = Upsample("bilinear")(ramp(3, 5))
    np.testing.assert_allclose(doubled[0], expected, atol=1e-6)


def test_nearest_upsampling_repeats():
    expected = ramp(3, 5).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(Upsample("nearest")(ramp(3, 5)), expected)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_upsampling_is_the_same_with_and_without_static_size(method, rng):
    layer = Upsample(method)
    features = rng.random((2, 3, 5, 4), np.float32)
    free = tf.function(
        layer, input_signature=[tf.TensorSpec((None, None, None, 4))]
    )
    np.testing.assert_allclose(free(features), layer(features), atol=1e-6)


def test_upsampling_keeps_half_precision():
    features = tf.cast(ramp(3, 5), tf.bfloat16)
    layer = Upsample("bilinear", dtype="bfloat16")
    assert layer(features).dtype == tf.bfloat16


def test_reflection_leaves_the_edge_out(rng):
    features = rng.random((1, 3, 4, 2), np.float32)
    expected = np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    np.testing.assert_array_equal(ReflectPad()(features), expected)


def test_standardization_is_float32_under_every_policy():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = Standardize(mean=127 / 255, scale=255 / 128)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    greys = np.arange(256, dtype=np.float32).reshape(1, 32, 8, 1)
    images = tf.repeat(tf.repeat(greys / 255, 4, axis=2), 3, axis=3)
    expected = (greys - 127) / 128
    np.testing.assert_allclose(
        layer(images)[:, :, ::4, :1], expected, atol=1e-6
    )


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ((100, 416), "96 × 416"),
        ((375, 1242), "384 × 1248"),
        ((5, 64), "32 × 64"),
        ((0, 64), "32 × 64"),
        ((None, 65), "any × 64"),
    ],
)
def test_refused_size_comes_with_the_nearest_valid_one(given, nearest):
    with pytest.raises(ValueError, match="divisible by 32") as error:
        check_image_size(given)
    assert str(error.value).endswith(nearest)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(32, 32), (256, 832), (None, 64)])
def test_valid_sizes_pass(size):
    check_image_size(size)

"""The fused BatchNorm against Keras', and where it leaves things to Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.nets.layers import BatchNormalization


@pytest.fixture
def features(rng):
    return tf.constant(rng.normal(3.0, 2.0, (2, 5, 7, 4)).astype(np.float32))


def layers(features):
    """Ours and Keras', the same, off their start."""
    both = BatchNormalization, keras.layers.BatchNormalization
    made = [layer(momentum=0.9, epsilon=1e-5) for layer in both]
    for layer in made:
        layer.build(features.shape)
        weights = [[0.5, 1.0, 1.5, -2.0], [0.1, 0.2, 0.3, 0.4]]
        weights += [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]
        layer.set_weights([np.array(weight) for weight in weights])
    return made


def output_and_gradients(layer, features):
    weights = stack.tensorflow_variables([layer.gamma, layer.beta])
    with tf.GradientTape() as tape:
        tape.watch(features)
        output = layer(features, training=True)
        loss = tf.reduce_sum(tf.sin(tf.cast(output, tf.float32)))
    return [output, *tape.gradient(loss, [features, *weights])]


def test_training_gives_what_keras_gives(features):
    ours, theirs = layers(features)
    for one, other in zip(
        output_and_gradients(ours, features),
        output_and_gradients(theirs, features),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-4)


def test_the_running_variance_is_unbiased_as_in_torch(features):
    ours, theirs = layers(features)
    before = ours.moving_variance.numpy()
    for layer in (ours, theirs):
        layer(features, training=True)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)
    unbiased = np.var(features, axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(
        ours.moving_variance, 0.9 * before + 0.1 * unbiased, rtol=1e-5
    )


@pytest.mark.parametrize("trainable", [True, False])
def test_inference_and_frozen_layers_use_running_statistics(
    features, trainable
):
    ours, theirs = layers(features)
    ours.trainable = theirs.trainable = trainable
    training = not trainable
    np.testing.assert_array_equal(
        ours(features, training=training), theirs(features, training=training)
    )
    np.testing.assert_array_equal(ours.moving_mean, theirs.moving_mean)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_statistics_are_float32_in_mixed_precision(features, dtype):
    exact, _ = layers(features)
    mixed = BatchNormalization(
        momentum=0.9, epsilon=1e-5, dtype=f"mixed_{dtype}"
    )
    mixed.build(features.shape)
    mixed.set_weights(exact.get_weights())
    answers = output_and_gradients(mixed, tf.cast(features, dtype))
    assert answers[0].dtype == answers[1].dtype == dtype
    for one, other in zip(
        answers, output_and_gradients(exact, features), strict=True
    ):
        np.testing.assert_allclose(
            tf.cast(one, tf.float32), other, atol=0.05, rtol=0.05
        )
    assert mixed.moving_mean.dtype == "float32"
    np.testing.assert_allclose(mixed.moving_mean, exact.moving_mean, rtol=0.01)

"""The pose network: scale, sizes, serialisation, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.nets import PoseNet

SMALL = "efficientnet_lite0"


@pytest.fixture
def pairs(rng) -> np.ndarray:
    return rng.random((1, 64, 96, 6), np.float32)


def test_saved_model_comes_back_the_same(pairs, tmp_path):
    network = PoseNet(SMALL)
    network(pairs, training=True)  # moves the BatchNorm statistics
    network.save(tmp_path / "pose.keras")
    network.save_weights(tmp_path / "pose.weights.h5")
    loaded = keras.models.load_model(tmp_path / "pose.keras")
    filled = PoseNet.from_config(network.get_config())
    filled.load_weights(tmp_path / "pose.weights.h5")
    expected = network(pairs)
    assert np.abs(expected).max() > 0
    for copy in (loaded, filled):
        np.testing.assert_allclose(copy(pairs), expected, rtol=1e-4)


def test_pose_is_a_hundredth_of_the_mean_motion(pairs):
    network = PoseNet(SMALL)
    motion = network.network.get_layer("motion")
    motion.kernel.assign(tf.zeros_like(motion.kernel))
    motion.bias.assign([1, 2, 3, 4, 5, 6])
    expected = [[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]]
    np.testing.assert_allclose(network(pairs), expected, rtol=1e-5)


def test_resnet18_has_the_published_number_of_parameters():
    # 13.0 M in the published code, where the unused ImageNet classifier
    # counts and BatchNorm statistics do not.
    network = PoseNet("resnet18")
    trainable = sum(int(w.numpy().size) for w in network.trainable_weights)
    assert trainable == 12_498_950
    assert trainable + 512 * 1000 + 1000 == pytest.approx(13.0e6, abs=0.05e6)


@pytest.mark.parametrize("encoder", [SMALL, "resnet18", "optical_flow"])
def test_gradient_reaches_every_weight(encoder, pairs):
    keras.utils.set_random_seed(0)
    network = PoseNet(encoder)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(pairs, training=True) ** 2)
    gradients = tape.gradient(loss, network.trainable_weights)
    for variable, gradient in zip(
        network.trainable_weights, gradients, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_answers_in_float32(policy, pairs):
    keras.mixed_precision.set_global_policy(policy)
    try:
        network = PoseNet(SMALL)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    pose = network(pairs, training=True)
    assert pose.dtype == tf.float32
    assert np.isfinite(pose).all()


def test_pair_of_a_size_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="nearest valid size is 96 × 416"):
        PoseNet(SMALL)(np.zeros((1, 100, 416, 6)))

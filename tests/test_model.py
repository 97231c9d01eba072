"""SCDepth under keras fit: one step does what the method says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import losses, stack
from scdepth_tf.geometry import inverse_pose, pose_matrix
from tests import planes
from tests.tiny_model import TinyDepth, TinyPose, batch_of, tiny_model

HEIGHT, WIDTH = planes.HEIGHT, planes.WIDTH


def dataset_of(batch, repeat=1):
    return tf.data.Dataset.from_tensors(batch).repeat(repeat)


def fit(model, dataset, **kwargs):
    # shuffle=False only keeps Keras from warning that a Dataset is as it is.
    return model.fit(dataset, shuffle=False, verbose=0, **kwargs).history


def direct_loss(model, batch):
    """The method written out without any of train_step's machinery."""
    frames, jittered = batch["frames"], batch["jittered"]
    depths = [model.depth_net(jittered[:, i], training=True) for i in range(3)]
    forward, reverse = [], []
    for i in (1, 2):
        pair = tf.concat([jittered[:, 0], jittered[:, i]], axis=-1)
        forward.append(pose_matrix(model.pose_net(pair, training=True)))
        if model.reverse_pose == "network":
            swapped = tf.concat([jittered[:, i], jittered[:, 0]], axis=-1)
            reverse.append(pose_matrix(model.pose_net(swapped, training=True)))
        else:
            reverse.append(inverse_pose(forward[-1]))
    return losses.loss_terms(
        target=frames[:, 0],
        sources=frames[:, 1:],
        target_depth=depths[0],
        source_depths=tf.stack(depths[1:], axis=1),
        sources_from_target=tf.stack(forward, axis=1),
        target_from_sources=tf.stack(reverse, axis=1),
        intrinsics=refocused(model, batch),
        config=model.loss_config,
    ).total


def refocused(model, batch):
    """Intrinsics with the learnt focal lengths, written out."""
    intrinsics = batch["intrinsics"]
    if model.focal_length_scale is None:
        return intrinsics
    scale = model.focal_length_scale(batch["camera"])[:, :, None]
    keep = tf.constant([[0, 0, 1], [0, 0, 1], [1, 1, 1]], tf.float32)
    return intrinsics * (keep + (1 - keep) * scale)


@pytest.mark.parametrize("reverse_pose", ["inverse", "network"])
@pytest.mark.parametrize("jit_losses", [True, False])
def test_a_step_follows_the_gradient_of_the_method(reverse_pose, jit_losses):
    """SGD with rate 1 moves the weights by exactly the plain gradient."""
    model = tiny_model(reverse_pose=reverse_pose, jit_losses=jit_losses)
    batch = batch_of()
    with tf.GradientTape() as tape:
        loss = direct_loss(model, batch)
    expected = tape.gradient(loss, model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]

    model.compile(keras.optimizers.SGD(1.0))
    history = fit(model, dataset_of(batch))
    np.testing.assert_allclose(history["loss"], [loss], rtol=1e-4)
    for old, new, gradient in zip(
        before, model.trainable_variables, expected, strict=True
    ):
        scale = np.abs(gradient).max()
        assert scale > 0
        np.testing.assert_allclose(
            old - new.numpy(), gradient, atol=2e-3 * scale + 1e-6
        )


@pytest.mark.parametrize("jit_losses", [True, False])
def test_learned_focal_lengths_follow_the_gradient_too(jit_losses):
    model = tiny_model(jit_losses=jit_losses, learned_focal_lengths=3)
    batch = batch_of() | {"camera": tf.constant([2, 0])}
    model.focal_length_scale.weight.assign([0.01, 0.02, -0.02])
    with tf.GradientTape() as tape:
        loss = direct_loss(model, batch)
    weight = model.focal_length_scale.weight
    expected = tape.gradient(loss, *stack.tensorflow_variables([weight]))
    assert abs(expected[0]) > 1e-3 and abs(expected[2]) > 1e-3
    assert expected[1] == 0  # its camera took none of these frames
    before = weight.numpy()
    model.compile(keras.optimizers.SGD(1e-3))
    fit(model, dataset_of(batch))
    np.testing.assert_allclose(
        (before - weight.numpy()) / 1e-3, expected, rtol=1e-2, atol=1e-3
    )


def test_without_learned_focal_lengths_the_model_is_the_two_networks():
    """Same weights in the same order, same files, same metrics."""
    model = tiny_model()
    parts = [*model.depth_net.variables, *model.pose_net.variables]
    own = {id(variable) for variable in model.trainable_variables}
    assert own == {id(variable) for variable in parts}
    assert "focal_scale" not in [metric.name for metric in model.metrics]
    learning = tiny_model(learned_focal_lengths=1)
    assert len(learning.weights) == len(model.weights) + 1


def test_learned_focal_lengths_are_saved_with_the_weights(tmp_path):
    model = tiny_model(learned_focal_lengths=2)
    model.focal_length_scale.weight.assign([0.01, -0.03])
    model.save_weights(tmp_path / "model.weights.h5")
    other = tiny_model(learned_focal_lengths=2)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        other.focal_length_scale.factors(), model.focal_length_scale.factors()
    )
    again = sd.SCDepth.from_config(model.get_config())
    assert again.focal_length_scale.cameras == 2


@pytest.mark.parametrize(
    ("reverse_pose", "pairs"), [("inverse", 4), ("network", 8)]
)
def test_a_step_calls_each_network_once(reverse_pose, pairs):
    model = tiny_model(reverse_pose=reverse_pose)
    model.compile(keras.optimizers.SGD(0.1))
    model.depth_net.calls.clear()
    model.pose_net.calls.clear()
    model.train_step(batch_of(2))
    assert model.depth_net.calls == [(6, HEIGHT, WIDTH, 3)]
    assert model.pose_net.calls == [(pairs, HEIGHT, WIDTH, 6)]


def test_training_lowers_the_loss():
    model = tiny_model()
    model.compile(keras.optimizers.Adam(0.01))
    history = fit(model, dataset_of(batch_of(), repeat=30), epochs=2)
    assert history["loss"][1] < 0.9 * history["loss"][0]


def test_a_non_finite_gradient_skips_the_step_and_is_counted():
    model = tiny_model()
    good = batch_of()
    bad = good | {"jittered": good["jittered"] * np.nan}
    model.compile(keras.optimizers.Adam(0.01))
    before = model.get_weights()
    history = fit(model, dataset_of(bad))
    assert history["skipped"] == [1.0]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # A bad step among good ones neither stops them nor spoils their mean.
    mixed = dataset_of(bad).concatenate(dataset_of(good))
    history = fit(model, mixed)
    assert history["skipped"] == [1.0]
    assert all(np.isfinite(values).all() for values in history.values())
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    )


def test_loss_scaling_leaves_the_update_unchanged():
    batch = batch_of()
    plain, scaled = tiny_model(), tiny_model()
    plain.compile(keras.optimizers.SGD(0.1))
    scaled.compile(
        stack.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=1024.0
        )
    )
    for model in (plain, scaled):
        fit(model, dataset_of(batch))
    for a, b in zip(
        plain.trainable_variables, scaled.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_testing_changes_nothing_and_reports_the_same_loss():
    model = tiny_model()
    model.compile(keras.optimizers.SGD(0.1))
    batch = batch_of()
    before = model.get_weights()
    logs = model.evaluate(dataset_of(batch), verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["loss"], direct_loss(model, batch), rtol=1e-4
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_keras_file_round_trip(tmp_path):
    model = tiny_model(
        loss=sd.LossConfig.lightning(), reverse_pose="network", jit_losses=False
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss_config == sd.LossConfig.lightning()
    assert again.reverse_pose == "network"
    assert again.jit_losses is False
    image = batch_of(1)["frames"][:, 0]
    np.testing.assert_array_equal(again(image), model(image))


def test_weights_only_round_trip(tmp_path):
    model, other = tiny_model(), sd.SCDepth(TinyDepth(), TinyPose())
    image = batch_of(1)["frames"][:, 0]
    assert np.abs(other(image) - model(image)).max() > 1e-3
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other(image), model(image))


def test_predict_is_the_depth_network():
    model = tiny_model()
    image = batch_of(1)["frames"][:, 0]
    depth = model.predict(image, verbose=0)
    assert depth.shape == (1, HEIGHT, WIDTH, 1)
    np.testing.assert_allclose(depth, model.depth_net(image), rtol=1e-6)


def test_unknown_reverse_pose_is_refused():
    with pytest.raises(ValueError, match="'inverse' or 'network'"):
        tiny_model(reverse_pose="both")

"""Nothing collapses in silence: each fault is injected, and named."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf.callbacks import MONITORS, Watch
from tests import tiny_training
from tests.tiny_model import TinyDepth, TinyPose, batch_of, tiny_model

WARNINGS = {
    "depth_spread": ["nearly constant", "cam.txt", "--data.stride"],
    "motion_spread": ["frozen", "stands still", "--data.stride"],
    "depth_mean": ["explodes", "wrong intrinsics", "--learning-rate"],
    "valid": ["masks are nearly empty", "wrong intrinsics", "cam.txt"],
    "auto_mask": ["masks are nearly empty", "static camera", "--data.stride"],
    "bad_input": ["NaN or infinity in frames or intrinsics", "cam.txt"],
    "skipped": ["skipped", "diverges", "--learning-rate"],
}


class FarDepth(TinyDepth):
    def call(self, images, training=False):
        return 15.0 * super().call(images, training)


def constant_depth():
    model = tiny_model()
    model.depth_net.conv.kernel.assign(
        tf.zeros_like(model.depth_net.conv.kernel)
    )
    return model, batch_of()


def frozen_pose():
    """The same small motion forward, whatever the frames."""
    model = tiny_model()
    dense = model.pose_net.dense
    dense.kernel.assign(tf.zeros_like(dense.kernel))
    dense.bias.assign([0, 0, -1.0, 0, 0.1, 0])
    return model, batch_of()


def exploding_depth():
    keras.utils.set_random_seed(0)
    return sd.SCDepth(FarDepth(), TinyPose()), batch_of()


def turned_away():
    """A motion that leaves nothing of the picture in view."""
    model = tiny_model()
    model.pose_net.dense.bias.assign([0, 0, 0, 0, 20.0, 0])
    return model, batch_of()


def static_camera():
    """One picture, and noise that keeps the pose network busy."""
    batch = batch_of()
    frames = tf.repeat(batch["frames"][:, :1], 3, axis=1)
    batch["frames"] = frames
    levels = tf.reshape([1.0, 0.5, 0.9], [1, 3, 1, 1, 1])
    batch["jittered"] = frames * levels
    return tiny_model(), batch


def nan_frames():
    batch = batch_of()
    values = batch["frames"].numpy()
    values[0, 1, 5, 5] = np.nan
    return tiny_model(), batch | {"frames": tf.constant(values)}


def nan_intrinsics():
    batch = batch_of()
    values = batch["intrinsics"].numpy()
    values[0, 0, 0] = np.nan
    return tiny_model(), batch | {"intrinsics": tf.constant(values)}


def nan_weights():
    """As after a step that was far too long."""
    model = tiny_model()
    model.pose_net.dense.bias.assign([0, 0, 0, 0, np.nan, 0])
    return model, batch_of()


def fit(model, batch, epochs=1, learning_rate=0.0):
    """Learning is off: a fault stays what it is."""
    model.jit_losses = False
    model.compile(keras.optimizers.SGD(learning_rate))
    dataset = tf.data.Dataset.from_tensors(batch)
    return model.fit(
        dataset, shuffle=False, verbose=0, epochs=epochs, callbacks=[Watch()]
    ).history


def ours(caplog):
    """Records of our own; TensorFlow has things to say about tracing."""
    return [r for r in caplog.records if r.name.startswith("scdepth_tf")]


def test_every_monitor_has_its_fault_and_a_healthy_model_none(caplog):
    assert {monitor.metric for monitor in MONITORS} == set(WARNINGS)
    history = fit(tiny_model(), batch_of())
    assert not ours(caplog)
    assert set(WARNINGS) <= set(history)


@pytest.mark.parametrize(
    ("fault", "metric"),
    [
        (constant_depth, "depth_spread"),
        (frozen_pose, "motion_spread"),
        (exploding_depth, "depth_mean"),
        (turned_away, "valid"),
        (static_camera, "auto_mask"),
        (nan_frames, "bad_input"),
        (nan_intrinsics, "bad_input"),
        (nan_weights, "skipped"),
    ],
)
def test_a_fault_is_one_warning_that_names_cause_and_remedy(
    fault, metric, caplog
):
    model, batch = fault()
    history = fit(model, batch, epochs=3)
    [record] = ours(caplog)  # once, not for each epoch
    message = record.getMessage()
    assert record.levelno == logging.WARNING
    assert message.endswith(f"[{metric}]")
    for words in WARNINGS[metric]:
        assert words in message
    monitor = next(m for m in MONITORS if m.metric == metric)
    assert monitor.alarms(history[metric][-1])


def test_a_recovery_is_noticed_and_a_relapse_warned_about(caplog):
    watch = Watch()
    for epoch, spread in enumerate((0.001, 0.001, 0.5, 0.001)):
        watch.on_epoch_begin(epoch)
        watch.on_train_batch_end(0, {})
        watch.on_epoch_end(epoch, {"depth_spread": spread, "skipped": 0.0})
    starts = [record.getMessage().split(":")[0] for record in ours(caplog)]
    assert starts == ["epoch 1", "epoch 4"]


def test_a_long_epoch_is_not_waited_for(caplog):
    watch = Watch()
    watch.on_epoch_begin(0)
    for batch in range(150):
        watch.on_train_batch_end(batch, {"bad_input": float(batch > 70)})
    [record] = ours(caplog)
    assert record.getMessage().startswith("step 100: NaN")


@pytest.mark.parametrize("key", ["frames", "jittered"])
def test_nan_input_reaches_neither_weights_nor_running_statistics(key):
    """One NaN in BatchNorm's running mean would end a training for good."""
    keras.utils.set_random_seed(0)
    model = sd.SCDepth(tiny_training.TinyDepth(), tiny_training.TinyPose())
    bad = batch_of()
    values = bad[key].numpy()
    values[0, 1, 5, 5] = np.nan
    bad[key] = tf.constant(values)
    trained = [v.numpy() for v in model.trainable_variables]
    history = fit(model, bad, learning_rate=0.1)
    assert history["bad_input"] == history["skipped"] == [1]
    for before, after in zip(trained, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, after.numpy())
    for variable in model.non_trainable_variables:
        assert np.isfinite(np.asarray(variable)).all()

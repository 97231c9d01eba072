"""The error to validate by cannot be won by looking away or standing still."""

import keras
import numpy as np
import tensorflow as tf

from scdepth_tf import losses
from scdepth_tf.config import LossConfig
from scdepth_tf.geometry import pose_matrix
from tests import planes
from tests.tiny_model import batch_of, tiny_model

MOTION = pose_matrix(tf.constant([[0.1, 0.02, -0.6, 0.01, 0.02, 0.0]]))
CONFIG = LossConfig.release()


def error(motion, scene, depth_factor=1.0):
    target, target_depth, source, source_depth = scene
    return float(
        losses.view_synthesis_error(
            target=target,
            sources=source[:, None],
            target_depth=target_depth * depth_factor,
            source_depths=source_depth[:, None] * depth_factor,
            sources_from_target=motion[:, None],
            intrinsics=planes.INTRINSICS[None].astype(np.float32),
            config=CONFIG,
        )
    )


def unwarped(scene):
    """Written out from the two parts of the photometric error."""
    target, _, source, _ = (losses.standardise(part) for part in scene)
    absolute = tf.minimum(tf.abs(target - source), 1.0)
    dissimilarity = losses.ssim_distance(target, source, CONFIG.ssim_window)
    return float(tf.reduce_mean(0.15 * absolute + 0.85 * dissimilarity))


def moved():
    return planes.scene(MOTION[0].numpy())


def test_standing_still_has_the_error_of_the_unwarped_frame():
    """Where the auto-mask would leave nothing to average."""
    still = error(tf.eye(4)[None], moved())
    np.testing.assert_allclose(still, unwarped(moved()), rtol=1e-4)


def test_looking_away_wins_nothing():
    away = pose_matrix(tf.constant([[0, 0, 0, 0, 2.0, 0]], tf.float32))
    np.testing.assert_allclose(
        error(away, moved()), unwarped(moved()), rtol=1e-5
    )


def test_exact_depth_and_motion_have_a_small_error():
    scene = moved()
    exact = error(MOTION, scene)
    assert exact < 0.4 * unwarped(scene)
    for factor in (0.5, 2.0):
        assert error(MOTION, scene, factor) > 1.3 * exact


def test_validation_reports_its_mean_and_training_does_not():
    model = tiny_model(jit_losses=False)
    model.compile(keras.optimizers.SGD(0.0))
    batch = batch_of(1)
    other = dict(batch)
    for name in ("frames", "jittered"):
        other[name] = batch[name][:, ::-1]
    bad = batch | {"frames": batch["frames"] * np.nan}

    def of(*batches):
        model.reset_metrics()
        for chosen in batches:
            logs = model.test_step(chosen)
        return float(logs["view_synthesis"])

    first, second = of(batch), of(other)
    assert first != second
    np.testing.assert_allclose(
        of(batch, other, bad), (first + second) / 2, rtol=1e-5
    )
    assert "view_synthesis" not in model.train_step(batch)

"""Pose vectors and matrices."""

import numpy as np
import tensorflow as tf

from scdepth_tf import geometry


def random_poses(rng, count=16):
    return tf.constant(rng.uniform(-1.2, 1.2, (count, 6)), tf.float32)


def test_pose_matrix_multiplies_rotations_in_the_order_x_y_z():
    """Columns worked by hand for 90° turns: Rx·Ry maps Z to X."""
    quarter = np.pi / 2
    matrix = geometry.pose_matrix(
        tf.constant([[1.0, 2.0, 3.0, quarter, quarter, 0.0]])
    )[0]
    expected = [[0, 0, 1, 1], [1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(matrix, expected, atol=1e-6)


def test_pose_vector_inverts_pose_matrix(rng):
    poses = random_poses(rng)
    again = geometry.pose_vector(geometry.pose_matrix(poses))
    np.testing.assert_allclose(again, poses, atol=1e-5)


def test_inverse_pose_undoes_the_motion(rng):
    poses = geometry.pose_matrix(random_poses(rng))
    identity = geometry.inverse_pose(poses) @ poses
    np.testing.assert_allclose(
        identity, np.broadcast_to(np.eye(4), (16, 4, 4)), atol=1e-5
    )


def test_rotations_keep_lengths_and_handedness(rng):
    rotations = geometry.pose_matrix(random_poses(rng))[:, :3, :3].numpy()
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-5)


def test_mirroring_twice_changes_nothing(rng):
    poses = geometry.pose_matrix(random_poses(rng))
    mirrored = geometry.mirror_pose(poses)
    np.testing.assert_array_equal(geometry.mirror_pose(mirrored), poses)
    assert np.abs(mirrored - poses).max() > 0.1


def test_gradient_is_finite_at_zero_rotation():
    pose = tf.Variable(tf.zeros([1, 6]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(geometry.pose_matrix(pose) ** 3)
    assert np.isfinite(tape.gradient(loss, pose)).all()

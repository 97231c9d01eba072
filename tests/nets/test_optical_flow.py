"""Flow against known motion, and what must not break it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf.geometry import (
    backproject,
    pixel_grid,
    pose_matrix,
    project,
)
from scdepth_tf.nets import PoseNet
from scdepth_tf.nets.optical_flow import (
    FlowFeatures,
    flow_encoder,
    optical_flow,
)
from tests import planes


def pattern(height, width, shift=(0.0, 0.0), scale=1.0):
    """[1, H, W, 3] smooth texture, moved by `shift` (x, y) pixels."""
    rng = np.random.default_rng(3)
    v, u = np.mgrid[:height, :width].astype(float)
    x, y = ((u + 0.5) / scale - shift[0]), ((v + 0.5) / scale - shift[1])
    image = np.zeros((height, width))
    for _ in range(12):
        angle, wavelength = rng.uniform(0, np.pi), rng.uniform(12, 60)
        phase = rng.uniform(0, 2 * np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        image += np.sin(2 * np.pi * along / wavelength + phase)
    image = 0.5 + 0.4 * image / np.abs(image).max()
    return np.repeat(image[None, ..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.3, 0.0), (3.4, -1.7), (-9.0, 4.0)])
def test_known_shift_is_measured(shift):
    flow, _ = optical_flow(pattern(64, 192), pattern(64, 192, shift))
    inner = flow[0, 10:-10, 12:-12]  # what left the image cannot be seen
    np.testing.assert_allclose(
        np.median(inner, axis=(0, 1)), shift, atol=0.05 + 0.03 * max(shift)
    )
    error = np.linalg.norm(inner - np.array(shift), axis=-1)
    assert np.percentile(error, 80) < 0.35


def test_flow_of_moving_camera_is_that_of_its_geometry():
    pose = [[0.05, -0.02, 0.3, 0.004, -0.01, 0.006]]
    matrix = pose_matrix(tf.constant(pose))
    target, depth, source, _ = planes.scene(matrix[0].numpy())
    intrinsics = planes.INTRINSICS[None].astype(np.float32)
    points = backproject(depth, intrinsics)
    points = tf.einsum("bij,bhwj->bhwi", matrix[:, :3, :3], points)
    points += matrix[:, None, None, :3, 3]
    grid = pixel_grid(planes.HEIGHT, planes.WIDTH)
    true_flow = tf.nn.avg_pool2d(
        project(points, intrinsics) - grid, 2, 2, "VALID"
    )
    flow, texture = optical_flow(target, source)
    textured = texture[0, ..., 0].numpy() > 0.01
    textured[:4] = textured[-8:] = textured[:, :4] = textured[:, -4:] = False
    error = np.linalg.norm((flow - true_flow)[0], axis=-1)[textured]
    speed = np.linalg.norm(true_flow[0], axis=-1)[textured]
    assert textured.sum() > 500
    assert np.median(error) < 0.25 * np.median(speed)


def test_same_image_twice_does_not_move():
    image = pattern(64, 96)
    flow, _ = optical_flow(image, image)
    np.testing.assert_array_equal(flow, 0)


def test_featureless_images_do_not_move_and_say_so():
    grey = np.full((1, 64, 96, 3), 0.5, np.float32)
    for second in (grey, grey + 0.1, np.zeros_like(grey)):
        flow, texture = optical_flow(grey, second)
        np.testing.assert_allclose(flow, 0, atol=1e-5)
        assert np.max(texture) < 0.02


def test_features_do_not_depend_on_the_image_size():
    small = np.concatenate(
        [pattern(64, 192), pattern(64, 192, (2.0, 1.0))], axis=-1
    )
    large = np.concatenate(
        [
            pattern(128, 384, scale=2.0),
            pattern(128, 384, (2.0, 1.0), scale=2.0),
        ],
        axis=-1,
    )
    features = FlowFeatures()
    flow = np.median(features(small)[0, ..., :2], axis=(0, 1))
    np.testing.assert_allclose(flow, [200 / 192, 100 / 192], rtol=0.1)
    larger = np.median(features(large)[0, ..., :2], axis=(0, 1))
    np.testing.assert_allclose(larger, flow, rtol=0.1)


def test_position_runs_from_corner_to_corner():
    position = FlowFeatures()(np.zeros((2, 64, 96, 6), np.float32))[..., 3:]
    np.testing.assert_allclose(position[1, 0, 0], [-1, -1])
    np.testing.assert_allclose(position[1, -1, -1], [1, 1])
    np.testing.assert_allclose(position[0, 0, -1], [1, -1])


def test_shapes_are_known_before_sizes_are():
    encoder = flow_encoder()
    assert tuple(encoder.outputs[-1].shape) == (None, None, None, 5)
    pairs = np.zeros((2, 64, 96, 6), np.float32)
    assert FlowFeatures()(pairs).shape == (2, 8, 12, 5)
    assert FlowFeatures().compute_output_shape(pairs.shape) == (2, 8, 12, 5)


def test_pose_network_on_flow_saves_and_loads(rng, tmp_path):
    keras.utils.set_random_seed(0)
    pairs = rng.random((2, 64, 96, 6), np.float32)
    network = PoseNet("optical_flow")
    network.save(tmp_path / "pose.keras")
    loaded = keras.models.load_model(tmp_path / "pose.keras")
    assert np.abs(network(pairs)).max() > 0
    np.testing.assert_allclose(loaded(pairs), network(pairs), rtol=1e-5)


def test_pretrained_weights_for_flow_are_refused():
    with pytest.raises(ValueError, match="no weights to start"):
        PoseNet("optical_flow", encoder_weights="imagenet")

"""Projection, and intrinsics that follow the image."""

import numpy as np
import tensorflow as tf

from scdepth_tf import geometry

K = tf.constant([[[90.0, 2.0, 30.5], [0.0, 80.0, 15.25], [0.0, 0.0, 1.0]]])


def test_projecting_backprojected_points_returns_the_pixels(rng):
    depth = tf.constant(rng.uniform(0.5, 50.0, (1, 12, 20, 1)), tf.float32)
    pixels = geometry.project(geometry.backproject(depth, K), K)
    np.testing.assert_allclose(
        pixels[0], geometry.pixel_grid(12, 20), atol=1e-4
    )


def test_backprojection_keeps_depth_as_z(rng):
    depth = tf.constant(rng.uniform(0.5, 50.0, (1, 12, 20, 1)), tf.float32)
    points = geometry.backproject(depth, K)
    np.testing.assert_allclose(points[..., 2:], depth, rtol=1e-6)


def test_principal_point_matches_a_hand_projection():
    point = tf.constant([[[[2.0, -1.0, 4.0]]]])
    pixel = geometry.project(point, K)[0, 0, 0]
    np.testing.assert_allclose(
        pixel, [90 * 0.5 + 2 * -0.25 + 30.5, 80 * -0.25 + 15.25]
    )


def test_resize_moves_pixel_centres_by_the_half_pixel_rule():
    """The left edge of the image (u = −0.5) is the left edge after."""
    scaled = geometry.scale_intrinsics(K, 2.0, 0.5)
    corner_ray = np.linalg.inv(K[0]) @ [-0.5, -0.5, 1.0]
    np.testing.assert_allclose(
        scaled[0].numpy() @ corner_ray, [-0.5, -0.5, 1.0], atol=1e-5
    )
    np.testing.assert_allclose(scaled[0, 0, 0], 180.0)
    np.testing.assert_allclose(scaled[0, 1, 2], (15.25 + 0.5) * 0.5 - 0.5)


def test_crop_moves_only_the_principal_point():
    cropped = geometry.crop_intrinsics(K, 7, 3)
    np.testing.assert_allclose(cropped[0, :2, 2], [23.5, 12.25])
    np.testing.assert_allclose(cropped[0, :2, :2], K[0, :2, :2])


def test_flip_mirrors_the_principal_point_and_the_ray():
    """Pixel u of the mirrored image sees the mirrored ray of W − 1 − u."""
    width = 64
    flipped = geometry.flip_intrinsics(K, width)
    np.testing.assert_allclose(flipped[0, 0, 2], width - 1 - 30.5)
    ray = np.linalg.inv(K[0]) @ [width - 1 - 10.0, 5.0, 1.0]
    mirrored = np.linalg.inv(flipped[0]) @ [10.0, 5.0, 1.0]
    np.testing.assert_allclose(mirrored, ray * [-1, 1, 1], atol=1e-6)


def test_flipping_twice_changes_nothing():
    twice = geometry.flip_intrinsics(geometry.flip_intrinsics(K, 64), 64)
    np.testing.assert_allclose(twice, K)


def test_float64_intrinsics_stay_float64():
    wide = tf.cast(K, tf.float64)
    assert geometry.scale_intrinsics(wide, 0.5, 0.5).dtype == tf.float64
    assert geometry.viewing_rays(wide, 4, 5).dtype == tf.float64

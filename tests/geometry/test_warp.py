"""The inverse warp against exact scenes and at every edge of its domain."""

import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import geometry
from tests import planes

K = tf.constant(planes.INTRINSICS[None], tf.float32)


def random_frame(rng, batch=1):
    shape = (batch, planes.HEIGHT, planes.WIDTH)
    image = tf.constant(rng.uniform(0, 1, (*shape, 3)), tf.float32)
    depth = tf.constant(rng.uniform(0.2, 60.0, (*shape, 1)), tf.float32)
    return image, depth


def motion(*vector):
    return geometry.pose_matrix(tf.constant([vector], tf.float32))


MOTIONS = {
    "forward": motion(0.0, 0.0, -0.8, 0.0, 0.0, 0.0),
    "turning": motion(0.2, -0.1, -0.5, 0.02, -0.05, 0.03),
    "backward": motion(-0.3, 0.05, 0.6, -0.02, 0.04, 0.0),
}


def test_identity_pose_is_identity_warp(rng):
    image, depth = random_frame(rng)
    warp = geometry.inverse_warp(image, depth, depth * 1.7, tf.eye(4)[None], K)
    np.testing.assert_allclose(warp.image, image, atol=1e-5)
    np.testing.assert_allclose(warp.sampled_depth, depth, atol=1e-5)
    np.testing.assert_allclose(warp.computed_depth, depth * 1.7, rtol=1e-6)
    np.testing.assert_array_equal(warp.valid, 1.0)


@pytest.mark.parametrize("name", MOTIONS)
def test_known_motion_reconstructs_the_analytic_scene(name):
    source_from_target = MOTIONS[name]
    target, target_depth, source, source_depth = planes.scene(
        source_from_target[0].numpy()
    )
    warp = geometry.inverse_warp(
        source, source_depth, target_depth, source_from_target, K
    )
    # The wall hides road in one view and not in the other: compare where the
    # depths agree, which must be nearly everywhere.
    agree = np.abs(warp.computed_depth / warp.sampled_depth - 1.0) < 0.02
    seen = (warp.valid.numpy() > 0) & agree
    assert seen.sum() > 0.95 * warp.valid.numpy().sum()
    assert warp.valid.numpy().mean() > 0.7
    error = np.abs(warp.image - target)[seen[..., 0]]
    unwarped = np.abs(source - target)[seen[..., 0]]
    assert error.mean() < 0.003
    assert error.mean() < 0.05 * unwarped.mean()


def test_computed_depth_is_the_depth_in_the_source_camera():
    source_from_target = MOTIONS["turning"]
    _, target_depth, _, _ = planes.scene(source_from_target[0].numpy())
    warp = geometry.inverse_warp(
        target_depth, target_depth, target_depth, source_from_target, K
    )
    points = geometry.backproject(tf.constant(target_depth), K)[0].numpy()
    rotation, translation = (
        source_from_target[0, :3, :3].numpy(),
        source_from_target[0, :3, 3].numpy(),
    )
    expected = (points @ rotation.T + translation)[..., 2]
    np.testing.assert_allclose(
        warp.computed_depth[0, ..., 0], expected, rtol=1e-5
    )


def test_direct_projection_gives_the_same_pixels(rng):
    """The ray-motion form equals K·(R·D·K⁻¹p̃ + t) written out."""
    image, depth = random_frame(rng)
    source_from_target = MOTIONS["turning"]
    points = geometry.backproject(depth, K)
    moved = (
        tf.einsum("bij,bhwj->bhwi", source_from_target[:, :3, :3], points)
        + source_from_target[:, None, None, :3, 3]
    )
    pixels = geometry.project(moved, K)
    warp = geometry.inverse_warp(image, depth, depth, source_from_target, K)
    direct = geometry.bilinear_sample(image, pixels)
    valid = warp.valid.numpy()[..., 0] > 0
    np.testing.assert_allclose(
        warp.image.numpy()[valid], direct.numpy()[valid], atol=2e-3
    )


@pytest.mark.parametrize("factor", [0.01, 7.0, 300.0])
def test_scaling_depth_and_translation_changes_only_the_depths(rng, factor):
    image, depth = random_frame(rng)
    vector = tf.constant([[0.2, -0.1, -0.1, 0.02, -0.05, 0.03]])
    scaled_vector = vector * tf.constant([[factor] * 3 + [1.0] * 3])
    warp = geometry.inverse_warp(
        image, depth, depth, geometry.pose_matrix(vector), K
    )
    scaled = geometry.inverse_warp(
        image,
        depth * factor,
        depth * factor,
        geometry.pose_matrix(scaled_vector),
        K,
    )
    same = warp.valid.numpy() == scaled.valid.numpy()
    assert same.mean() > 0.999  # rounding at the image border
    both = (warp.valid * scaled.valid).numpy()
    np.testing.assert_allclose(
        scaled.image * both, warp.image * both, atol=2e-3
    )
    np.testing.assert_allclose(
        scaled.computed_depth * both,
        warp.computed_depth * both * factor,
        rtol=1e-4,
    )


def test_flipping_everything_flips_the_warp():
    source_from_target = MOTIONS["turning"]
    _, target_depth, source, source_depth = planes.scene(
        source_from_target[0].numpy()
    )
    plain = geometry.inverse_warp(
        source, source_depth, target_depth, source_from_target, K
    )
    flipped = geometry.inverse_warp(
        source[:, :, ::-1],
        source_depth[:, :, ::-1],
        target_depth[:, :, ::-1],
        geometry.mirror_pose(source_from_target),
        geometry.flip_intrinsics(K, planes.WIDTH),
    )
    valid = plain.valid.numpy() * flipped.valid.numpy()[:, :, ::-1]
    assert valid.mean() > 0.99 * plain.valid.numpy().mean()
    np.testing.assert_allclose(
        flipped.image.numpy()[:, :, ::-1] * valid,
        plain.image.numpy() * valid,
        atol=1e-4,
    )


def test_mixed_intrinsics_in_a_batch_do_not_mix(rng):
    image, depth = random_frame(rng, batch=2)
    poses = tf.concat([MOTIONS["forward"], MOTIONS["turning"]], axis=0)
    other = geometry.scale_intrinsics(K, 1.3, 0.8)
    intrinsics = tf.concat([K, other], axis=0)
    together = geometry.inverse_warp(image, depth, depth, poses, intrinsics)
    for i in range(2):
        alone = geometry.inverse_warp(
            image[i : i + 1],
            depth[i : i + 1],
            depth[i : i + 1],
            poses[i : i + 1],
            intrinsics[i : i + 1],
        )
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[i], single[0], atol=1e-5)


def test_out_of_view_pixels_are_zero_and_invalid(rng):
    image, depth = random_frame(rng)
    sideways = motion(0.0, 0.0, 0.0, 0.0, 0.4, 0.0)
    warp = geometry.inverse_warp(image, depth, depth, sideways, K)
    outside = warp.valid.numpy()[..., 0] == 0
    assert 0.2 < outside.mean() < 0.8
    np.testing.assert_array_equal(warp.image.numpy()[outside], 0.0)
    np.testing.assert_array_equal(warp.sampled_depth.numpy()[outside], 0.0)


def test_points_behind_the_camera_are_invalid(rng):
    image, depth = random_frame(rng)
    past_everything = motion(0.0, 0.0, -100.0, 0.0, 0.0, 0.0)
    warp = geometry.inverse_warp(image, depth, depth, past_everything, K)
    np.testing.assert_array_equal(warp.valid, 0.0)
    assert (warp.computed_depth.numpy() > 0).all()


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param([0.0] * 6, id="no motion"),
        pytest.param([0, 0, -30.0, 0, 0, 0], id="many points behind"),
        pytest.param([0, 0, -2.0, 0, 0, 0], id="points at the camera"),
        pytest.param([0, 0, 0, 0, np.pi, 0], id="looking back"),
        pytest.param([1e4, 0, 0, 0, 0, 0], id="far out of view"),
    ],
)
def test_values_and_gradients_are_finite(rng, vector):
    image, depth = random_frame(rng)
    depth = tf.where(depth > 50.0, 2.0, depth)  # exactly at the camera plane
    pose = tf.constant([vector], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([image, depth, pose])
        warp = geometry.inverse_warp(
            image, depth, depth, geometry.pose_matrix(pose), K
        )
        total = sum(tf.reduce_sum(field) for field in warp)
    gradients = tape.gradient(total, [image, depth, pose])
    for values in [*warp, *gradients]:
        assert np.isfinite(values).all()


def test_nan_depth_ends_as_nan_not_as_a_crash(rng):
    image, depth = random_frame(rng)
    warp = geometry.inverse_warp(
        image, depth, depth * np.nan, MOTIONS["turning"], K
    )
    assert np.isnan(warp.computed_depth).all()


def test_gradients_agree_with_finite_differences():
    """In float64, on the smooth analytic scene."""
    vector = np.array([[0.2, -0.1, -0.5, 0.02, -0.05, 0.03]])
    source_from_target = geometry.pose_matrix(tf.constant(vector))
    frames = planes.scene(source_from_target[0].numpy())
    target, target_depth, source, source_depth = (
        tf.constant(frame, tf.float64) for frame in frames
    )
    intrinsics = tf.constant(planes.INTRINSICS[None])

    def loss(pose, log_scale):
        warp = geometry.inverse_warp(
            source,
            source_depth,
            target_depth * tf.exp(log_scale),
            geometry.pose_matrix(pose),
            intrinsics,
        )
        inner = warp.image[:, 8:-8, 16:-16] - target[:, 8:-8, 16:-16]
        return tf.reduce_sum(inner * inner)

    at = [tf.constant(vector + 0.003), tf.constant(0.05, tf.float64)]
    theoretical, numerical = tf.test.compute_gradient(loss, at, delta=1e-7)
    for exact, difference in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(exact, difference, rtol=1e-3)


def test_xla_gives_the_same_warp(rng):
    image, depth = random_frame(rng)
    pose = MOTIONS["turning"]
    plain = geometry.inverse_warp(image, depth, depth, pose, K)
    compiled = tf.function(geometry.inverse_warp, jit_compile=True)(
        image, depth, depth, pose, K
    )
    same = plain.valid.numpy() == compiled.valid.numpy()
    assert same.mean() > 0.9999
    both = (plain.valid * compiled.valid).numpy()
    np.testing.assert_allclose(
        compiled.image * both, plain.image * both, atol=1e-3
    )
    np.testing.assert_allclose(
        compiled.computed_depth, plain.computed_depth, rtol=1e-5
    )


def test_sampling_at_integers_reads_the_pixels(rng):
    image, _ = random_frame(rng)
    grid = geometry.pixel_grid(planes.HEIGHT, planes.WIDTH)[None]
    np.testing.assert_allclose(
        geometry.bilinear_sample(image, grid), image, atol=1e-6
    )


def test_sampling_halfway_is_the_mean_of_neighbours():
    image = tf.reshape(tf.constant([0.0, 1.0, 10.0, 11.0]), [1, 2, 2, 1])
    sample = geometry.bilinear_sample(image, tf.constant([[[[0.5, 0.25]]]]))
    np.testing.assert_allclose(sample[0, 0, 0, 0], 0.5 + 0.25 * 10.0)

import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import geometry, losses
from scdepth_tf.metrics.reprojection import (
    hidden,
    inconsistency,
    reproject,
    resize_nearest,
    scale_intrinsics,
)
from tests import planes
from tests.metrics.trajectories import poses, rotation

MOTION = poses([[0.3, -0.1, -0.8]], rotation(0.02, -0.05, 0.01)[None])[0]


def exact_pair():
    target, target_depth, source, source_depth = planes.scene(MOTION)
    return (
        target[0],
        target_depth[0, ..., 0],
        source[0],
        source_depth[0, ..., 0],
    )


def test_agrees_with_the_warp_of_the_loss():
    _, target_depth, source, source_depth = exact_pair()
    ours = reproject(
        target_depth, source_depth, MOTION, planes.INTRINSICS, source
    )

    def batch(values):
        return tf.constant(values[None], tf.float32)

    warp = geometry.inverse_warp(
        batch(source),
        batch(source_depth[..., None]),
        batch(target_depth[..., None]),
        batch(MOTION),
        batch(planes.INTRINSICS),
    )
    theirs = warp.valid.numpy()[0, ..., 0] > 0
    assert (ours.valid != theirs).sum() <= 2  # rounding at the border
    both = ours.valid & theirs
    assert both.mean() > 0.5
    np.testing.assert_allclose(
        ours.sampled[both], warp.image.numpy()[0][both], atol=1e-3
    )
    difference = losses.depth_inconsistency(
        warp.computed_depth, warp.sampled_depth
    )
    np.testing.assert_allclose(
        inconsistency(ours)[both],
        difference.numpy()[0, ..., 0][both],
        atol=1e-4,
    )


def test_exact_depth_and_motion_agree_everywhere_but_at_edges():
    _, target_depth, _, source_depth = exact_pair()
    seen = reproject(target_depth, source_depth, MOTION, planes.INTRINSICS)
    assert np.median(inconsistency(seen)[seen.valid]) < 1e-3
    wrong = reproject(
        target_depth, 1.2 * source_depth, MOTION, planes.INTRINSICS
    )
    assert np.median(inconsistency(wrong)[wrong.valid]) == pytest.approx(
        0.2 / 2.2, rel=0.02
    )


def test_no_motion_samples_the_pixel_itself(rng):
    depth = rng.uniform(1, 9, (6, 8))
    image = rng.random((6, 8, 3))
    seen = reproject(depth, depth, np.eye(4), planes.INTRINSICS, image)
    inside = np.s_[1:-1, 1:-1]  # rounding may push the border out
    assert seen.valid[inside].all()
    np.testing.assert_allclose(seen.sampled[inside], image[inside], atol=1e-9)
    assert inconsistency(seen)[inside].max() < 1e-9


def test_holes_are_invalid_and_mix_into_nothing():
    depth = np.full((6, 8), 5.0)
    holed = depth.copy()
    holed[2, 3] = 0
    shifted = np.eye(4)
    shifted[0, 3] = 0.5 * 5 / planes.INTRINSICS[0, 0]  # half a pixel right
    intrinsics = planes.INTRINSICS
    seen = reproject(depth, holed, shifted, intrinsics)
    assert not seen.valid[2, 2:4].any()  # both look at the hole
    assert seen.valid[2, 4]
    assert not reproject(holed, depth, shifted, intrinsics).valid[2, 3]
    assert inconsistency(seen)[seen.valid].max() < 1e-12


def test_points_behind_the_camera_are_invalid():
    depth = np.full((6, 8), 5.0)
    forward = np.eye(4)
    forward[2, 3] = -6.0
    assert not reproject(depth, depth, forward, planes.INTRINSICS).valid.any()


def test_what_something_nearer_covers_is_hidden():
    depth = np.full((6, 8), 5.0)
    covered = depth.copy()
    covered[1:5, 2:5] = 3.0
    seen = reproject(depth, covered, np.eye(4), np.eye(3))
    np.testing.assert_array_equal(
        hidden(seen)[1:5, 1:-1], covered[1:5, 1:-1] == 3
    )
    # Seen from the nearer thing, the farther one hides nothing.
    assert not hidden(reproject(covered, depth, np.eye(4), np.eye(3))).any()


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\] .* \[2, 4\]"):
        reproject(np.ones((2, 3)), np.ones((2, 4)), np.eye(4), np.eye(3))


def test_intrinsics_scale_as_in_the_geometry():
    ours = scale_intrinsics(planes.INTRINSICS, (64, 128), (96, 416))
    theirs = geometry.scale_intrinsics(
        tf.constant(planes.INTRINSICS[None], tf.float32), 416 / 128, 96 / 64
    )
    np.testing.assert_allclose(ours, theirs[0], rtol=1e-6)


def test_nearest_resize_takes_the_pixel_that_holds_the_centre():
    values = np.arange(6).reshape(1, 6)
    np.testing.assert_array_equal(resize_nearest(values, (1, 3)), [[1, 3, 5]])
    np.testing.assert_array_equal(
        resize_nearest(values[:, :3], (2, 6)), [[0, 0, 1, 1, 2, 2]] * 2
    )

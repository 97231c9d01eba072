"""Motion and paths refined with exact depth meet the truth."""

import numpy as np
import pytest

from scdepth_tf import alignment
from scdepth_tf.alignment import align, prepare_frame
from scdepth_tf.metrics.odometry import inverse, rotation_angle, steps
from tests import planes


def motion(x=0.0, y=0.0, z=0.0, rx=0.0, ry=0.0, rz=0.0):
    return alignment._exponential(np.array([x, y, z, rx, ry, rz]))


def frame(world_from_camera, unit=1.0):
    image, depth = planes.render(world_from_camera)
    return prepare_frame(image[0], depth[0, ..., 0] / unit, planes.INTRINSICS)


TRUE = motion(0.05, -0.02, -0.4, 0.004, 0.01, -0.003)
"""Source_from_target."""


@pytest.mark.parametrize("unit", [1.0, 20.0])
def test_exact_depth_gives_the_exact_motion(unit):
    target, source = frame(np.eye(4), unit), frame(inverse(TRUE), unit)
    start = TRUE @ motion(0.03, 0.02, 0.1, 0.003, -0.004, 0.004)
    start[:3, 3] /= unit
    found = align(target, source, start)
    truth = TRUE.copy()
    truth[:3, 3] /= unit
    before = np.linalg.norm(start[:3, 3] - truth[:3, 3])
    after = np.linalg.norm(found.source_from_target[:3, 3] - truth[:3, 3])
    assert after < 0.1 * before
    assert rotation_angle(inverse(truth) @ found.source_from_target) < 1e-3


def test_what_moves_by_itself_is_outvoted():
    """A patch of a sixth of the image is somewhere else in the source."""
    target = frame(np.eye(4))
    image, depth = planes.render(inverse(TRUE))
    image[0, 20:50, 30:75] = image[0, 20:50, 60:105]
    source = prepare_frame(image[0], depth[0, ..., 0], planes.INTRINSICS)
    found = align(target, source, TRUE @ motion(z=0.05)).source_from_target
    assert np.linalg.norm(found[:3, 3] - TRUE[:3, 3]) < 0.01


def test_another_exposure_changes_nothing():
    target = frame(np.eye(4))
    image, depth = planes.render(inverse(TRUE))
    source = prepare_frame(
        0.8 * image[0] + 0.07, depth[0, ..., 0], planes.INTRINSICS
    )
    found = align(target, source, TRUE @ motion(z=0.05)).source_from_target
    assert np.linalg.norm(found[:3, 3] - TRUE[:3, 3]) < 2e-3


def test_images_without_overlap_keep_the_start():
    start = motion(ry=1.5)
    found = align(frame(np.eye(4)), frame(np.eye(4)), start)
    np.testing.assert_array_equal(found.source_from_target, start)
    assert found.overlap == 0


def test_noise_is_told_from_motion(rng):
    """A speed that drifts slowly, seen through noise."""
    speed = 1 + np.cumsum(rng.normal(0, 0.005, 300))
    seen = speed + rng.normal(0, 0.1, 300)
    off = alignment.smooth(seen) - speed
    assert np.std(off) < 0.35 * 0.1


def test_motion_without_noise_is_left_alone(rng):
    speed = np.cumsum(rng.normal(0, 0.05, 600))
    np.testing.assert_allclose(alignment.smooth(speed), speed, atol=1e-9)


def test_windows_meet_without_a_seam(rng):
    """Whatever the window, the middle of a long signal is the same."""
    speed = 1 + np.cumsum(rng.normal(0, 0.005, 500))
    seen = speed + rng.normal(0, 0.1, 500)
    whole = alignment._smooth_window(seen, 8.0)
    parts = alignment._smooth_window(seen[: alignment.WINDOW], 8.0)
    end = alignment.WINDOW - alignment.OVERLAP // 2
    np.testing.assert_allclose(parts[:end], whole[:end], atol=0.01)


def test_the_steadier_measurement_counts_more(rng):
    truth = 1 + np.cumsum(rng.normal(0, 0.002, 200))
    poor = truth + rng.normal(0, 0.1, 200)
    good = truth + rng.normal(0, 0.01, 200)
    for fused in (alignment.fuse(poor, good), alignment.fuse(good, poor)):
        assert np.std(fused - truth) < 0.015


def test_where_alignment_failed_the_guess_stays(rng):
    guess = rng.normal(size=50)
    aligned = np.where(np.arange(50) < 20, 0.0, np.nan)
    fused = alignment.fuse(guess, aligned)
    np.testing.assert_array_equal(fused[20:], guess[20:])


def test_coordinates_of_a_step_are_exact():
    step = motion(1, 2, 3, 0.4, -0.2, 0.1)
    back = alignment._from_coordinates(alignment._coordinates(step[None]))
    np.testing.assert_allclose(back[0], step, atol=1e-12)


def test_a_rendered_street_is_followed_far_better_than_it_was_guessed(rng):
    """Exact depth, and a pose network that is a tenth off."""
    from scdepth_tf.synthetic import make_street, render_frame

    street = make_street(5, 8)
    frames = [render_frame(street, index, (64, 208)) for index in range(8)]
    truth = np.stack([frame.world_from_camera for frame in frames])
    guessed = steps(truth)
    guessed[:, :3, 3] *= 1 + 0.1 * rng.choice([-1, 1], (7, 1))
    start = [truth[0]]
    for step in guessed:
        start.append(start[-1] @ step)
    found = alignment.refine(
        [
            prepare_frame(
                frame.image / 255,
                np.where(frame.depth > 0, frame.depth, 1e3),
                frame.intrinsics,
            )
            for frame in frames
        ],
        np.stack(start),
    )

    def error(poses):
        return np.linalg.norm(
            steps(poses)[:, :3, 3] - steps(truth)[:, :3, 3], axis=1
        ).mean()

    assert error(found) < 0.2 * error(np.stack(start))

"""Motion and paths refined with exact depth meet the truth."""

import numpy as np
import pytest

from scdepth_tf import alignment, data
from scdepth_tf.alignment import align, images, path, prepare_frame, twists
from scdepth_tf.metrics.odometry import inverse, rotation_angle, steps
from tests import planes


def motion(x=0.0, y=0.0, z=0.0, rx=0.0, ry=0.0, rz=0.0):
    return twists.exponential(np.array([x, y, z, rx, ry, rz]))


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


def test_what_moves_by_itself_is_outvoted(monkeypatch):
    """A car that keeps its place in the image, on a tenth of it."""
    image, depth = planes.render(np.eye(4))
    moved, moved_depth = planes.render(inverse(TRUE))
    car = np.s_[0, 28:48, 40:80]
    stripes = 0.2 + 0.6 * (np.arange(20) % 8 < 4)[:, None, None]
    image[car], moved[car] = stripes, stripes
    target, source = (
        prepare_frame(one[0], far[0, ..., 0], planes.INTRINSICS)
        for one, far in ((image, depth), (moved, moved_depth))
    )

    def error():
        found = align(target, source, TRUE @ motion(z=0.1)).source_from_target
        return np.linalg.norm(found[:3, 3] - TRUE[:3, 3])

    robust = error()
    monkeypatch.setattr(images, "_HUBER", 1e9)
    assert robust < 0.5 * error()


def test_another_exposure_changes_nothing():
    target = frame(np.eye(4))
    image, depth = planes.render(inverse(TRUE))
    source = prepare_frame(
        0.8 * image[0] + 0.07, depth[0, ..., 0], planes.INTRINSICS
    )
    found = align(target, source, TRUE @ motion(z=0.05)).source_from_target
    assert np.linalg.norm(found[:3, 3] - TRUE[:3, 3]) < 0.015


def test_images_without_overlap_keep_the_start():
    start = motion(ry=1.5)
    found = align(frame(np.eye(4)), frame(np.eye(4)), start)
    np.testing.assert_array_equal(found.source_from_target, start)
    assert found.overlap == 0


def drifting(rng, change, count=300):
    """[N, 3]: a velocity that changes slowly."""
    return 1 + np.cumsum(rng.normal(0, change, (count, 3)), axis=0)


def test_noise_is_told_from_motion(rng):
    velocity = drifting(rng, 0.005)
    seen = velocity + rng.normal(0, 0.1, (300, 3))
    off = alignment.smooth(seen, 16.0) - velocity
    assert np.std(off) < 0.35 * 0.1


def test_steady_steps_are_left_alone(rng):
    """Braking and turning that is measured without noise."""
    truth = np.tile(np.eye(4), (60, 1, 1))
    truth[:, 2, 3] = np.linspace(1.0, 0.9, 60)
    truth[:, 0, 3] = 0.02 * np.sin(np.arange(60) / 8)
    found = alignment.refine_steps(truth, truth)
    np.testing.assert_allclose(found, truth, atol=0.01)


def test_windows_meet_without_a_seam(rng):
    """Far from its end, a window is what the whole signal is."""
    seen = drifting(rng, 0.005, 500) + rng.normal(0, 0.1, (500, 3))
    whole = path._smooth_window(seen, 8.0)
    parts = path._smooth_window(seen[: path.WINDOW], 8.0)
    end = path.WINDOW - path.OVERLAP // 2
    np.testing.assert_allclose(parts[:end], whole[:end], atol=0.01)


def test_the_steadier_measurement_counts_more(rng):
    truth = drifting(rng, 0.002)
    poor = truth + rng.normal(0, 0.1, (300, 3))
    good = truth + rng.normal(0, 0.01, (300, 3))
    for fused in (alignment.fuse(poor, good), alignment.fuse(good, poor)):
        assert np.std(fused - truth) < 0.015


def test_where_alignment_failed_the_guess_stays(rng):
    guess = rng.normal(size=(50, 3))
    aligned = np.where(np.arange(50)[:, None] < 20, guess / 2, np.nan)
    fused = alignment.fuse(guess, aligned)
    np.testing.assert_array_equal(fused[20:], guess[20:])


def test_the_hand_that_carries_the_camera_is_told_from_a_vehicle(rng):
    """By what two noisy measurements of each step have in common."""
    vehicle = drifting(rng, 0.005)
    hand = vehicle + rng.normal(0, 0.3, (300, 3))

    def seen(velocity):
        noise = rng.normal(0, 0.1, (2, *velocity.shape))
        return (one + velocity for one in noise)

    assert path.common_change(*seen(vehicle)) < 0.02
    # Each component by 0.3·√2, of a usual length of √3.
    found = path.common_change(*seen(hand))
    assert found == pytest.approx(0.3 * 2**0.5 / 3**0.5, rel=0.3)


def test_coordinates_of_a_step_are_exact():
    step = motion(1, 2, 3, 0.4, -0.2, 0.1)
    back = twists.from_coordinates(twists.coordinates(step[None]))
    np.testing.assert_allclose(back[0], step, atol=1e-12)


def test_a_rendered_street_is_followed_far_better_than_it_was_guessed(
    shared_data, rng
):
    """Exact depth, and a pose network that is a tenth off."""
    (scene,) = data.open_scenes(shared_data / "streets", scenes="street_104")
    scene = scene.part(0, 10)
    guessed = steps(scene.poses)
    guessed[:, :3, 3] *= 1 + rng.normal(0, 0.1, (9, 1))
    start = [scene.poses[0]]
    for step in guessed:
        start.append(start[-1] @ step)
    seen = [scene.image(index).tobytes() for index in range(10)]

    def true_depth(image):
        depth = scene.depth(seen.index(image.tobytes()))
        return np.where(depth > 0, depth, 1e3)

    found = alignment.refine(
        alignment.scene_frames(scene, true_depth), np.stack(start)
    )

    def error(poses):
        return np.linalg.norm(
            steps(poses)[:, :3, 3] - steps(scene.poses)[:, :3, 3], axis=1
        ).mean()

    assert error(found) < 0.3 * error(np.stack(start))

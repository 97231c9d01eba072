"""The scale from motion that is known in metres."""

import numpy as np
import pytest

from scdepth_tf.metres import combine, scales_of_distances, scales_of_positions

UNIT = 27.0


def curve(frames=120, speed=1.1):
    """World_from_camera [N, 4, 4] along a bend, metres."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    heading = 0.3 * np.sin(np.arange(frames) / 20)
    step = speed * np.stack([np.sin(heading), 0 * heading, np.cos(heading)], 1)
    poses[1:, :3, 3] = np.cumsum(step[:-1], axis=0)
    return poses


def in_units(poses):
    """The same drive as a network sees it: another world, scene units."""
    angle = 0.7
    world = np.eye(4)
    world[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    moved = world @ poses
    moved[:, :3, 3] = moved[:, :3, 3] / UNIT + [4, 5, 6]
    return moved


@pytest.mark.parametrize("minimum", [0.0, 20.0])
def test_positions_give_the_exact_scale(minimum):
    poses = curve()
    found = scales_of_positions(
        poses[:, :3, 3], in_units(poses)[:, :3, 3], minimum
    )
    assert len(found.scales) > 4
    np.testing.assert_allclose(found.scales, UNIT, rtol=1e-9)


def test_distances_along_the_road_give_the_exact_scale():
    poses = curve(speed=0.9)
    travelled = 0.9 * np.arange(len(poses))
    found = scales_of_distances(travelled, in_units(poses), 5.0)
    np.testing.assert_allclose(found.scales, UNIT, rtol=1e-9)


def test_standing_frames_give_no_scale(rng):
    """Waiting at a light: fixes and prediction only jitter."""
    poses = curve(60)
    poses = np.concatenate([poses, np.tile(poses[-1], (60, 1, 1))])
    truth = poses[:, :3, 3] + rng.normal(0, 0.01, (120, 3))
    found = scales_of_positions(truth, in_units(poses)[:, :3, 3])
    assert len(found.scales) <= 61
    assert np.median(found.scales) == pytest.approx(UNIT, rel=0.01)


def test_noisy_fixes_hurt_little_over_long_stretches(rng):
    poses = curve(1200)
    truth = poses[:, :3, 3] + rng.normal(0, 1.0, (1200, 3)) * [1, 0, 1]
    found = scales_of_positions(truth, in_units(poses)[:, :3, 3], 20.0)
    scale = combine([found.scales], "GPS")
    assert scale.metres_per_unit == pytest.approx(UNIT, rel=0.02)


def test_a_third_of_wrong_steps_changes_little(rng):
    poses = curve()
    predicted = in_units(poses)[:, :3, 3]
    factors = np.where(rng.random(119) < 0.3, rng.uniform(0.1, 3, 119), 1.0)
    steps = np.diff(predicted, axis=0) * factors[:, None]
    predicted = np.concatenate([[[0, 0, 0]], np.cumsum(steps, axis=0)])
    found = scales_of_positions(poses[:, :3, 3], predicted)
    assert np.median(found.scales) == pytest.approx(UNIT, rel=1e-6)


def test_a_prediction_that_stands_is_left_out():
    found = scales_of_positions(curve()[:, :3, 3], np.zeros((120, 3)))
    assert not len(found.scales)
    assert found.left_out == 119


def test_another_number_of_frames_is_refused():
    with pytest.raises(ValueError, match=r"119 predicted.*120 true"):
        scales_of_positions(np.zeros((120, 3)), np.zeros((119, 3)))

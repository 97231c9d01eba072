"""Motion and paths refined with exact depth meet the truth."""

import numpy as np
import pytest

from scdepth_tf import alignment
from scdepth_tf.alignment import Motion, align, depth_scales, prepare_frame
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
    assert after < 0.02 * before
    assert rotation_angle(inverse(truth) @ found.source_from_target) < 1e-4


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


def path(frames=12):
    steps = [motion(0.02 * i, 0, 0.4, 0, 0.01 * i, 0) for i in range(frames)]
    poses = [np.eye(4)]
    for step in steps[:-1]:
        poses.append(poses[-1] @ step)
    return np.stack(poses)


def all_motions(poses, gaps=(1, 2, 4)):
    return [
        Motion(i, j, inverse(poses[j]) @ poses[i])
        for i in range(len(poses))
        for j in range(len(poses))
        if abs(i - j) in gaps
    ]


def test_flicker_of_the_depths_unit_is_found(rng):
    truth = np.exp(rng.normal(0, 0.1, 12))
    truth /= np.exp(np.log(truth).mean())
    motions = []
    for one in all_motions(path()):
        measured = one.source_from_target.copy()
        measured[:3, 3] *= truth[one.target]
        motions.append(one._replace(source_from_target=measured))
    found = depth_scales(motions, 12, trust=1e4)
    np.testing.assert_allclose(found, truth, rtol=1e-4)


def test_a_path_is_what_its_motions_say(rng):
    poses = path()
    start = poses @ np.stack(
        [alignment._exponential(0.02 * rng.normal(size=6)) for _ in poses]
    )
    start[0] = poses[0]
    found = alignment.pose_graph(all_motions(poses), start)
    np.testing.assert_allclose(found, poses, atol=1e-6)


def test_a_tenth_of_wrong_motions_bends_no_path(rng):
    poses = path(20)
    motions = all_motions(poses)
    for index in rng.choice(len(motions), len(motions) // 10, False):
        wrong = motions[index].source_from_target @ motion(z=0.5, ry=0.1)
        motions[index] = motions[index]._replace(source_from_target=wrong)
    found = alignment.pose_graph(motions, poses @ motion(z=0.0), 30)
    off = np.linalg.norm(found[:, :3, 3] - poses[:, :3, 3], axis=1)
    assert off.max() < 0.02


def test_a_rendered_street_is_followed_far_better_than_it_was_guessed(rng):
    """Exact depth, and a pose network that is a tenth off."""
    from scdepth_tf.synthetic import make_street, render_frame

    street = make_street(5, 5)
    frames = [render_frame(street, index, (64, 208)) for index in range(5)]
    truth = np.stack([frame.world_from_camera for frame in frames])
    guessed = steps(truth)
    guessed[:, :3, 3] *= 1 + 0.1 * rng.choice([-1, 1], (4, 1))
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

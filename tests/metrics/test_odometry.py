import numpy as np
import pytest

from scdepth_tf.metrics import odometry
from scdepth_tf.metrics.odometry import (
    ALIGNMENTS,
    Similarity,
    align,
    chain,
    inverse,
    rotation_angle,
    segment_errors,
    snippet_errors,
    trajectory_errors,
    umeyama,
)
from tests.metrics import trajectories
from tests.metrics.trajectories import poses, rotation, straight, winding


def scaled(trajectory, factor):
    made = trajectory.copy()
    made[:, :3, 3] *= factor
    return made


# === Alignment ===


def test_injected_scale_rotation_and_shift_are_recovered():
    truth = winding()
    turn, shift = rotation(0.4, -1.1, 2.0), np.array([4.0, -5.0, 6.0])
    lost = Similarity(turn, shift, 0.2).apply(truth)
    found = umeyama(truth[:, :3, 3], lost[:, :3, 3], with_scale=True)
    assert found.scale == pytest.approx(5.0, rel=1e-12)
    np.testing.assert_allclose(found.rotation, turn.T, atol=1e-12)
    np.testing.assert_allclose(found.translation, -5 * turn.T @ shift)
    errors = trajectory_errors(truth, lost, "7dof")
    assert errors.ate < 1e-10
    assert errors.rpe_translation < 1e-10
    assert errors.t_err < 1e-10
    assert errors.scale == pytest.approx(5.0)


def test_mirrored_trajectory_is_met_by_a_rotation_not_by_a_mirror(rng):
    points = rng.normal(size=(50, 3))
    mirrored = points * [-1, 1, 1]
    found = umeyama(points, mirrored, with_scale=True)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    left = points - (found.scale * mirrored @ found.rotation.T)
    assert np.abs(left - found.translation).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_no_other_similarity_fits_better_than_umeyama(seed):
    rng = np.random.default_rng(seed)
    truth, estimate = rng.normal(size=(2, 30, 3))

    def cost(similarity):
        rotation, translation, scale = similarity
        moved = scale * estimate @ rotation.T + translation
        return ((moved - truth) ** 2).sum()

    best = umeyama(truth, estimate, with_scale=True)
    for _ in range(20):
        angles = 1e-2 * rng.normal(size=3)
        nearby = Similarity(
            best.rotation @ rotation(*angles),
            best.translation + 1e-2 * rng.normal(size=3),
            best.scale * (1 + 1e-2 * rng.normal()),
        )
        assert cost(best) < cost(nearby)


def test_scale_alone_does_not_undo_a_rotation():
    truth = winding()
    turned = Similarity(rotation(y=0.5), np.zeros(3), 0.5).apply(truth)
    # A turned *world* does not matter: both start at their first camera.
    assert trajectory_errors(truth, turned, "scale").ate < 1e-9
    # A turn of the path within the camera's own frame does.
    bent = truth @ poses(np.zeros((1, 3)), rotation(y=0.5)[None])
    bent = odometry.from_first_camera(scaled(bent, 0.5))
    assert trajectory_errors(truth, bent, "scale").ate > 10
    assert trajectory_errors(truth, bent, "7dof").ate < 1e-9


def test_scale_minimises_the_distance_from_the_common_start():
    truth = winding()
    estimate = trajectories.perturbed(truth)
    _, scale = align(truth, estimate, "scale")
    true = odometry.from_first_camera(truth)[:, :3, 3]
    found = odometry.from_first_camera(estimate)[:, :3, 3]
    costs = [
        ((factor * scale * found - true) ** 2).sum()
        for factor in (0.999, 1.0, 1.001)
    ]
    assert costs[1] < min(costs[0], costs[2])


def test_alignments_with_more_freedom_leave_less_error():
    truth = winding()
    estimate = trajectories.perturbed(truth)
    ate = {a: trajectory_errors(truth, estimate, a).ate for a in ALIGNMENTS}
    assert ate["7dof"] < ate["scale"] < ate["none"]
    assert ate["7dof"] < ate["6dof"] < ate["none"]


def test_standing_still_cannot_be_aligned_but_can_be_measured():
    truth, still = straight(5), np.tile(np.eye(4), (5, 1, 1))
    for alignment in ("scale", "6dof", "7dof"):
        with pytest.raises(ValueError, match="stands still"):
            trajectory_errors(truth, still, alignment)
    # Positions 0, 1, 2, 3, 4 against 0.
    errors = trajectory_errors(truth, still, "none")
    assert errors.ate == pytest.approx(np.sqrt(30 / 5))
    assert errors.rpe_translation == pytest.approx(1.0)


# === Absolute and relative errors ===


def test_hand_worked_ate_and_rpe():
    truth, estimate = straight(3), straight(3)
    estimate[1, 0, 3] = 0.3  # to the right
    estimate[2, 1, 3] = 0.4  # down
    errors = trajectory_errors(truth, estimate, "none")
    assert errors.ate == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 3))
    # The steps are off by (0.3, 0, 0) and (−0.3, 0.4, 0).
    assert errors.rpe_translation_mean == pytest.approx((0.3 + 0.5) / 2)
    assert errors.rpe_translation == pytest.approx(
        np.sqrt((0.3**2 + 0.5**2) / 2)
    )
    assert errors.rpe_rotation == 0


def test_constant_turn_is_its_relative_rotation_error():
    truth = straight(20)
    turned = chain(
        np.tile(
            inverse(poses([[0, 0, 1.0]], rotation(y=0.01)[None])), (19, 1, 1)
        )
    )
    errors = trajectory_errors(truth, turned, "none")
    assert errors.rpe_rotation == pytest.approx(np.degrees(0.01))
    assert errors.rpe_rotation_mean == pytest.approx(np.degrees(0.01))
    assert errors.rpe_translation < 1e-12


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1.0, 3.0, np.pi])
def test_rotation_angle_keeps_its_digits(angle):
    turn = poses(np.zeros((1, 3)), rotation(x=angle)[None])
    assert rotation_angle(turn)[0] == pytest.approx(angle, rel=1e-12)


# === KITTI segments ===


def test_scale_ten_percent_short_is_a_translation_error_of_ten_percent():
    truth = straight(301)
    errors = trajectory_errors(truth, scaled(truth, 0.9), "none")
    # The segment of 100 m ends at the first frame *beyond* it, 101 m on.
    assert errors.t_err == pytest.approx(
        np.mean([10 * (one + 1) / one for one in hand_worked_lengths(301)])
    )
    assert errors.r_err == 0
    assert trajectory_errors(truth, scaled(truth, 0.9), "scale").t_err < 1e-9


def hand_worked_lengths(frames):
    """Lengths of all segments of a straight drive, 1 m a frame."""
    return [
        length
        for first in range(0, frames, 10)
        for length in range(100, 801, 100)
        if first + length + 1 < frames
    ]


def test_a_segment_ends_strictly_beyond_its_length():
    # Frame 100 is exactly 100 m on, and does not end the segment.
    (only,) = segment_errors(straight(102), straight(102), lengths=[100.0])
    assert (only.first, only.last, only.length) == (0, 101, 100.0)
    assert segment_errors(straight(101), straight(101), lengths=[100.0]) == []


def test_segments_start_at_every_tenth_frame():
    found = segment_errors(straight(140), straight(140))
    assert [one.first for one in found] == [0, 10, 20, 30]
    assert {one.length for one in found} == {100.0}


def test_one_degree_off_a_hundred_metres_is_r_err_one():
    truth = straight(102)
    bent = truth.copy()
    bent[50:, :3, :3] = rotation(y=np.radians(1.0))
    errors = trajectory_errors(truth, bent, "none")
    assert errors.segments == 1
    assert errors.r_err == pytest.approx(1.0)
    # The positions agree, but E is seen from the estimate's last camera.
    assert errors.t_err < 1e-12


def test_segments_are_measured_along_the_true_path():
    truth = straight(250)
    lengths = [one.length for one in segment_errors(truth, scaled(truth, 0.1))]
    assert max(lengths) == 200.0


def test_a_path_shorter_than_every_segment_has_no_kitti_errors():
    errors = trajectory_errors(straight(50), straight(50), "none")
    assert errors.t_err is None
    assert errors.r_err is None
    assert errors.segments == 0
    short = trajectory_errors(straight(50), straight(50), "none", [10.0])
    assert short.t_err == 0
    assert short.segments == 4  # from frames 0, 10, 20, 30


# === Snippets ===


def test_hand_worked_snippet():
    truth, estimate = straight(5), straight(5, speed=0.5)
    estimate[4, 0, 3] = 1.0  # the last frame is off to the right
    found = snippet_errors(truth, estimate)
    # z = 0..4, p = z/2, and x = 1 at the end: s = Σpz/Σpp = 15/(7.5 + 1).
    scale = 15 / 8.5
    off = sum((scale * z / 2 - z) ** 2 for z in range(5)) + scale**2
    assert found.mean == pytest.approx(np.sqrt(off) / 5)
    assert found.std == 0
    assert found.count == 1


def test_snippets_hide_a_scale_that_drifts():
    truth = straight(200)
    drifting = truth.copy()
    drifting[:, 2, 3] = np.cumsum(1.02 ** np.arange(200))
    assert snippet_errors(truth, drifting).mean < 0.05
    assert trajectory_errors(truth, drifting, "7dof").ate > 10
    assert snippet_errors(truth, drifting).count == 196


def test_snippets_that_stand_still_are_finite():
    truth, still = straight(6), np.tile(np.eye(4), (6, 1, 1))
    found = snippet_errors(truth, still)
    assert found.mean == pytest.approx(np.sqrt(30) / 5)
    assert snippet_errors(truth[:4], still[:4]) is None


# === Chaining ===


def test_chained_true_motions_are_the_true_trajectory():
    truth = winding()
    nexts_from_current = np.linalg.inv(truth[1:]) @ truth[:-1]
    chained = chain(nexts_from_current)
    np.testing.assert_allclose(
        chained, odometry.from_first_camera(truth), atol=1e-9
    )


def test_driving_forward_moves_the_camera_to_positive_z():
    # The next camera stands 1 before this one: its points come 1 nearer.
    forward = np.eye(4)
    forward[2, 3] = -1.0
    np.testing.assert_allclose(chain([forward, forward])[:, 2, 3], [0, 1, 2])


# === Bad input ===


def test_trajectories_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="4 estimated poses for 5 true"):
        trajectory_errors(straight(5), straight(4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, :3], r"expected poses \[frames, 4, 4\]"),
        (lambda p: p[:1], "two frames or more"),
        (
            lambda p: p * np.where(np.arange(5) == 3, np.nan, 1)[:, None, None],
            "pose 3 is not rigid",
        ),
        (
            lambda p: p * np.where(np.arange(5) == 2, np.inf, 1)[:, None, None],
            "pose 2 is not rigid",
        ),
        (lambda p: p * [[2.0], [2.0], [2.0], [1.0]], "5 of 5 are not"),
        (lambda p: p * [[-1.0], [1.0], [1.0], [1.0]], "not rigid"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_no_trajectory_is_refused(change, message):
    broken = change(straight(5))
    with pytest.raises(ValueError, match=message) as error:
        trajectory_errors(straight(5), broken)
    assert "estimated trajectory" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_alignment_is_refused():
    with pytest.raises(ValueError, match="one of none, scale, 6dof, 7dof"):
        trajectory_errors(straight(5), straight(5), "sim3")

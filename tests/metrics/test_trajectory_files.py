import numpy as np
import pytest

from scdepth_tf.metrics import Trajectory, read_trajectory
from scdepth_tf.metrics.trajectory_files import (
    matched,
    quaternions,
    rotations,
    write_kitti,
    write_tum,
)
from tests.metrics.trajectories import poses, rotation, straight, winding


def test_kitti_file_is_read_back(tmp_path):
    write_kitti(tmp_path / "new" / "poses.txt", winding(20))
    read = read_trajectory(tmp_path / "new" / "poses.txt")
    np.testing.assert_allclose(read.poses, winding(20), atol=1e-14)
    assert read.times is None


def test_tum_file_is_read_back(tmp_path):
    times = 1311868164.363181 + 0.04 * np.arange(20)
    write_tum(tmp_path / "poses.txt", winding(20), times)
    read = read_trajectory(tmp_path / "poses.txt")
    np.testing.assert_allclose(read.poses, winding(20), atol=1e-14)
    np.testing.assert_array_equal(read.times, times)


def test_tum_lines_are_as_published(tmp_path):
    turned = poses([[1.0, 2.0, 3.0]] * 2, rotation(z=np.pi / 2)[None])
    write_tum(tmp_path / "poses.txt", turned)
    lines = (tmp_path / "poses.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    values = [float(word) for word in lines[2].split()]
    np.testing.assert_allclose(
        values, [1, 1, 2, 3, 0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-15
    )


def test_comments_commas_and_blank_lines_are_fine(tmp_path):
    file = tmp_path / "poses.txt"
    file.write_text("# t x y z\n0,0,0,0,0,0,0,1\n\n0.1, 0,0,1, 0,0,0,1\n")
    np.testing.assert_array_equal(read_trajectory(file).poses, straight(2))


@pytest.mark.parametrize(
    "angles",
    [
        (0, 0, 0),
        (np.pi, 0, 0),
        (0, np.pi, 0),
        (0, 0, np.pi),
        (1, 2, 3),
        (-3, 0.1, 2),
        (1e-9, 0, 0),
    ],
)
def test_quaternion_is_unit_and_gives_its_rotation_back(angles):
    turn = rotation(*map(float, angles))[None]
    found = quaternions(turn)
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert found[0, 3] >= 0
    np.testing.assert_allclose(rotations(found), turn, atol=1e-14)


def test_frames_are_matched_by_time():
    truth = Trajectory(straight(10), 0.1 * np.arange(10))
    # Frames 2, 5 and 9 of the truth, a clock off by 4 ms, and a stray.
    times = np.array([0.204, 0.35, 0.504, 0.904])
    estimate = Trajectory(straight(4), times)
    true, estimated = matched(truth, estimate)
    np.testing.assert_array_equal(true[:, 2, 3], [2, 5, 9])
    np.testing.assert_array_equal(estimated[:, 2, 3], [0, 2, 3])


def test_a_true_frame_is_matched_once_by_the_nearest():
    truth = Trajectory(straight(3), np.arange(3.0))
    estimate = Trajectory(straight(4), np.array([0.0, 0.995, 1.001, 2.0]))
    true, estimated = matched(truth, estimate)
    np.testing.assert_array_equal(true[:, 2, 3], [0, 1, 2])
    np.testing.assert_array_equal(estimated[:, 2, 3], [0, 2, 3])


def test_clocks_that_never_meet_are_refused():
    truth = Trajectory(straight(3), np.arange(3.0))
    estimate = Trajectory(straight(3), np.arange(3.0) + 100)
    with pytest.raises(ValueError, match=r"0 of 3 .* within 0.01 s"):
        matched(truth, estimate)


def test_without_times_both_need_the_same_frames():
    one, other = Trajectory(straight(3), None), Trajectory(straight(4), None)
    with pytest.raises(ValueError, match="4 estimated poses for 3 true"):
        matched(one, other)
    true, estimated = matched(one, one)
    assert len(true) == len(estimated) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got none"),
        ("1 2 3\n4 5 6\n", "3 numbers a line; expected 12"),
        ("1 2 3\n4 5\n", "equally many"),
        ("a b c\n", "expected numbers"),
        ("1 0 0 0 0 1 0 0 0 0 1 0\n", "two frames or more"),
        ("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 9 0\n", "pose 1"),
        ("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 0\n", "quaternion of frame 1"),
        ("1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "line 2 does not"),
    ],
)
def test_a_file_that_is_no_trajectory_is_one_clear_line(
    tmp_path, text, message
):
    file = tmp_path / "poses.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_trajectory(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        read_trajectory(tmp_path / "none.txt")

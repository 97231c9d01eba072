import numpy as np
import pytest

from scdepth_tf.data import kitti_odometry
from tests.tfds_kitti import dummies


@pytest.fixture
def root(tmp_path):
    return dummies.write_odometry(tmp_path)


def test_sequences_are_found_with_and_without_the_archives_folder(
    root, tmp_path_factory
):
    names = ["00", "09", "12"]
    assert list(kitti_odometry.sequence_folders(root)) == names
    around = tmp_path_factory.mktemp("archives")
    (around / "dataset").symlink_to(root)
    assert list(kitti_odometry.sequence_folders(around)) == names
    with pytest.raises(FileNotFoundError, match="no folder `sequences`"):
        kitti_odometry.sequence_folders(root / "poses")


@pytest.mark.parametrize("camera", [0, 1, 2, 3])
def test_pose_is_of_the_camera_itself(camera, root):
    """P has −30·camera in its corner: the camera is camera/2 m to the right."""
    scene = kitti_odometry.open_sequence(
        root / "sequences" / "00", camera, "00"
    )
    assert scene.image_size == dummies.SIZE
    np.testing.assert_array_equal(
        scene.intrinsics, [[60, 0, 47.3], [0, 50, 15.8], [0, 0, 1]]
    )
    for number, pose in enumerate(scene.poses):
        np.testing.assert_allclose(pose[:3, 3], [camera / 2, 0, number])
        np.testing.assert_array_equal(pose[:3, :3], np.eye(3))
    assert scene.timestamps.tolist() == [n * 10**8 for n in range(5)]


def test_sequence_without_published_poses_has_none(root):
    path = root / "sequences" / "12"
    assert kitti_odometry.open_sequence(path, 2, "12").poses is None


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("poses/00.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n", "1 poses, .* frame 4"),
        ("sequences/00/times.txt", "0.0\n", "up to 4, got 1"),
        ("sequences/00/calib.txt", "P0: 1\n", "12 numbers after P2"),
    ],
)
def test_unusable_file_is_named(file, content, complaint, root):
    (root / file).write_text(content)
    with pytest.raises(ValueError, match=complaint):
        kitti_odometry.open_sequence(root / "sequences" / "00", 2, "00")


def test_real_stereo_baseline_and_motion(shared_data):
    root = shared_data / "kitti_odometry"
    left, right = (
        kitti_odometry.open_sequence(root / "sequences/06", camera, "06")
        for camera in (0, 1)
    )
    left_from_right = np.linalg.inv(left.poses) @ right.poses
    np.testing.assert_allclose(
        left_from_right[:, :3, 3], np.tile([0.5372, 0, 0], (51, 1)), atol=1e-3
    )
    steps = np.linalg.inv(left.poses[:-1]) @ left.poses[1:]
    assert (steps[:, 2, 3] > 0.5).all()

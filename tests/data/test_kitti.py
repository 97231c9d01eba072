import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from scdepth_tf.data import kitti, load_depth, open_scenes

DRIVE = "2011_09_26_drive_0001_sync"
EARTH_RADIUS = 6378137.0


def write_oxts(root, records):
    """Records of lat, lon (degrees), alt, roll, pitch, yaw (radians)."""
    folder = root / "2011_09_26" / DRIVE / "oxts" / "data"
    folder.mkdir(parents=True)
    for index, record in enumerate(records):
        numbers = [*record, *[0.0] * 24]
        (folder / f"{index:010d}.txt").write_text(" ".join(map(str, numbers)))


def relative_pose(root, record, next_record, camera=0):
    """first_from_second of two oxts records, read through a drive."""
    write_oxts(root, [record, next_record, *[next_record] * 4])
    poses = open_scenes(root)[camera].poses
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-9)
    return poses[1]


def degrees_of_metres(metres):
    return np.degrees(metres / EARTH_RADIUS)


def test_both_cameras_are_opened_with_their_rectified_projection(make_drive):
    left, right = open_scenes(make_drive())
    assert left.name == f"2011_09_26/{DRIVE}/image_02"
    assert right.name == f"2011_09_26/{DRIVE}/image_03"
    assert left.image_size == (32, 64)
    assert left.frame_numbers == (0, 1, 2, 3, 4, 5)
    assert left.poses is None
    assert left.depths is None
    np.testing.assert_array_equal(
        left.intrinsics, [[50, 0, 31.5], [0, 50, 15.5], [0, 0, 1]]
    )


def test_root_day_and_drive_may_be_given(make_drive):
    root = make_drive()
    names = [scene.name for scene in open_scenes(root)]
    for path in (root / "2011_09_26", root / "2011_09_26" / DRIVE):
        assert [scene.name for scene in open_scenes(path)] == names


def test_drive_may_be_a_link(make_drive, tmp_path):
    root = make_drive()
    drive = root / "2011_09_26" / DRIVE
    drive.rename(tmp_path / "elsewhere")
    drive.symlink_to(tmp_path / "elsewhere")
    assert open_scenes(root)[0].name == f"2011_09_26/{DRIVE}/image_02"


def test_filter_picks_drives_and_cameras(make_drive):
    make_drive("2011_09_26_drive_0002_sync")
    root = make_drive()
    assert len(open_scenes(root)) == 4
    assert len(open_scenes(root, scenes=("0002",))) == 2
    (scene,) = open_scenes(root, scenes=("0002*image_03",))
    assert scene.name == "2011_09_26/2011_09_26_drive_0002_sync/image_03"


@pytest.mark.parametrize("yaw", [0.0, np.pi / 2, 2.0, -3.0])
def test_driving_ahead_is_motion_along_z(yaw, make_drive):
    """Yaw is 0 to the east and counts counter-clockwise (dataformat.txt)."""
    lat = 49.0
    east, north = 1.5 * np.cos(yaw), 1.5 * np.sin(yaw)
    there = (
        lat + degrees_of_metres(north),
        8.4 + degrees_of_metres(east) / np.cos(np.radians(lat)),
        110.0,
    )
    pose = relative_pose(
        make_drive(), (lat, 8.4, 110.0, 0, 0, yaw), (*there, 0, 0, yaw)
    )
    np.testing.assert_allclose(pose[:3, 3], [0, 0, 1.5], atol=1e-5)
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("angle", "axis", "moves_to"),
    [
        # positive roll: left side up, so that the right side sinks (+Y)
        (3, 0, (np.cos(0.1), np.sin(0.1), 0)),
        # positive pitch: front down (+Y)
        (4, 2, (0, np.sin(0.1), np.cos(0.1))),
        # positive yaw: counter-clockwise, to the left (−X)
        (5, 2, (-np.sin(0.1), 0, np.cos(0.1))),
    ],
)
def test_angles_turn_as_dataformat_says(angle, axis, moves_to, make_drive):
    start = [49.0, 8.4, 110.0, 0.0, 0.0, 0.0]
    turned = list(start)
    turned[angle] = 0.1
    pose = relative_pose(make_drive(), start, turned)
    np.testing.assert_allclose(pose[:3, axis], moves_to, atol=1e-9)


def test_climbing_is_motion_against_y(make_drive):
    pose = relative_pose(
        make_drive(), (49, 8.4, 110, 0, 0, 0), (49, 8.4, 110.5, 0, 0, 0)
    )
    np.testing.assert_allclose(pose[:3, 3], [0, -0.5, 0], atol=1e-9)


def test_camera_swings_about_the_car_when_it_turns(make_drive):
    """P_rect_03 puts the right camera 24/50 m right of camera 0; turning left
    on the spot moves it ahead and to the left."""
    pose = relative_pose(
        make_drive(),
        (49, 8.4, 110, 0, 0, 0),
        (49, 8.4, 110, 0, 0, 0.2),
        camera=1,
    )
    expected = 0.48 * np.array([np.cos(0.2) - 1, 0, np.sin(0.2)])
    np.testing.assert_allclose(pose[:3, 3], expected, atol=1e-9)


def test_drive_without_imu_calibration_has_no_poses(make_drive):
    root = make_drive()
    write_oxts(root, [(49, 8.4, 110, 0, 0, 0)] * 6)
    assert open_scenes(root)[0].poses is not None
    (root / "2011_09_26" / "calib_imu_to_velo.txt").unlink()
    assert open_scenes(root)[0].poses is None


def test_missing_oxts_record_is_logged_and_leaves_no_poses(make_drive, caplog):
    root = make_drive()
    write_oxts(root, [(49, 8.4, 110, 0, 0, 0)] * 4)
    assert open_scenes(root)[0].poses is None
    assert "no record for frame 4 (2 in all)" in caplog.text


@pytest.fixture
def calibration(make_drive):
    day = make_drive() / "2011_09_26"
    return kitti.read_calibration(day, "02")


def test_point_falls_on_its_pixel_with_its_distance(calibration):
    """The scanner looks along X with Z up; P_rect_02 has an offset of 3
    pixels·metres in u."""
    scan = np.array([[10.0, -1.0, 0.5, 0.9]])
    depth = kitti.project_scan(scan, calibration)
    u = round((50 * 1.0 + 3) / 10 + 31.5) - 1
    v = round(50 * -0.5 / 10 + 15.5) - 1
    assert np.argwhere(depth).tolist() == [[v, u]]
    assert depth[v, u] == 10


def test_nearest_return_wins(calibration):
    """Four returns along one ray, in every order of coming."""
    for order in itertools.permutations([12.0, 5.0, 30.0, 7.0]):
        x = np.array(order)
        # P_rect_02 moves u by 3/x: undone here, so that all meet in a pixel.
        scan = np.stack([x, np.full(4, 3 / 50), 0 * x], axis=1)
        depth = kitti.project_scan(scan, calibration)
        assert depth[depth > 0].tolist() == [5.0]


def test_points_behind_or_beside_the_view_leave_nothing(calibration):
    scan = np.array([[-5.0, 0, 0], [0, 0, 0], [5, 50, 0], [5, 0, 50]])
    depth = kitti.project_scan(scan, calibration)
    assert depth.shape == (32, 64)
    assert not depth.any()


def test_depth_comes_from_scans_where_nothing_is_projected(make_drive):
    root = make_drive()
    drive = root / "2011_09_26" / DRIVE
    scans = drive / "velodyne_points" / "data"
    scans.mkdir(parents=True)
    scan = np.array([[8, 0, 0, 0.5]], np.float32)
    for number in (1, 2):
        scan.tofile(scans / f"{number:010d}.bin")
    scene = open_scenes(root)[0]
    assert scene.depth(0) is None
    assert scene.depth(1).max() == 8

    projected = drive / "proj_depth" / "velodyne" / "image_02"
    projected.mkdir(parents=True)
    np.savez(
        projected / "0000000001.npz", velodyne_depth=np.full((32, 64), 9.0)
    )
    scene = open_scenes(root)[0]
    assert scene.depth(1).max() == 9
    assert scene.depth(2) is None


def test_annotated_depth_has_kittis_unit(make_drive):
    root = make_drive()
    folder = root / "2011_09_26" / DRIVE / "proj_depth/groundtruth/image_03"
    folder.mkdir(parents=True)
    codes = np.full((32, 64), 2560, np.uint16)
    Image.fromarray(codes).save(folder / "0000000003.png")
    left, right = open_scenes(root)
    assert left.depths is None
    np.testing.assert_array_equal(right.depth(3), np.full((32, 64), 10.0))


def test_annotated_depth_takes_the_place_of_scans(make_drive):
    root = make_drive()
    day = root / "2011_09_26" / DRIVE
    for source in ("velodyne", "groundtruth"):
        (day / "proj_depth" / source / "image_02").mkdir(parents=True)
    scan = day / "proj_depth/velodyne/image_02/0000000003.npz"
    np.savez(scan, velodyne_depth=np.full((32, 64), 7, np.float32))
    codes = np.full((32, 64), 2560, np.uint16)
    annotated = day / "proj_depth/groundtruth/image_02/0000000004.png"
    Image.fromarray(codes).save(annotated)
    scene, _ = open_scenes(root)
    assert scene.depth(3).max() == 7
    improved = kitti.with_annotated_depth(scene)
    assert improved.depths == (None, None, None, None, annotated, None)
    assert improved.depth(4).max() == 10


def test_other_footage_has_no_annotated_depth(make_scene):
    (scene,) = open_scenes(make_scene())
    with pytest.raises(ValueError, match="no KITTI drive"):
        kitti.with_annotated_depth(scene)


def test_truncated_scan_is_named(make_drive):
    root = make_drive()
    scans = root / "2011_09_26" / DRIVE / "velodyne_points" / "data"
    scans.mkdir(parents=True)
    np.ones(7, np.float32).tofile(scans / "0000000001.bin")
    scene = open_scenes(root)[0]
    with pytest.raises(ValueError, match=r"0000000001\.bin: .*28 bytes"):
        scene.depth(1)


def test_missing_calibration_is_named(make_drive):
    root = make_drive()
    for name in ("calib_velo_to_cam.txt", "calib_cam_to_cam.txt"):
        (root / "2011_09_26" / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"{name}: not found; unp"):
            open_scenes(root)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("P_rect_02: 50 0 31.5 3", "P_rect_02: 50 0", "12 numbers.*P_rect_02"),
        ("P_rect_02:", "P_02:", "P_rect_02.*no such line"),
        ("P_rect_02: 50", "P_rect_02: -50", "fx -50 .* must be positive"),
        ("S_rect_02: 6.4", "S_rect_02: 6.6", "64x32 .*calibration.*66x32"),
    ],
)
def test_unusable_calibration_is_named(old, new, complaint, make_drive):
    root = make_drive()
    path = root / "2011_09_26" / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=complaint):
        open_scenes(root)


def test_drive_without_frames_is_named(make_drive):
    root = make_drive()
    folder = root / "2011_09_26" / DRIVE / "image_03" / "data"
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"image_03.data: 0 frames.*least 3"):
        open_scenes(root)


def test_frames_without_numbers_are_refused(make_drive):
    root = make_drive()
    folder = root / "2011_09_26" / DRIVE / "image_02" / "data"
    (folder / "0000000002.png").rename(folder / "copy of 2.png")
    with pytest.raises(ValueError, match=r"copy of 2\.png: expected KITTI"):
        open_scenes(root)


def test_short_oxts_record_is_named(make_drive):
    root = make_drive()
    write_oxts(root, [(49, 8.4, 110, 0, 0, 0)] * 6)
    path = root / "2011_09_26" / DRIVE / "oxts" / "data" / "0000000002.txt"
    path.write_text("49 8.4 110")
    with pytest.raises(ValueError, match=r"0000000002\.txt: .*30 num.* got 3"):
        open_scenes(root)


def test_real_rectified_projection(shared_data):
    left, right = open_scenes(shared_data / "kitti_raw", scenes=("0023",))
    for scene in (left, right):
        assert scene.image_size == (375, 1242)
        np.testing.assert_array_equal(
            scene.intrinsics,
            [[721.5377, 0, 609.5593], [0, 721.5377, 172.854], [0, 0, 1]],
        )


def test_real_poses_move_forward_at_the_speed_of_the_car(shared_data):
    raw = shared_data / "kitti_raw"
    oxts = raw / "2011_09_26/2011_09_26_drive_0023_sync/oxts"
    records = [kitti.read_oxts(p) for p in sorted(oxts.glob("data/*.txt"))]
    speed = np.array([record[8] for record in records])  # vf, m/s
    lines = (oxts / "timestamps.txt").read_text().splitlines()
    times = np.array([line.strip() for line in lines], "datetime64[ns]")
    seconds = (times[len(records) - 1] - times[0]) / np.timedelta64(1, "s")
    for scene in open_scenes(raw, scenes=("0023",)):
        steps = np.linalg.inv(scene.poses[:-1]) @ scene.poses[1:]
        motion = steps[:, :3, 3]
        lengths = np.linalg.norm(motion, axis=1)
        assert (motion[:, 2] > 0.99 * lengths).all()
        # Records are picked from a 100 Hz stream, 10 or 11 ticks apart, so
        # that single steps differ by a tenth.
        np.testing.assert_allclose(lengths, 0.1 * speed.mean(), rtol=0.15)
        np.testing.assert_allclose(
            lengths.sum() / seconds, speed.mean(), rtol=0.04
        )


def test_real_cameras_of_a_drive_keep_their_baseline(shared_data):
    """Both cameras' poses share one world motion: the right camera, 0.5324 m
    from the left one, sees the same turns."""
    left, right = open_scenes(shared_data / "kitti_raw", scenes=("0023",))
    np.testing.assert_allclose(
        left.poses[:, :3, :3], right.poses[:, :3, :3], atol=1e-9
    )
    left_from_right = np.eye(4)
    left_from_right[:3, 3] = np.linalg.solve(
        left.intrinsics, [44.85728 + 339.5242, 0.2163791 - 2.199936, 0]
    )
    moved = np.linalg.inv(left_from_right) @ left.poses[-1] @ left_from_right
    np.testing.assert_allclose(moved, right.poses[-1], atol=1e-3)


@pytest.mark.parametrize("number", range(6))
def test_real_scan_projects_as_the_published_evaluation_does(
    number, shared_data
):
    day = shared_data / "kitti_raw" / "2011_09_26"
    drive = day / "2011_09_26_drive_9001_sync"
    scan = drive / "velodyne_points" / "data" / f"{number:010d}.bin"
    ours = kitti.project_scan(
        kitti.load_scan(scan), kitti.read_calibration(day, "02")
    )
    published = load_depth(
        drive / f"proj_depth/velodyne/image_02/{number:010d}.npz"
    )
    either = (ours > 0) | (published > 0)
    assert either.sum() > 10_000
    assert (np.abs(ours - published)[either] < 0.01).mean() >= 0.99


def test_real_lidar_covers_what_the_camera_of_a_drive_sees(shared_data):
    for scene in open_scenes(
        shared_data / "kitti_raw", scenes=("0023", "9001")
    ):
        depth = scene.depth(1)
        assert depth.shape == scene.image_size
        assert 5 < np.median(depth[depth > 0]) < 30
        assert depth.max() < 120

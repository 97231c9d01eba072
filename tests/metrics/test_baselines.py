import dataclasses

import numpy as np
import pytest

from scdepth_tf.metrics import EIGEN, GENERIC, baselines, depth_errors

K = np.array([[240.0, 0, 100.3], [0, 250.0, 30.6], [0, 0, 1]])


def road(image_size, intrinsics, camera_height):
    """Depth where each pixel's ray meets the plane Y = camera_height, 0
    where it does not."""
    height, width = image_size
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([u, v, np.ones_like(u)], -1)
    rays = pixels @ np.linalg.inv(intrinsics).T
    falls = rays[..., 1] > 0
    distance = np.where(
        falls, camera_height / np.where(falls, rays[..., 1], 1), 0
    )
    return distance * rays[..., 2]


@pytest.mark.parametrize("protocol", [GENERIC, EIGEN])
def test_ground_plane_reproduces_a_flat_road_in_metres(protocol):
    truth = road((96, 200), K, 1.65)
    plane = baselines.ground_plane(camera_height=1.65)((96, 200), K)
    errors = depth_errors(truth, plane, protocol, scale=1.0)
    assert errors.valid_pixels > 1000
    assert errors.abs_rel < 1e-6


def test_ground_plane_passes_through_projected_road_points(rng):
    points = np.stack(
        [rng.uniform(-5, 5, 50), np.full(50, 1.4), rng.uniform(5, 70, 50)], -1
    )
    u, v, _ = (points @ K.T / points[:, 2:]).T
    moved = K - [[0, 0, 0], [0, 0, v[7]], [0, 0, 0]]  # v becomes row 0
    depth = baselines.ground_plane_depth((1, 200), moved, 1.4, 80.0)
    assert depth[0, round(u[7])] == pytest.approx(points[7, 2], rel=1e-5)


def test_ground_plane_is_capped_at_and_above_the_horizon():
    level = np.array([[240.0, 0, 100], [0, 250.0, 30], [0, 0, 1]])
    depth = baselines.ground_plane_depth((96, 8), level, 1.65, 60.0)
    # 250·1.65/60 = 6.9 rows below the horizon the road is 60 m away.
    np.testing.assert_array_equal(depth[:37], 60)
    assert (depth[37:] < 60).all()
    assert (np.diff(depth[37:, 0]) < 0).all()


def test_ground_plane_without_intrinsics_says_so():
    with pytest.raises(ValueError, match="needs each image's intrinsics"):
        baselines.ground_plane()((96, 200), None)


def test_ground_plane_fits_the_road_that_lidar_measured(shared_data):
    drive = shared_data / "kitti_raw/2011_09_26"
    calibration = (drive / "calib_cam_to_cam.txt").read_text()
    (row,) = (
        line
        for line in calibration.splitlines()
        if line.startswith("P_rect_02:")
    )
    intrinsics = np.array(row.split()[1:], float).reshape(3, 4)[:, :3]
    file = "2011_09_26_drive_0023_sync/proj_depth/velodyne/image_02"
    with np.load(drive / file / "0000000003.npz") as archive:
        truth = archive["velodyne_depth"]
    plane = baselines.ground_plane()(truth.shape, intrinsics)
    lane = np.zeros(truth.shape, bool)
    lane[300:, 500:750] = truth[300:, 500:750] > 0
    assert lane.sum() > 1000
    ratio = truth[lane] / plane[lane]
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    assert ratio.std() < 0.03


def test_constant_depth_is_the_median_of_each_image_whatever_its_value(rng):
    truth = rng.uniform(2, 60, (20, 31))
    prediction = baselines.constant_depth(3.0)((20, 31), None)
    errors = depth_errors(truth, prediction, GENERIC)
    assert errors.scale * 3 == pytest.approx(np.median(truth), rel=1e-6)
    other = depth_errors(
        truth, baselines.constant_depth()((20, 31), None), GENERIC
    )
    assert other.abs_rel == pytest.approx(errors.abs_rel, rel=1e-6)


def test_mean_map_averages_the_measurements_of_each_pixel():
    first = np.array([[2.0, 4.0], [6.0, 0.0]])
    second = np.array([[4.0, 0.0], [10.0, 8.0]])
    mean = baselines.mean_depth_map([first, second], (2, 2), GENERIC)
    np.testing.assert_allclose(mean, [[3, 4], [8, 8]])


def test_mean_map_joins_maps_of_several_sizes():
    small = np.array([[1.0, 2.0]])
    large = np.array([[5.0, 7.0, 2.0, 4.0], [9.0, 11.0, 6.0, 8.0]])
    mean = baselines.mean_depth_map([small, large], (1, 2), GENERIC)
    np.testing.assert_allclose(mean, [[(1 + 32) / 5, (2 + 20) / 5]])


def test_mean_map_leaves_out_what_no_evaluation_asks_for():
    depth = np.array([[3.0, 0.0, 100.0, 5.0]])
    mean = baselines.mean_depth_map([depth], (1, 1), GENERIC)
    assert mean == pytest.approx(4)
    nearer = dataclasses.replace(GENERIC, maximum_depth=4.0)
    assert baselines.mean_depth_map([depth], (1, 1), nearer) == pytest.approx(3)


def test_mean_map_fills_holes_from_the_row_and_rows_from_their_neighbours():
    depth = np.zeros((5, 3))
    depth[1] = [10, 0, 20]
    depth[3] = [0, 5, 0]
    mean = baselines.mean_depth_map([depth], (5, 3), GENERIC)
    np.testing.assert_allclose(
        mean, [[15] * 3, [10, 15, 20], [10] * 3, [5] * 3, [5] * 3]
    )


def test_mean_map_of_sparse_lidar_finds_the_scene_behind_it(rng):
    scene = np.linspace(40, 5, 24)[:, None] + np.zeros((24, 80))
    scans = (
        np.where(rng.random(scene.shape) < 0.05, scene, 0) for _ in range(40)
    )
    mean = baselines.mean_depth_map(scans, (24, 80), GENERIC)
    np.testing.assert_allclose(mean, scene, rtol=1e-6)


def test_mean_map_without_a_measurement_says_so():
    with pytest.raises(ValueError, match="not one measurement"):
        baselines.mean_depth_map([np.zeros((4, 6))], (4, 6), GENERIC)
    with pytest.raises(ValueError, match="not one measurement"):
        baselines.mean_depth_map([], (4, 6), GENERIC)


def test_fixed_depth_gives_every_image_the_same_map(rng):
    depth = rng.uniform(2, 60, (4, 6))
    baseline = baselines.fixed_depth(depth)
    assert baseline((9, 9), None) is depth

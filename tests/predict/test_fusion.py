import subprocess
import sys

import numpy as np
import pytest

from scdepth_tf.predict.fusion import Keyframes, is_smooth
from scdepth_tf.predict.ply import open_ply
from scdepth_tf.predict.voxels import VoxelGrid
from tests import planes
from tests.predict.oracle import Drive, predict

VOXEL = 0.08


def read_ply(path):
    """Vertices and faces of a binary PLY, by the letter of its header."""
    content = path.read_bytes()
    head, body = content.split(b"end_header\n", 1)
    kinds = {b"float": "<f4", b"uchar": "u1"}
    fields, counts = [], {}
    for line in head.splitlines():
        words = line.split()
        if words[0] == b"element":
            counts[words[1].decode()] = int(words[2])
        elif words[0] == b"property" and words[1] in kinds:
            fields.append((words[2].decode(), kinds[words[1]]))
    vertices = np.frombuffer(body, fields, counts["vertex"])
    face = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
    rest = body[vertices.nbytes :]
    faces = np.frombuffer(rest, face, counts.get("face", 0))
    assert len(rest) == faces.nbytes
    return vertices, faces


def positions(vertices):
    return np.stack([vertices[axis] for axis in "xyz"], -1).astype(float)


def distance_to_planes(points):
    return np.min(
        [
            np.abs(points @ normal - distance) / np.linalg.norm(normal)
            for normal, distance in planes.PLANES
        ],
        axis=0,
    )


def cloud_of(drive, out, **config):
    predict(drive, out, "cloud", voxel=VOXEL, farthest=15.0, **config)
    return read_ply(out / "cloud.ply")[0]


def is_sign(vertices):
    return vertices["red"] > 240


def test_true_depth_and_poses_give_the_true_surfaces(tmp_path):
    vertices = cloud_of(Drive(16, 6.0), tmp_path / "out")
    points = positions(vertices)
    assert len(points) > 2000
    assert distance_to_planes(points).max() < VOXEL / 2
    for normal, distance in planes.PLANES:  # the road and the wall are there
        assert (np.abs(points @ normal - distance) < VOXEL).sum() > 500
    cells = np.unique(np.floor(points / VOXEL), axis=0)
    assert len(cells) > 0.98 * len(points)  # a point a cell


def test_points_have_the_colors_of_their_surface(tmp_path):
    vertices = cloud_of(Drive(16, 6.0), tmp_path / "out")
    waves = np.array([[1.0, 0.3, 0.5], [0.4, 1.1, -0.7], [-0.6, 0.5, 0.9]])
    phases = positions(vertices) @ waves.T + [0.0, 1.0, 2.0]
    expected = 255 * (0.5 + 0.4 * np.sin(phases))
    colors = np.stack([vertices[name] for name in ("red", "green", "blue")], -1)
    # One pixel of each frame is not the surface: it holds the number.
    assert np.quantile(np.abs(colors - expected), 0.999) < 4


def test_what_stands_is_kept_and_what_moves_is_not(tmp_path):
    standing = Drive(16, 3.0, sign=np.full(16, 7.0))
    kept = cloud_of(standing, tmp_path / "standing")
    sign = positions(kept)[is_sign(kept)]
    assert len(sign) > 100
    assert np.abs(sign[:, 2] - 7.0).max() < VOXEL
    oncoming = Drive(16, 3.0, sign=np.linspace(9.0, 5.0, 16))
    kept = cloud_of(oncoming, tmp_path / "oncoming")
    # What is left is its foot, where it is as far away as the road.
    assert is_sign(kept).sum() < 10
    assert distance_to_planes(positions(kept)).max() < 2 * VOXEL


def test_flying_pixels_are_dropped(tmp_path):
    drive = Drive(16, 3.0, sign=np.full(16, 7.0))
    for depth in drive.depths:  # as networks blur edges
        exact = depth.copy()
        for _ in range(2):
            depth[:, 1:-1] = (depth[:, :-2] + depth[:, 1:-1] + depth[:, 2:]) / 3
        assert np.abs(depth - exact)[exact < 11].max() > 1.5
    points = positions(cloud_of(drive, tmp_path / "out"))
    off_sign = np.abs(points[:, 2] - 7.0)
    off = np.minimum(distance_to_planes(points), off_sign)
    assert off.max() < 0.5  # where the sign stands close before the road
    assert np.quantile(off, 0.99) < VOXEL


def test_planes_are_smooth_and_steps_are_not():
    depth = planes.render(np.eye(4))[1][0, ..., 0]
    near = depth < 12.5
    assert is_smooth(depth)[near].mean() > 0.95
    depth[20:40, 30:60] = 4.0
    edge = is_smooth(depth)
    assert not edge[20:40, 29:31].any()
    assert edge[25:35, 35:55].all()


def test_standing_camera_adds_no_keyframes():
    keyframes = Keyframes(median_depth=10.0)
    pose = np.eye(4)
    assert keyframes.is_due(pose)
    assert not any(keyframes.is_due(pose) for _ in range(5))
    pose = pose.copy()
    pose[0, 3] = 0.5
    assert keyframes.is_due(pose)


def test_grid_in_little_memory_is_the_grid_in_much(tmp_path, rng):
    points = rng.normal(0, 3, (20_000, 3))
    colors = rng.integers(0, 256, (20_000, 3), dtype=np.uint8)
    weights = rng.uniform(0.5, 2, 20_000)
    results = []
    for capacity in (4000, 1_000_000):
        folder = tmp_path / str(capacity)
        folder.mkdir()
        grid = VoxelGrid(0.3, folder, capacity)
        for part in np.array_split(np.arange(20_000), 40):
            grid.add(points[part], colors[part], weights[part])
        results.append(
            [np.concatenate(each) for each in zip(*grid.cells(), strict=True)]
        )
        assert any(folder.iterdir()) == (capacity == 4000)
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-12)
    np.testing.assert_array_equal(results[0][1], results[1][1])
    cells, index = np.unique(
        np.floor(points / 0.3), axis=0, return_inverse=True
    )
    sums = np.zeros((len(cells), 3))
    np.add.at(sums, index, points * weights[:, None])
    means = sums / np.bincount(index, weights)[:, None]
    np.testing.assert_allclose(results[1][0], means, atol=1e-12)


def test_point_beyond_the_grid_is_refused(tmp_path):
    grid = VoxelGrid(1e-6, tmp_path)
    far = np.array([[0.0, 0.0, 10.0]])
    with pytest.raises(ValueError, match="larger --voxel"):
        grid.add(far, np.zeros((1, 3), np.uint8), np.ones(1))


def test_ply_holds_what_was_written_piece_by_piece(tmp_path, rng):
    path = tmp_path / "out.ply"
    corners = rng.normal(size=(2, 5, 3)).astype(np.float32)
    colors = rng.integers(0, 256, (2, 5, 3), dtype=np.uint8)
    triangles = np.array([[0, 1, 2], [2, 3, 4]])
    with open_ply(path, ("by a test",), has_faces=True) as ply:
        for piece in range(2):
            normals = corners[piece] + 1
            ply.add(corners[piece], colors[piece], normals, triangles)
    vertices, faces = read_ply(path)
    np.testing.assert_array_equal(
        positions(vertices), corners.reshape(-1, 3).astype(float)
    )
    np.testing.assert_array_equal(vertices["green"], colors[..., 1].ravel())
    np.testing.assert_allclose(
        vertices["nx"], corners[..., 0].ravel() + 1, rtol=1e-6
    )
    assert faces["corners"].tolist() == [
        [0, 1, 2],
        [2, 3, 4],
        [5, 6, 7],
        [7, 8, 9],
    ]


FULL_DISK = """
import resource, sys
from pathlib import Path
from scdepth_tf.config import PredictConfig
from scdepth_tf.predict import description, job
from tests.predict.oracle import Drive

def fill_disk(what, done, total):
    if what == "writing":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

drive, out = Drive(12, 3.0), Path(sys.argv[1])
description.claim(out, {})
choices = PredictConfig(write=(sys.argv[2],), voxel=0.02)
try:
    job.predict_sources(
        [drive.source()], drive.predictor, out, choices, fill_disk
    )
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["cloud", "video"])
def test_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, what):
    out = tmp_path / "out"
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(out), what],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = process.stdout.splitlines()
    assert len(lines) == 1, process.stdout
    assert lines[0].startswith(f"cannot write {out}")
    assert "File too large" in lines[0]
    assert not (out / "cloud.ply").exists()
    assert not (out / "depth.mp4").exists()
    assert not [path for path in out.rglob("*") if ".partial" in path.name]


def test_mesh_lies_on_the_true_surfaces(tmp_path):
    pytest.importorskip("open3d", reason="the extra mesh is not installed")
    drive = Drive(16, 6.0)
    predict(drive, tmp_path / "out", "mesh", voxel=VOXEL / 2, farthest=15.0)
    vertices, faces = read_ply(tmp_path / "out" / "mesh.ply")
    points = positions(vertices)
    assert len(faces) > 3000
    assert faces["corners"].max() < len(points)
    off = distance_to_planes(points)
    assert np.median(off) < VOXEL / 50  # half a pixel off would be 0.4 cells
    assert off.max() < VOXEL
    for normal, distance in planes.PLANES:
        signed = (points @ normal - distance) / np.linalg.norm(normal)
        assert (np.abs(signed) < VOXEL).sum() > 3000


def test_cloud_without_points_says_why(tmp_path, caplog):
    predict(Drive(2, length=0.1), tmp_path / "out", "cloud", align=True)
    assert "has 0 points: a point takes three views" in caplog.text

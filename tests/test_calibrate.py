"""From what is known in metres to RUN/scale.json and into every export."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from scdepth_tf import data, runs
from scdepth_tf.calibrate import find_scale
from scdepth_tf.cli import main
from scdepth_tf.config import CalibrateConfig, TrainConfig
from scdepth_tf.metrics.odometry import steps
from tests import planes, streets

UNIT = 23.0
"""Metres in a scene unit of the perfect networks here."""
SPEED = 0.3
ROAD = 1.5


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> data.Scene:
    folder = tmp_path_factory.mktemp("drive") / "a"
    streets.write_scene(folder, frames=8, speed=SPEED)
    beside = np.eye(4)
    for index in range(8):
        beside[:3, 3] = 0.5, 0, SPEED * index
        pixels = (planes.render(beside)[0][0] * 255).round().astype(np.uint8)
        (folder.parent / "right").mkdir(exist_ok=True)
        streets.Image.fromarray(pixels).save(
            folder.parent / "right" / f"{index:06d}.png"
        )
    (folder.parent / "gps.csv").write_text("time,speed\n0,3\n0.35,3\n0.7,3\n")
    (found,) = data.open_scenes(folder)
    return found


def perfect(scene):
    """Networks that are right but for the unit."""
    images = [scene.image(index).tobytes() for index in range(len(scene))]

    def depth(image):
        return scene.depth(images.index(image.tobytes())) / UNIT

    def motion(target, source):
        at = images.index(target.tobytes())
        assert images[at + 1] == source.tobytes()
        found = np.linalg.inv(steps(scene.poses)[at])
        found[:3, 3] /= UNIT
        return found

    return depth, motion


def beside(scene, name):
    return scene.frames[0].parent.parent / name


@pytest.mark.parametrize(
    ("known", "tolerance"),
    [
        ({"camera_height": ROAD}, 1e-6),
        ({"depth": True}, 1e-6),
        # The images are small: they can be aligned to some percent.
        ({"poses": True}, 0.03),
        ({"speed": 3.0, "frame_rate": 10.0}, 0.03),
        ({"right": "right", "baseline": 0.5}, 0.01),
        ({"distance": ("000002,40,50,80,60,1.0",)}, 1e-6),
    ],
)
def test_every_way_finds_the_scale_of_perfect_networks(scene, known, tolerance):
    known = CalibrateConfig(**known)
    if known.right:
        known = dataclasses.replace(known, right=beside(scene, "right"))
    if known.distance:
        depth = scene.depth(2).astype(np.float64)
        ends = [
            np.linalg.solve(scene.intrinsics, [x, y, 1]) * depth[y, x]
            for x, y in ((40, 50), (80, 60))
        ]
        metres = float(np.linalg.norm(ends[1] - ends[0]))
        text = f"000002,40,50,80,60,{metres}"
        known = dataclasses.replace(known, distance=(text,))
    scale, checks = find_scale([scene], known, *perfect(scene))
    assert scale.metres_per_unit == pytest.approx(UNIT, rel=tolerance)
    assert not checks


def test_a_track_of_speeds_finds_it_too(scene, monkeypatch):
    monkeypatch.setattr("scdepth_tf.calibrate.SPEED_STRETCH", 0.5)
    known = CalibrateConfig(track=beside(scene, "gps.csv"), frame_rate=10)
    scale, _ = find_scale([scene], known, *perfect(scene))
    assert scale.metres_per_unit == pytest.approx(UNIT, rel=0.03)


def test_the_surest_way_counts_and_the_others_check_it(scene):
    known = CalibrateConfig(camera_height=2 * ROAD, poses=True)
    scale, checks = find_scale([scene], known, *perfect(scene))
    assert scale.method == "poses"
    assert checks[0].metres_per_unit == pytest.approx(2 * UNIT, rel=1e-6)


def test_a_pose_network_in_another_unit_than_the_depth_does_no_harm(scene):
    depth, motion = perfect(scene)

    def too_long(target, source):
        found = motion(target, source)
        found[:3, 3] *= 1.2
        return found

    known = CalibrateConfig(poses=True)
    scale, _ = find_scale([scene], known, depth, too_long)
    assert scale.metres_per_unit == pytest.approx(UNIT, rel=0.03)


@pytest.mark.parametrize(
    ("known", "complaint"),
    [
        ({}, "nothing is known"),
        ({"camera_height": -1.0}, "--camera-height is -1"),
        ({"camera_height": 0.0}, "--camera-height is 0; give"),
        ({"right": Path("b"), "baseline": 0.0}, "--baseline is 0; give"),
        ({"speed": 3.0}, "has no times; give --frame-rate"),
        ({"baseline": 0.5, "depth": True}, "belong together"),
        ({"distance": ("000099,1,2,3,4,5",)}, "no frames are called '000099'"),
    ],
)
def test_what_does_not_fit_is_one_line(scene, known, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        find_scale([scene], CalibrateConfig(**known), *perfect(scene))
    assert "\n" not in str(caught.value)


def test_scenes_without_poses_are_refused_before_the_work(scene):
    bare = dataclasses.replace(scene, poses=None)
    with pytest.raises(ValueError, match="have no poses"):
        find_scale([bare], CalibrateConfig(poses=True), None, None)


def test_a_network_that_broke_is_named(scene):
    _, motion = perfect(scene)

    def broken(image):
        return np.full(scene.image_size, np.nan)

    with pytest.raises(ValueError, match=r"a/000000.*not finite"):
        find_scale([scene], CalibrateConfig(camera_height=1.0), broken, motion)


@pytest.fixture
def run(tmp_path) -> runs.Run:
    run = runs.create_run(tmp_path / "run", TrainConfig(), "somewhere")
    (run.folder / runs.BEST_WEIGHTS).write_bytes(b"weights")
    return run


def a_scale():
    from scdepth_tf.metres import combine

    return combine([np.array([2.0, 2.1, 1.9])], "poses", "stretches")


def test_a_run_remembers_its_scale(run):
    assert runs.read_scale(run) is None
    path = runs.write_scale(run, a_scale(), "drives", [a_scale()])
    assert runs.read_scale(run) == a_scale()
    content = json.loads(path.read_text())
    assert content["data"] == "drives"
    assert content["checks"] == [a_scale().to_dict()]


def test_a_scale_is_for_the_weights_it_was_found_with(run, caplog):
    runs.write_scale(run, a_scale(), "drives")
    (run.folder / runs.BEST_WEIGHTS).write_bytes(b"trained on")
    assert runs.read_scale(run) is None
    assert "other weights" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metres_per_unit": 2}'])
def test_a_damaged_scale_is_one_line(run, text):
    (run.folder / runs.SCALE).write_text(text)
    with pytest.raises(ValueError, match=r"scale\.json is damaged"):
        runs.read_scale(run)


def test_the_command_complains_before_it_loads_the_networks(run, scene, capsys):
    folder = str(scene.frames[0].parent)
    assert main(["calibrate", str(run.folder), folder]) == 1
    assert "nothing is known in metres" in capsys.readouterr().err

"""`scdepth view`: the page shows what `scdepth predict` wrote."""

import base64
import gzip
import json
import re
import shutil

import av
import numpy as np
import pytest
from PIL import Image

from scdepth_tf.cli import main
from scdepth_tf.web import write_view
from tests.web.browser import Viewer, chromium

FRAMES = 6
POINT = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])


def wall(count):
    """Points of a green wall, two units ahead of the path's start."""
    rng = np.random.default_rng(0)
    points = np.zeros(count, POINT)
    points["position"] = rng.uniform([-1, -1, 2], [1, 1, 2], (count, 3))
    points["color"] = 0, 200, 0
    return points


def write_ply(path, points):
    header = ["ply", "format binary_little_endian 1.0", "comment a wall"]
    header.append(f"element vertex {len(points):12d}")
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header.append("end_header\n")
    path.write_bytes("\n".join(header).encode() + points.tobytes())


def write_video(path):
    with av.open(path, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for level in np.linspace(0, 255, FRAMES):
            image = np.full((64, 96, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A prediction of a straight drive towards a wall."""
    folder = tmp_path_factory.mktemp("results")
    steps = np.arange(FRAMES) * 0.1
    poses = np.tile(np.eye(4)[:3], (FRAMES, 1, 1))
    poses[:, 2, 3] = steps
    np.savetxt(folder / "trajectory.txt", poses.reshape(FRAMES, 12))
    tum = np.zeros((FRAMES, 8))
    tum[:, 0], tum[:, 3], tum[:, 7] = 5 + steps, steps, 1
    np.savetxt(folder / "trajectory.tum", tum, header="time x y z …")
    write_ply(folder / "cloud.ply", wall(20_000))
    write_video(folder / "depth.mp4")
    sequence = {
        "frames": FRAMES,
        "depth_size": [64, 96],
        "image_size": [128, 192],
        "intrinsics": [[100, 0, 96], [0, 100, 64], [0, 0, 1]],
        "depth_percentiles": {"1": 1.0, "50": 1.5, "99": 2.0},
        "voxel": 0.01,
    }
    describe(folder, {"</script>drive": sequence})
    return folder


def describe(folder, sequences):
    (folder / "predict.json").write_text(
        json.dumps({"format": 1, "producer": "test", "sequences": sequences})
    )


@pytest.fixture
def results(made, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(made, tmp_path / "results")


def part(page, name):
    return re.search(rf'id="{name}">([^<]*)<', page.read_text())[1]


def test_points_are_those_of_the_file_within_their_codes(results):
    (page,) = write_view(results)
    about = json.loads(part(page, "about"))
    content = gzip.decompress(base64.b64decode(part(page, "points")))
    codes = np.frombuffer(content, "<u2", 3 * about["points"]).reshape(-1, 3)
    low, high = np.array(about["low"]), np.array(about["high"])
    positions = low + codes / 65535 * (high - low)
    expected = wall(20_000)["position"]
    np.testing.assert_allclose(positions, expected, atol=2 / 65535)


def test_path_and_time_are_those_of_the_trajectory(results):
    (page,) = write_view(results)
    about = json.loads(part(page, "about"))
    assert about["path"] == pytest.approx(0.5)
    assert about["times"] == pytest.approx(5 + np.arange(FRAMES) * 0.1)
    assert [pose[11] for pose in about["poses"]] == pytest.approx(
        np.arange(FRAMES) * 0.1
    )


def test_each_of_several_sequences_gets_a_page(results):
    content = json.loads((results / "predict.json").read_text())
    (facts,) = content["sequences"].values()
    for name in ("a/b", "c"):
        folder = results / name.replace("/", "_")
        folder.mkdir()
        for file in ("trajectory.txt", "trajectory.tum"):
            shutil.copy(results / file, folder)
    describe(results, {"a/b": facts, "c": facts})
    assert write_view(results) == [
        results / "a_b" / "view.html",
        results / "c" / "view.html",
    ]


def test_what_is_missing_is_said_in_one_line(results, tmp_path, capsys):
    assert main(["view", str(tmp_path)]) == 1
    assert "folder that `scdepth predict` made" in capsys.readouterr().err
    cut = (results / "cloud.ply").read_bytes()[:-10]
    (results / "cloud.ply").write_bytes(cut)
    assert main(["view", str(results)]) == 1
    assert "cut short" in capsys.readouterr().err
    (results / "cloud.ply").unlink()
    (results / "trajectory.txt").unlink()
    assert main(["view", str(results)]) == 1
    assert "--write video trajectory cloud" in capsys.readouterr().err
    assert not (results / "view.html").exists()


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"producer": "x", "sequences": {"a": {}}}']
)
def test_a_damaged_description_is_said_in_one_line(results, content, capsys):
    (results / "predict.json").write_text(content)
    assert main(["view", str(results)]) == 1
    assert "predict.json is damaged" in capsys.readouterr().err


def test_an_empty_cloud_file_is_said_in_one_line(results, capsys):
    (results / "cloud.ply").write_bytes(b"")
    assert main(["view", str(results)]) == 1
    assert "is no point cloud" in capsys.readouterr().err


def test_a_video_that_does_not_play_is_said_and_the_scene_shown(results):
    (results / "depth.mp4").write_bytes(b"no video")
    (page,) = write_view(results)
    with chromium() as start:
        browser = start()
        viewer = Viewer(browser.new_context(), page.as_uri())
        assert "cannot play the video" in viewer.wait_for_message()
        viewer.page.wait_for_selector("body[data-shown='20000']")
        assert not viewer.page.is_visible("#video")
        browser.close()


def test_the_page_shows_points_path_and_the_frame_that_is_asked_for(made):
    (page,) = write_view(made)
    with chromium() as start:
        browser = start()
        context = browser.new_context(reduced_motion="reduce")
        viewer = Viewer(context, page.as_uri())
        viewer.wait_until("document.body.dataset.shown === '20000'")
        assert viewer.page.inner_text("h1") == "</script>drive"
        assert "6 frames" in viewer.page.inner_text("#summary")
        viewer.page.focus("#time")
        viewer.page.keyboard.press("End")
        assert viewer.page.inner_text("#frame-value") == "6 of 6"
        viewer.wait_until("document.querySelector('#video').currentTime > 0.4")
        viewer.page.wait_for_timeout(500)
        viewer.page.locator("#scene").screenshot(path=made / "scene.png")
        scene = np.asarray(Image.open(made / "scene.png").convert("RGB"))
        green = (scene == (0, 200, 0)).all(axis=-1)
        path = (np.abs(scene.astype(int) - (252, 138, 97)) < 12).all(axis=-1)
        assert green.mean() > 0.05
        assert path.any()
        assert viewer.problems == []
        browser.close()

import json

import av
import numpy as np
import pytest
from PIL import Image

from scdepth_tf.config import PredictConfig
from scdepth_tf.data import load_depth
from scdepth_tf.metres import Scale
from scdepth_tf.metrics.odometry import steps
from scdepth_tf.metrics.trajectory_files import read_trajectory
from scdepth_tf.predict import description, job
from scdepth_tf.predict.store import CHUNK
from scdepth_tf.viz import color_depth
from tests.predict.oracle import Drive, predict

HALF_PRECISION = 2.0**-11


def test_trajectory_files_are_the_true_camera(tmp_path):
    drive = Drive(70)
    predict(drive, tmp_path / "out", "trajectory")
    kitti = read_trajectory(tmp_path / "out" / "trajectory.txt")
    tum = read_trajectory(tmp_path / "out" / "trajectory.tum")
    np.testing.assert_allclose(kitti.poses, drive.poses, atol=1e-9)
    np.testing.assert_allclose(tum.poses, drive.poses, atol=1e-9)
    np.testing.assert_allclose(tum.times, np.arange(70) / 10)
    assert (tmp_path / "out" / "trajectory.png").stat().st_size > 1000


def test_depth_files_hold_the_predicted_depth(tmp_path):
    drive = Drive()
    (sequence,) = predict(drive, tmp_path / "out", "png", "npz")
    described = json.loads((tmp_path / "out" / "predict.json").read_text())
    factor = described["sequences"]["drive"]["png_codes_per_unit"]
    assert factor == sequence.codes_per_unit
    for index, truth in enumerate(drive.depths):
        name = f"{index:06d}"
        with np.load(tmp_path / "out" / "depth_npz" / f"{name}.npz") as file:
            exact, pose = file["depth"], file["pose"]
        np.testing.assert_allclose(exact, truth, rtol=HALF_PRECISION)
        np.testing.assert_allclose(pose, drive.poses[index], atol=1e-9)
        with Image.open(tmp_path / "out" / "depth_png" / f"{name}.png") as file:
            codes = np.asarray(file)
        assert codes.dtype == np.uint16
        known = codes > 0
        assert known.mean() > 0.95
        assert (truth[~known] > 2 * sequence.depth.farthest * 0.98).all()
        np.testing.assert_allclose(
            codes[known] / factor,
            truth[known],
            rtol=HALF_PRECISION,
            atol=0.5 / factor,
        )
        read = load_depth(tmp_path / "out" / "depth_npz" / f"{name}.npz")
        np.testing.assert_array_equal(read, exact)


def test_video_shows_frame_and_depth_in_one_range_of_colors(tmp_path):
    drive = Drive()
    (sequence,) = predict(drive, tmp_path / "out", "video")
    with av.open(str(tmp_path / "out" / "depth.mp4")) as container:
        frames = list(container.decode(video=0))
        shown = [frame.to_ndarray(format="rgb24") for frame in frames]
    assert [frame.time for frame in frames] == pytest.approx(
        np.arange(6) / 10, abs=1e-3
    )
    for image, truth, picture in zip(
        drive.images, drive.depths, shown, strict=True
    ):
        both, legend = picture[: len(image)], picture[len(image) :]
        # Near is bright, on the left, and numbers stand on it.
        brightness = legend.astype(int).sum(-1)
        assert brightness[:, 30:50].mean() > 1.5 * brightness[:, 180:200].mean()
        assert brightness.std(axis=0).max() > 100
        left, right = both[:, :128].astype(int), both[:, 128:].astype(int)
        expected = color_depth(
            truth, sequence.depth.nearest, sequence.depth.farthest
        )
        assert np.abs(left - image).mean() < 12
        assert np.abs(right - expected.astype(int)).mean() < 12


def test_pictures_show_what_the_video_shows(tmp_path):
    drive = Drive()
    (sequence,) = predict(drive, tmp_path / "out", "pictures")
    for index, (image, depth) in enumerate(
        zip(drive.images, drive.depths, strict=True)
    ):
        with Image.open(tmp_path / f"out/pictures/{index:06d}.jpg") as file:
            shown = np.asarray(file).astype(float)
        colors = color_depth(
            depth, sequence.depth.nearest, sequence.depth.farthest
        )
        # Beside each other, and the legend under both.
        both = np.concatenate([image, colors], axis=1).astype(float)
        assert shown.shape[0] > both.shape[0]
        shown = shown[: both.shape[0]]
        assert shown.shape == both.shape
        assert np.abs(shown - both).mean() < 5  # what JPEG takes


def test_job_that_was_killed_goes_on_to_the_same_end(tmp_path):
    whole, killed = Drive(2 * CHUNK + 9), Drive(2 * CHUNK + 9)
    predict(whole, tmp_path / "whole", "npz", "trajectory")
    killed.fail_at = CHUNK + 20
    with pytest.raises(KeyboardInterrupt):
        predict(killed, tmp_path / "killed", "npz", "trajectory")
    assert not (tmp_path / "killed" / "depth_npz").exists()
    killed.fail_at, killed.asked = None, 0
    predict(killed, tmp_path / "killed", "npz", "trajectory")
    assert killed.asked == CHUNK + 9  # the first chunk was not asked again
    names = sorted(
        path.relative_to(tmp_path / "whole")
        for path in (tmp_path / "whole").rglob("*")
    )
    assert len(names) > 70
    for name in names:
        assert (tmp_path / "killed" / name).exists()
        if name.suffix in (".txt", ".tum"):
            ours = (tmp_path / "killed" / name).read_bytes()
            assert ours == (tmp_path / "whole" / name).read_bytes()


def test_batches_of_any_size_give_the_same(tmp_path):
    for size in (1, 5, CHUNK):
        drive = Drive(CHUNK + 3)
        predict(drive, tmp_path / str(size), "trajectory", batch_size=size)
        kitti = read_trajectory(tmp_path / str(size) / "trajectory.txt")
        np.testing.assert_allclose(kitti.poses, drive.poses, atol=1e-9)


def test_what_was_written_is_not_written_again(tmp_path):
    predict(Drive(), tmp_path / "out", "video")
    before = (tmp_path / "out" / "depth.mp4").stat().st_mtime_ns
    predict(Drive(), tmp_path / "out", "video", "npz")
    assert (tmp_path / "out" / "depth.mp4").stat().st_mtime_ns == before
    assert len(list((tmp_path / "out" / "depth_npz").iterdir())) == 6


def test_job_that_is_done_asks_the_networks_for_nothing(tmp_path, caplog):
    caplog.set_level("INFO")
    predict(Drive(), tmp_path / "out", "video", "png")
    failing = Drive()
    failing.fail_at = 0
    assert predict(failing, tmp_path / "out", "png") == []
    assert "has all of that already" in caplog.text
    (tmp_path / "out" / "depth.mp4").unlink()
    (made,) = predict(Drive(), tmp_path / "out", "video", "png")
    assert (made.folder / "depth.mp4").is_file()
    assert len(predict(Drive(), tmp_path / "out", "trajectory")) == 1
    content = json.loads((tmp_path / "out" / "predict.json").read_text())
    written = content["sequences"]["drive"]["written"]
    assert written == ["png", "trajectory", "video"]


def test_refused_job_leaves_nothing_and_a_cut_one_its_work(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="size"):
        with description.claimed(out, {"of": "test"}):
            raise ValueError("another size")
    assert not any(out.iterdir())
    drive = Drive(CHUNK + 5)
    drive.spoil = (CHUNK + 1, "depth")
    with pytest.raises(ValueError, match="not finite"):
        with description.claimed(out, {"of": "test"}):
            predict(drive, out, "png")
    assert {path.name for path in out.iterdir()} == {
        "predict.json",
        ".predictions",
    }


@pytest.mark.parametrize(
    ("key", "theirs", "ours", "told"),
    [
        ("frame_rate", 5.0, 10.0, "--frame-rate was 5 and is 10"),
        ("scenes", ["a"], [], "--scenes was"),
        ("weights", "1f", "2f", "the weights are others"),
        ("metres_per_unit", None, 22.9, "--metres-per-unit 0 goes on"),
        ("metres_per_unit", 22.9, 25.0, "--metres-per-unit 22.9 goes on"),
        ("footage", {"path": "a"}, {"path": "b"}, "footage was a and is b"),
        ("footage", {"path": "a", "n": 1}, {"path": "a"}, "has changed"),
    ],
)
def test_difference_of_jobs_is_told(tmp_path, key, theirs, ours, told):
    description.claim(tmp_path, {key: theirs})
    (tmp_path / "depth.mp4").touch()
    with pytest.raises(ValueError, match=told):
        description.claim(tmp_path, {key: ours})


def test_nothing_unfinished_stays(tmp_path):
    predict(Drive(), tmp_path / "out", "video", "png", "trajectory")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {
        "predict.json",
        "depth.mp4",
        "depth_png",
        "trajectory.txt",
        "trajectory.tum",
        "trajectory.png",
    }


@pytest.mark.parametrize("what", ["depth", "motion"])
def test_nan_is_one_line_that_names_the_frame(tmp_path, what):
    drive = Drive()
    drive.spoil = (4, what)
    with pytest.raises(ValueError, match=rf"000004: the predicted {what}"):
        predict(drive, tmp_path / "out", "npz")


def test_footage_without_frames_is_refused(tmp_path):
    drive = Drive()
    drive.images = []
    with pytest.raises(ValueError, match="holds no frames"):
        predict(drive, tmp_path / "out", "npz")


def test_output_of_another_job_is_refused(tmp_path):
    description.claim(tmp_path / "out", {"run": "a", "footage": "b"})
    description.claim(tmp_path / "out", {"run": "a", "footage": "b"})
    (tmp_path / "out" / "depth.mp4").touch()
    with pytest.raises(ValueError, match="another job: run was a and is c;"):
        description.claim(tmp_path / "out", {"run": "c", "footage": "b"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="already exists"):
        description.claim(tmp_path / "mine", {"run": "a"})


def test_job_that_wrote_nothing_makes_room_for_another(tmp_path):
    drive = Drive(CHUNK + 5)
    drive.fail_at = CHUNK + 1
    with pytest.raises(KeyboardInterrupt):
        predict(drive, tmp_path / "out", "trajectory")
    assert (tmp_path / "out" / ".predictions").is_dir()
    description.claim(tmp_path / "out", {"of": "another test"})
    assert not (tmp_path / "out" / ".predictions").exists()
    described = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert described["job"] == {"of": "another test"}


def test_frames_of_one_name_are_refused(tmp_path):
    drive = Drive()
    source = drive.source()
    twice = [*source.frames(), *source.frames()]
    object.__setattr__(source, "frames", lambda: iter(twice))
    with pytest.raises(ValueError, match="two pictures are called 000000"):
        job.predict_sources(
            [source],
            drive.predictor,
            tmp_path / "out",
            PredictConfig(write=("npz",)),
        )


def test_several_scenes_get_a_folder_each(tmp_path):
    drive = Drive()
    description.claim(tmp_path, {})
    job.predict_sources(
        [drive.source("a"), drive.source("day/b")],
        drive.predictor,
        tmp_path,
        PredictConfig(write=("trajectory",)),
    )
    assert (tmp_path / "a" / "trajectory.txt").is_file()
    assert (tmp_path / "day_b" / "trajectory.txt").is_file()


SCALE = Scale(20.0, "a test", 5, "frames", 0, 0.03, 0.01)


def test_everything_is_in_metres_once_the_scale_is_known(tmp_path):
    drive = Drive()
    what = ("trajectory", "npz", "png", "rgbd", "cloud")
    (plain,) = predict(drive, tmp_path / "units", *what)
    (metric,) = predict(drive, tmp_path / "metres", *what, scale=SCALE)
    folders = tmp_path / "units", tmp_path / "metres"
    paths = [read_trajectory(each / "trajectory.tum").poses for each in folders]
    np.testing.assert_allclose(paths[1][:, :3, 3], 20 * paths[0][:, :3, 3])
    np.testing.assert_allclose(paths[1][:, :3, :3], paths[0][:, :3, :3])
    npz = [np.load(each / "depth_npz" / "000003.npz") for each in folders]
    np.testing.assert_allclose(
        npz[1]["depth"], 20 * npz[0]["depth"], rtol=2 * HALF_PRECISION
    )
    assert [str(file["unit"]) for file in npz] == ["scene units", "metres"]
    assert (plain.unit, metric.unit) == ("scene units", "metres")
    described = [
        json.loads((each / "predict.json").read_text())["sequences"]["drive"]
        for each in folders
    ]
    assert [one["unit"] for one in described] == ["scene units", "metres"]
    assert described[1]["scale"] == SCALE.to_dict()
    for each, unit in zip(folders, ("scene units", "metres"), strict=True):
        lines = (each / "trajectory.tum").read_text().splitlines()
        assert lines[0].endswith(f", {unit}")
        assert f", {unit}\n".encode() in (each / "cloud.ply").read_bytes()
        assert unit in (each / "rgbd" / "depth.txt").read_text()
        assert unit in (each / "rgbd" / "orbslam3.yaml").read_text()
    depth = np.asarray(Image.open(tmp_path / "metres/depth_png/000003.png"))
    known = depth > 0
    np.testing.assert_allclose(
        depth[known] / described[1]["png_codes_per_unit"],
        20 * drive.depths[3][known],
        rtol=1e-3,
        atol=1 / described[1]["png_codes_per_unit"],
    )


def test_metres_indoors_have_the_codes_of_tum(tmp_path):
    scale = Scale(0.1, "a test", 1, "given", 0, None, None)
    (sequence,) = predict(Drive(), tmp_path / "out", "png", scale=scale)
    assert sequence.depth.farthest < 5
    assert sequence.codes_per_unit == 5000


def test_aligned_frames_give_a_better_path_than_the_pose_network(tmp_path, rng):
    drive = Drive(16, length=3.0)
    drive.slips = rng.normal(0, 0.3, 16)
    paths = [
        predict(drive, tmp_path / str(align), "trajectory", align=align)[0]
        for align in (False, True)
    ]
    guess, found = (
        np.linalg.norm(
            steps(path.poses)[:, :3, 3] - steps(drive.poses)[:, :3, 3], axis=1
        ).mean()
        for path in paths
    )
    assert found < 0.6 * guess


def test_aligned_path_is_the_same_after_a_kill(tmp_path):
    whole, killed = Drive(CHUNK + 9, 4.0), Drive(CHUNK + 9, 4.0)
    predict(whole, tmp_path / "whole", "trajectory", align=True)
    killed.fail_at = CHUNK + 3
    with pytest.raises(KeyboardInterrupt):
        predict(killed, tmp_path / "killed", "trajectory", align=True)
    killed.fail_at = None
    predict(killed, tmp_path / "killed", "trajectory", align=True)
    ours, theirs = (
        (tmp_path / name / "trajectory.txt").read_bytes()
        for name in ("killed", "whole")
    )
    assert ours == theirs

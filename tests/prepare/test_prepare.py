"""scdepth prepare from the command to data that trains."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from scdepth_tf import cli, data
from scdepth_tf.config import PrepareConfig
from scdepth_tf.prepare import extras, prepare
from scdepth_tf.prepare.writing import validation_scenes
from tests.prepare import clips

CAMERA = ["--intrinsics", "150,150,79.5,47.5"]
CONFIG = PrepareConfig(intrinsics="150,150,79.5,47.5")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Drive, stand for two seconds, drive on; cut; drive elsewhere."""
    drive = clips.glide(14)
    images = [*drive[:8], *[drive[7]] * 20, *drive[8:], *clips.glide(6, seed=1)]
    path = tmp_path_factory.mktemp("video") / "drive.mp4"
    return clips.write_video(path, images)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def prepared(video, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "data"
    return out, prepare([video], out, CONFIG)


def test_a_stop_and_a_cut_make_three_scenes(prepared):
    out, summary = prepared
    assert [scene.frames for scene in summary.scenes] == [8, 6, 6]
    assert [scene.begins for scene in summary.scenes] == ["start", "gap", "cut"]
    assert summary.counts["static"] == 20
    assert [span.reason for span in summary.dropped] == ["static"]
    names = {path.name for path in out.iterdir()}
    assert names == {
        "SCENE_000",
        "SCENE_001",
        "SCENE_002",
        "train.txt",
        "val.txt",
        "prepare.json",
        "summary.txt",
        "contact_sheet.png",
    }


def test_what_is_written_opens_as_training_data(prepared):
    out, _ = prepared
    scenes = data.open_scenes(out)
    for scene in scenes:
        assert scene.image_size == (clips.HEIGHT, clips.WIDTH)
        np.testing.assert_allclose(scene.intrinsics[0], [150, 0, 79.5])
    assert len(data.open_scenes(out, "train")) == 2
    assert len(data.open_scenes(out, "val")) == 1


def test_no_triplet_crosses_a_stop_or_a_cut(prepared):
    out, _ = prepared
    scenes = data.open_scenes(out)
    times = [
        np.loadtxt(out / scene.name / "timestamps.txt") for scene in scenes
    ]
    for triplet in data.triplets(scenes):
        earlier, later = triplet.sources
        span = times[triplet.scene][later] - times[triplet.scene][earlier]
        assert span == pytest.approx(0.2)


def test_the_summary_says_the_same_in_text_and_json(prepared):
    out, summary = prepared
    described = json.loads((out / "prepare.json").read_text())
    assert described["counts"] == summary.counts
    assert described["assumed"] is False
    assert described["settings"]["intrinsics"] == CONFIG.intrinsics
    text = (out / "summary.txt").read_text()
    assert text == summary.text()
    for word in ("20  standing still", "SCENE_002", "cut", "fx 150.0"):
        assert word in text


def test_the_contact_sheet_shows_a_frame_of_each_scene(prepared):
    out, _ = prepared
    with Image.open(out / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 5000  # pictures, no blank page


def test_the_same_footage_gives_the_same_bytes(prepared, video, tmp_path):
    out, _ = prepared
    prepare([video], tmp_path / "again", CONFIG)
    assert contents(tmp_path / "again") == contents(out)


@pytest.mark.parametrize("frames", [1, 12, 39])
def test_a_killed_job_goes_on_to_the_same_bytes(
    prepared, video, tmp_path, frames
):
    """Killed between any two frames; what was decided is not decided again."""
    out, _ = prepared

    def kill(done, total):
        if done > frames:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([video], tmp_path / "data", CONFIG, kill)
    assert not (tmp_path / "data").exists()
    journal = tmp_path / ".data.partial" / "journal.jsonl"
    before = journal.read_bytes()
    assert len(before.splitlines()) == frames
    with journal.open("ab") as file:
        file.write(b'{"footage": 0, "fra')  # cut off while writing
    prepare([video], tmp_path / "data", CONFIG)
    assert contents(tmp_path / "data") == contents(out)
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_a_process_that_is_killed_loses_nothing(prepared, video, tmp_path):
    out, _ = prepared
    command = [
        sys.executable,
        "-c",
        "import sys; from scdepth_tf import cli; sys.exit(cli.main())",
        "prepare",
        str(video),
        "--out",
        str(tmp_path / "data"),
        *CAMERA,
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        journal = tmp_path / ".data.partial" / "journal.jsonl"
        while process.poll() is None and not journal.exists():
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "data") == contents(out)


def test_other_settings_do_not_go_on_with_the_work(video, tmp_path):
    def kill(done, total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([video], tmp_path / "data", CONFIG, kill)
    other = PrepareConfig(intrinsics="140,150,79.5,47.5")
    prepare([video], tmp_path / "data", other)
    scene = data.open_scenes(tmp_path / "data")[0]
    assert scene.intrinsics[0, 0] == 140


def test_a_guess_is_loud_and_stays_on_record(video, tmp_path, caplog):
    config = PrepareConfig(assume_fov=60)
    summary = prepare([video], tmp_path / "data", config)
    assert "ASSUMED to be 60 degrees" in caplog.text
    described = json.loads((tmp_path / "data" / "prepare.json").read_text())
    assert described["assumed"] is True
    assert data.intrinsics_are_a_guess(tmp_path / "data")
    assert "ASSUMED" in described["warnings"][0]
    assert "(ASSUMED)" in summary.text()


def test_phone_video_is_written_upright_with_its_intrinsics(tmp_path):
    path = clips.write_video(tmp_path / "a.mp4", clips.glide(6), turned=-90)
    calibration = tmp_path / "camera.json"
    calibration.write_text(
        json.dumps(
            {"K": [150, 0, 70, 0, 140, 50, 0, 0, 1], "image_size": [160, 96]}
        )
    )
    config = PrepareConfig(calibration=str(calibration))
    prepare([path], tmp_path / "data", config)
    scene = data.open_scenes(tmp_path / "data")[0]
    assert scene.image_size == (160, 96)
    np.testing.assert_allclose(
        scene.intrinsics, [[140, 0, 95 - 50], [0, 150, 70], [0, 0, 1]]
    )


def test_several_files_are_one_set_of_scenes(tmp_path):
    """No scene spans two files, even where the second goes on at once."""
    paths = [
        clips.write_video(tmp_path / f"{name}.mp4", clips.glide(5, 0, start))
        for name, start in (("a", 0), ("b", 20))
    ]
    summary = prepare(paths, tmp_path / "data", CONFIG)
    assert summary.scenes[1].footage == 1
    assert summary.scenes[1].begins == "next file"


def test_a_folder_of_pictures_is_footage(tmp_path):
    (tmp_path / "pictures").mkdir()
    for index, image in enumerate(clips.glide(5)):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{index}.png")
    summary = prepare([tmp_path / "pictures"], tmp_path / "data", CONFIG)
    assert [scene.frames for scene in summary.scenes] == [5]


def test_a_real_drive_is_kept(shared_data, tmp_path):
    """KITTI drive 9002: 91 frames of steady driving, kept but for 5 %."""
    folder = next(shared_data.glob("kitti_raw/*/*9002*/image_02/data"))
    config = PrepareConfig(fov=81.4, longest_side=320)
    summary = prepare([folder], tmp_path / "data", config)
    assert summary.counts["kept"] > 0.95 * 91
    assert len(summary.scenes) == 1


def test_footage_of_a_standing_camera_says_why_nothing_is_left(tmp_path):
    path = clips.write_video(tmp_path / "a.mp4", [clips.view(0)] * 12)
    with pytest.raises(ValueError, match="11 standing still") as error:
        prepare([path], tmp_path / "data", CONFIG)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--assume-fov 60"),
        ([*CAMERA, "--fov", "60"], "--intrinsics and --fov"),
        ([*CAMERA, "--frame-rate", "-1"], "--frame-rate is -1"),
        (["--calibration", "absent.yaml"], "absent.yaml"),
        (["--intrinsics", "1500,1500,960,540"], "principal point"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    video, tmp_path, capsys, arguments, message
):
    out = tmp_path / "data"
    command = ["prepare", str(video), "--out", str(out), *arguments]
    assert cli.main(command) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("scdepth: ")
    assert message in line
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists_is_not_touched(video, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="already exists"):
        prepare([video], tmp_path, CONFIG)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_an_output_that_cannot_be_written_is_one_line(video, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write"):
        prepare([video], tmp_path / "file" / "data", CONFIG)


def test_the_command_prints_the_summary_and_copies_the_json(
    video, tmp_path, capsys
):
    out, copy = tmp_path / "data", tmp_path / "summary.json"
    command = ["prepare", str(video), "--out", str(out), *CAMERA]
    assert cli.main([*command, "--json", str(copy)]) == 0
    assert "SCENE_002" in capsys.readouterr().out
    assert copy.read_text() == (out / "prepare.json").read_text()


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=r"scdepth-tf\[video\]"):
        extras.load("av")


@pytest.mark.parametrize(
    ("lengths", "held_out"),
    [
        ([900, 3], slice(1, 2)),
        ([3, 900], slice(0, 1)),
        ([40, 45, 5, 5, 5], slice(3, 5)),
        ([10, 10], slice(1, 2)),
    ],
)
def test_about_a_tenth_in_one_stretch_validates(lengths, held_out):
    assert validation_scenes(lengths) == held_out


def test_the_end_of_the_longest_scene_validates_where_scenes_are_few(tmp_path):
    """A stop in the middle must not cost half of the drive."""
    drive = clips.glide(40)
    images = [*drive[:25], *[drive[24]] * 15, *drive[25:]]
    path = clips.write_video(tmp_path / "a.mp4", images)
    summary = prepare([path], tmp_path / "data", CONFIG)
    assert [scene.frames for scene in summary.scenes] == [21, 15, 4]
    assert summary.scenes[2].begins == "held out"
    [held_out] = data.open_scenes(tmp_path / "data", "val")
    assert held_out.name == "SCENE_002"
    first, _, last = data.open_scenes(tmp_path / "data")
    times = [
        np.loadtxt(tmp_path / "data" / scene.name / "timestamps.txt")
        for scene in (first, last)
    ]
    np.testing.assert_allclose(
        np.concatenate(times), np.arange(25) / 10, atol=1e-3
    )


def test_preparing_loads_no_tensorflow():
    program = (
        "import sys, scdepth_tf.prepare, scdepth_tf.prepare.contact_sheet;"
        "assert not {'tensorflow', 'keras', 'av', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

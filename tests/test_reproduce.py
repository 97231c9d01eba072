"""scripts/reproduce.py up to the commands it calls; these have their own
tests.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "scripts" / "reproduce.py"
CALIBRATION = "".join(
    f"P{camera}: 50 0 31.5 0 0 50 15.5 0 0 0 1 0\n" for camera in range(4)
)
FIGURES = dict.fromkeys(
    ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10"), 0.25
) | {"delta1": 0.5, "delta2": 0.75, "delta3": 1.0}


@pytest.fixture
def reproduce(monkeypatch):
    """The script; steps are recorded in `calls` instead of taken, and an
    evaluation leaves its report.
    """
    spec = importlib.util.spec_from_file_location("reproduce", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their annotations up there.
    monkeypatch.setitem(sys.modules, "reproduce", module)
    before = signal.getsignal(signal.SIGTERM)
    spec.loader.exec_module(module)
    module.calls = []

    def record(*arguments: str) -> None:
        module.calls.append(arguments)
        if "--json" in arguments:
            report = {
                "median_scaled": FIGURES,
                "sequences": [
                    {
                        "name": f"{sequence}/image_2",
                        "errors": {"7dof": {"t_err": 7.0, "r_err": None}},
                    }
                    for sequence in ("09", "10")
                ],
            }
            path = Path(arguments[arguments.index("--json") + 1])
            path.write_text(json.dumps(report))

    monkeypatch.setattr(module, "_call", record)
    yield module
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def kitti(tmp_path):
    """What KITTI's odometry archives unpack to, without content."""
    root = tmp_path / "kitti"
    for number in range(11):
        sequence = root / "dataset" / "sequences" / f"{number:02d}"
        for camera in (2, 3):
            (sequence / f"image_{camera}").mkdir(parents=True)
        (sequence / "calib.txt").write_text(CALIBRATION)
    poses = root / "dataset" / "poses"
    poses.mkdir()
    for number in range(11):
        (poses / f"{number:02d}.txt").write_text("")
    return root


def write_images(folder, names, dtype=np.uint8):
    folder.mkdir(parents=True)
    for name in names:
        shape = (8, 8) if dtype == np.uint16 else (8, 8, 3)
        Image.fromarray(np.full(shape, 99, dtype)).save(folder / name)


@pytest.fixture
def nyu(tmp_path):
    """sc_depth_pl's `nyu` with one scene a split and one test image."""
    root = tmp_path / "nyu"
    for name in ("a", "b"):
        scene = root / "training" / name
        write_images(scene, [f"{index}.jpg" for index in range(3)])
        (scene / "cam.txt").write_text("9 0 4\n0 9 4\n0 0 1\n")
    (root / "training" / "train.txt").write_text("a\n")
    (root / "training" / "val.txt").write_text("b\n")
    write_images(root / "testing" / "color", ["0.png"])
    write_images(root / "testing" / "depth", ["0.png"], np.uint16)
    return root


def option(call, name):
    return call[call.index(name) + 1]


def test_unpacked_archives_are_all_that_odometry_needs(
    reproduce, kitti, tmp_path
):
    out = tmp_path / "out"
    assert reproduce.main(["odometry", str(kitti), "--out", str(out)]) == 0
    build, train, evaluate = reproduce.calls
    assert build[:2] == ("tfds_kitti", "kitti_odometry/color-256x832")
    assert option(train, "--recipe") == "kitti_resnet50"
    assert option(evaluate, "--split") == "test"
    table = (out / "table.md").read_text()
    assert "| 09, SC-SfMLearner-Release, README | 7.31 | 3.05 |" in table
    assert "| 09, scdepth-tf | 7.00 | – |" in table


def test_odometry_is_that_of_the_left_camera(reproduce, kitti, tmp_path):
    reproduce.main(["odometry", str(kitti), "--out", str(tmp_path / "out")])
    assert option(reproduce.calls[-1], "--scenes") == "image_2"


@pytest.mark.parametrize(
    "missing",
    [
        "sequences/10/image_2",
        "sequences/03/image_3",
        "sequences/00/calib.txt",
        "poses/09.txt",
    ],
)
def test_missing_odometry_is_told_before_any_work(
    reproduce, kitti, tmp_path, missing, capsys
):
    path = kitti / "dataset" / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert reproduce.main(["odometry", str(kitti), "--out", str(tmp_path)]) == 1
    assert reproduce.calls == []
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{missing} missing" in line
    assert "data_odometry_color.zip" in line


def test_grey_pictures_are_not_taken_for_colour(
    reproduce, kitti, tmp_path, capsys
):
    arguments = ["odometry", str(kitti), "--cameras", "gray"]
    assert reproduce.main([*arguments, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "there is 00/image_2" in error
    assert "data_odometry_gray.zip" in error


def test_rehearsal_without_test_sequences_says_so_and_goes_on(
    reproduce, kitti, tmp_path, capsys
):
    for number in ("09", "10"):
        for camera in (2, 3):
            (kitti / f"dataset/sequences/{number}/image_{camera}").rmdir()
    arguments = ["odometry", str(kitti), "--out", str(tmp_path), "--rehearse"]
    assert reproduce.main(arguments) == 0
    assert option(reproduce.calls[-1], "--split") == "train"
    error = capsys.readouterr().err
    assert "sequences 09 and 10 are not there" in error


def test_rehearsal_leaves_the_folders_of_the_real_run_alone(
    reproduce, nyu, tmp_path
):
    out = tmp_path / "out"
    arguments = ["indoor", str(nyu), "--out", str(out), "--rehearse"]
    assert reproduce.main(arguments) == 0
    assert [path.name for path in out.iterdir()] == ["rehearsal"]
    assert option(reproduce.calls[0], "--out").startswith(
        str(out / "rehearsal")
    )


def test_indoor_takes_the_published_folders_and_their_test_images(
    reproduce, nyu, tmp_path, capsys
):
    arguments = ["indoor", str(nyu), "--encoder", "resnet50"]
    assert reproduce.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    train, evaluate = reproduce.calls
    assert option(train, "--model.depth-encoder") == "resnet50"
    assert option(evaluate, "--split") == "test"
    assert option(evaluate, "--protocol") == "nyu_release"
    assert "1 test images with depth" in capsys.readouterr().err


def test_indoor_without_ground_truth_is_told_before_training(
    reproduce, nyu, tmp_path, capsys
):
    (nyu / "testing" / "depth" / "0.png").unlink()
    (nyu / "testing" / "depth").rmdir()
    assert reproduce.main(["indoor", str(nyu), "--out", str(tmp_path)]) == 1
    assert reproduce.calls == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "testing/depth" in line


def test_rectified_pairs_are_told_from_video(reproduce, nyu, tmp_path, capsys):
    """They count whole epochs, and are beside figures of their own."""
    scene = nyu / "training" / "a"
    (scene / "cam.txt").unlink()
    (scene / "2.jpg").unlink()
    write_images(scene / "more", [f"{index}.jpg" for index in range(3, 35)])
    for image in (scene / "more").iterdir():
        image.rename(scene / image.name)
    for pair in range(17):
        (scene / f"{pair}_cam.txt").write_text("9 0 4\n0 9 4\n0 0 1\n")
    out = tmp_path / "out"
    arguments = ["indoor", str(nyu), "--out", str(out)]
    assert reproduce.main(arguments) == 0
    assert "trains on 17 rectified pairs" in capsys.readouterr().err
    train = reproduce.calls[0]
    assert option(train, "--epochs") == "50"
    assert option(train, "--steps-per-epoch") == "2"  # of 16
    table = (out / "table.md").read_text()
    assert "| NYUv2 rectified pairs, resnet18, SC-SfMLearner" in table
    assert "| 0.143 | 0.060 |" in table


def test_rehearsal_on_pairs_has_the_length_of_a_rehearsal(
    reproduce, nyu, tmp_path
):
    scene = nyu / "training" / "a"
    (scene / "cam.txt").rename(scene / "0_cam.txt")
    (scene / "2.jpg").unlink()
    arguments = ["indoor", str(nyu), "--out", str(tmp_path), "--rehearse"]
    assert reproduce.main(arguments) == 0
    assert reproduce.calls[0].count("--epochs") == 1


def test_eigen_says_how_much_is_missing(reproduce, tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    arguments = ["eigen", str(tmp_path / "raw"), "--out", str(tmp_path)]
    assert reproduce.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there are 0 drives, 0 of them for training" in line
    assert "0 of the test frames" in line


def test_resnet50_asks_for_weights_of_the_pose_encoder(
    reproduce, kitti, tmp_path, capsys
):
    arguments = ["odometry", str(kitti), "--imagenet", "resnet50.pth"]
    assert reproduce.main([*arguments, "--out", str(tmp_path)]) == 1
    assert reproduce.calls == []
    assert "--pose-imagenet" in capsys.readouterr().err


def test_weights_that_are_not_there_are_told(
    reproduce, kitti, tmp_path, capsys
):
    arguments = ["odometry", str(kitti), "--pose-imagenet", "resnet18.pth"]
    assert reproduce.main([*arguments, "--out", str(tmp_path)]) == 1
    assert "resnet18.pth" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_second_start_waits_for_the_step_of_a_killed_first(tmp_path):
    """kill -9 leaves the step at work; a second one must not join it."""
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("reproduce", {str(SCRIPT)!r})
module = importlib.util.module_from_spec(spec)
sys.modules["reproduce"] = module
spec.loader.exec_module(module)
from pathlib import Path
with module._alone_in(Path({str(tmp_path)!r})):
    module._call("http.server", "--bind", "127.0.0.1", "0")
"""
    # http.server stands in for a step: it runs until it is ended.
    first = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    with first.stdout:
        assert b"Serving" in first.stdout.readline()  # the step is up
    first.send_signal(signal.SIGKILL)
    first.wait()
    try:
        assert not can_enter(tmp_path)
    finally:
        os.killpg(first.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while not can_enter(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert can_enter(tmp_path)


def can_enter(folder):
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True

"""The command line: light to start, whole runs, one line for a mistake."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from scdepth_tf import cli, data, runs
from scdepth_tf.lite import DepthPredictor, read_metadata
from tests import planes, streets

TINY = [
    "--data.image-size",
    str(planes.HEIGHT),
    str(planes.WIDTH),
    "--model.depth-encoder",
    "efficientnet_lite0",
    "--model.pose-encoder",
    "efficientnet_lite0",
    "--model.decoder",
    "mobile",
    "--epochs",
    "2",
    "--steps-per-epoch",
    "1",
    "--batch-size",
    "1",
]


@pytest.mark.parametrize(
    "program",
    [
        "import scdepth_tf",
        "import scdepth_tf.lite, scdepth_tf.metrics, scdepth_tf.config",
        "from scdepth_tf import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass",
        "from scdepth_tf import cli\n"
        "try: cli.main(['train', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_importing_and_help_load_no_tensorflow(program):
    check = "import sys; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", f"{program}\n{check}"],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of scenes and a run of two steps on it."""
    root = tmp_path_factory.mktemp("cli")
    folder = streets.write_folder(root / "data")
    assert (
        cli.main(["train", str(folder), "--out", str(root / "run"), *TINY]) == 0
    )
    return folder, root / "run"


def test_train_leaves_a_complete_run(trained):
    _, run = trained
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "history.csv",
        "model.weights.h5",
        "best.weights.h5",
    }
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["data"]["image_size"] == [planes.HEIGHT, planes.WIDTH]
    assert config["model"]["decoder"] == "mobile"
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for column in ("loss", "geometry", "val_loss", "val_abs_rel", "skipped"):
        assert np.isfinite([float(row[column]) for row in rows]).all()


def test_evaluate_prints_a_table_and_writes_json_and_csv(
    trained, tmp_path, capsys
):
    folder, run = trained
    code = cli.main(
        [
            "evaluate",
            "depth",
            str(run),
            str(folder),
            "--json",
            str(tmp_path / "depth.json"),
            "--csv",
            str(tmp_path / "depth.csv"),
        ]
    )
    assert code == 0
    table = capsys.readouterr().out
    assert "one scale" in table
    for baseline in ("constant depth", "mean depth map", "ground plane"):
        assert baseline in table
    report = json.loads((tmp_path / "depth.json").read_text())
    assert report["count"] == 5
    assert 0 < report["median_scaled"]["abs_rel"] < 5
    with (tmp_path / "depth.csv").open() as file:
        ours = [r for r in csv.DictReader(file) if r["predictor"] == "ours"]
    assert len(ours) == 10  # five images at two scalings


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_export_writes_a_file_that_lite_runs(trained, tmp_path, scheme):
    _, run = trained
    arguments = ["export", str(run), "--out", str(tmp_path)]
    assert cli.main([*arguments, "--quantize", scheme]) == 0
    predict = DepthPredictor(tmp_path / f"depth_{scheme}.tflite")
    image = (planes.render(np.eye(4))[0][0] * 255).astype(np.uint8)
    depth = predict(image)
    assert depth.shape == (planes.HEIGHT, planes.WIDTH)
    assert (depth > 0).all()


def test_learned_focal_lengths_are_part_of_the_run(tmp_path):
    folder = streets.write_folder(tmp_path / "data")
    command = ["train", str(folder), "--out", str(tmp_path / "run"), *TINY]
    command += ["--epochs", "1", "--model.learn-focal-length", "camera"]
    assert cli.main(command) == 0
    run = runs.open_run(tmp_path / "run")
    [camera] = runs.read_cameras(run)
    assert camera["scenes"] == ["a", "b", "c"]
    factor = runs.load_model(run).focal_length_scale.factors()[0]
    assert factor != 1
    scene = data.open_scenes(folder)[0]
    learned = runs.learned_intrinsics(run, scene)
    np.testing.assert_allclose(learned[0, 0], factor * planes.INTRINSICS[0, 0])
    np.testing.assert_allclose(learned[:, 2], planes.INTRINSICS[:, 2])
    assert "focal_scale" in (run.folder / "history.csv").read_text()
    assert cli.main(["export", str(run.folder), "--out", str(tmp_path)]) == 0
    exported = read_metadata(tmp_path / "depth_float32.tflite")
    assert exported["cameras"][0]["best"] == camera["best"]


def mistakes(folder):
    """(arguments, what the line must say) for each way to go wrong."""
    run = str(folder / "nothing")
    yield "no data", ["train", str(folder / "absent"), "--out", run], "absent"
    yield (
        "size not divisible by 32",
        ["train", str(folder), "--out", run, "--data.image-size", "60", "128"],
        "multiples of 32",
    )
    yield (
        "no such scene",
        ["train", str(folder), "--out", run, "--scenes", "zebra"],
        "zebra",
    )
    yield "not a run", ["evaluate", "depth", str(folder), str(folder)], "run"
    yield "not a run", ["export", str(folder), "--out", run], "run"


@pytest.mark.parametrize("case", range(5))
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, capsys, case):
    folder = streets.write_folder(tmp_path / "data")
    _, arguments, expected = list(mistakes(folder))[case]
    assert cli.main(arguments) == 1
    message = capsys.readouterr().err.strip()
    assert expected in message
    assert "\n" not in message
    assert not (folder / "nothing").exists()


def test_an_unwritable_output_is_one_line(tmp_path, capsys):
    folder = streets.write_folder(tmp_path / "data")
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    arguments = ["train", str(folder), "--out", str(blocked / "run"), *TINY]
    assert cli.main(arguments) == 1
    assert "cannot write" in capsys.readouterr().err
    assert blocked.read_text() == "not a folder"


def test_a_run_is_never_overwritten(trained, capsys):
    folder, run = trained
    before = (run / "history.csv").read_bytes()
    assert cli.main(["train", str(folder), "--out", str(run), *TINY]) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert (run / "history.csv").read_bytes() == before


def test_a_frame_damaged_in_its_middle_is_named(tmp_path, capsys):
    folder = streets.write_folder(tmp_path / "data")
    victim = folder / "a" / "000002.png"
    content = bytearray(victim.read_bytes())
    content[200:-40] = bytes(len(content) - 240)
    victim.write_bytes(content)
    arguments = ["train", str(folder), "--out", str(tmp_path / "run"), *TINY]
    assert cli.main([*arguments, "--steps-per-epoch", "8"]) == 1
    assert "000002.png" in capsys.readouterr().err

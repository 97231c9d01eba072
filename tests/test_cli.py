"""The command line: light to start, whole runs, one line for a mistake."""

import csv
import json
import os
import shutil
import subprocess
import sys
import typing

import h5py
import numpy as np
import pytest

from scdepth_tf import cli, data, metrics, runs
from scdepth_tf.cli_evaluate import ProtocolName
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
        "from scdepth_tf import cli\n"
        "try: cli.main(['evaluate', 'odometry', '--help'])\n"
        "except SystemExit: pass",
    ],
)
def test_importing_and_help_load_no_tensorflow(program):
    check = "import sys; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", f"{program}\n{check}"],
        check=True,
        capture_output=True,
    )


def test_help_does_without_numpy():
    """It has to answer at once."""
    program = (
        "import sys; from scdepth_tf import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True
    )


def test_every_protocol_can_be_named():
    assert typing.get_args(ProtocolName) == tuple(metrics.PROTOCOLS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of scenes and a run of two steps on it."""
    root = tmp_path_factory.mktemp("cli")
    folder = streets.write_folder(root / "data")
    assert (
        cli.main(["train", str(folder), "--out", str(root / "run"), *TINY]) == 0
    )
    return folder, root / "run"


def test_weights_of_a_run_are_without_the_state_of_the_optimizer(trained):
    _, run = trained
    with h5py.File(run / "model.weights.h5") as weights:
        assert "optimizer" not in weights
        assert "depth_net" in weights


def test_train_leaves_a_complete_run(trained):
    _, run = trained
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "history.csv",
        "model.weights.h5",
        "best.weights.h5",
        "resume",
        "tensorboard",
    }
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["data"]["image_size"] == [planes.HEIGHT, planes.WIDTH]
    assert config["model"]["decoder"] == "mobile"
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    trained = ("loss", "geometry", "skipped")
    validated = ("val_loss", "val_abs_rel", "val_view_synthesis")
    for column in (*trained, *validated):
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
    assert len(ours) == 15  # five images at three scalings


def test_predict_makes_a_trajectory_and_a_cloud_and_adds_a_video(
    trained, tmp_path, capsys
):
    folder, run = trained
    out = tmp_path / "out"
    job = ["predict", str(run), str(folder / "c"), "--out", str(out)]
    assert cli.main([*job, "--write", "trajectory", "cloud"]) == 0
    assert "5 frames" in capsys.readouterr().out
    assert len((out / "trajectory.txt").read_text().splitlines()) == 5
    assert (out / "cloud.ply").read_bytes().startswith(b"ply\n")
    assert not (out / "depth.mp4").exists()
    assert cli.main([*job, "--write", "video"]) == 0
    assert (out / "depth.mp4").is_file()
    job[2] = str(folder / "a")
    assert cli.main(job) == 1
    assert "footage" in capsys.readouterr().err


def test_predict_with_nan_weights_names_the_frame_in_one_line(
    trained, tmp_path, capsys
):
    folder, run = trained
    broken = tmp_path / "run"
    shutil.copytree(run, broken)

    def spoil(_, item):
        if isinstance(item, h5py.Dataset) and item.dtype == np.float32:
            item[...] = np.nan

    with h5py.File(broken / "best.weights.h5", "r+") as weights:
        weights.visititems(spoil)
    out = tmp_path / "out"
    job = ["predict", str(broken), str(folder / "c"), "--out", str(out)]
    assert cli.main(job) == 1
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("scdepth:")
    ]
    assert "c, frame 000000: the predicted depth is not finite" in line
    assert {path.name for path in out.rglob("*")} <= {"predict.json"}


def evaluate(*arguments):
    return cli.main(["evaluate", *map(str, arguments)])


def test_evaluate_depth_draws_the_worst_and_takes_a_list(
    trained, tmp_path, capsys
):
    folder, run = trained
    (tmp_path / "list.txt").write_text("a/000001.png\nc/000004.png\n")
    options = ["--frames", tmp_path / "list.txt", "--flip", "--weights", "last"]
    pictures = ["--worst", tmp_path / "worst.png", "--error-maps", tmp_path]
    assert evaluate("depth", run, folder, *options, *pictures) == 0
    table = capsys.readouterr().out
    assert "last weights" in table
    assert "mirror image" in table
    assert "errors of 2 images" in table
    made = {path.name for path in tmp_path.glob("*.png")}
    assert made == {"worst.png", "a_000001.png", "c_000004.png"}


def test_evaluate_consistency_prints_writes_and_plots(
    trained, tmp_path, capsys
):
    folder, run = trained
    files = ["--json", tmp_path / "c.json", "--plot", tmp_path / "c.png"]
    assert evaluate("consistency", run, folder, "--gaps", 1, 3, *files) == 0
    table = capsys.readouterr().out
    for row in ("at true motion", "constant depth", "mean depth map"):
        assert row in table
    content = json.loads((tmp_path / "c.json").read_text())
    assert set(content["ours"]["disagreement"]) == {"1", "3"}
    assert content["frames"] == 5
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_evaluate_odometry_of_a_run_writes_trajectories_that_it_reads(
    trained, tmp_path, capsys
):
    folder, run = trained
    files = ["--json", tmp_path / "o.json", "--poses", tmp_path]
    arguments = [run, folder, "--lengths", 0.5, 1, *files]
    assert evaluate("odometry", *arguments) == 0
    ours = json.loads((tmp_path / "o.json").read_text())["sequences"][0]
    assert ours["name"] == "c"
    assert ours["errors"]["7dof"]["segments"] > 0
    assert "straight ahead" in capsys.readouterr().out
    again = [tmp_path / "c.txt", folder / "c" / "poses.txt"]
    assert (
        evaluate(
            "odometry", *again, "--lengths", 0.5, 1, "--json", tmp_path / "f"
        )
        == 0
    )
    read = json.loads((tmp_path / "f").read_text())["sequences"][0]
    assert read["errors"]["7dof"] == pytest.approx(ours["errors"]["7dof"])


def test_evaluate_compare_takes_runs_and_reports(trained, tmp_path, capsys):
    folder, run = trained
    report = tmp_path / "other.json"
    assert evaluate("depth", run, folder, "--json", report) == 0
    options = ["--data", folder, "--resample", "image"]
    assert evaluate("compare", run, report, *options) == 0
    table = capsys.readouterr().out
    rows = [line for line in table.splitlines() if line.startswith("other")]
    assert len(rows) == 4
    assert "+0.000 [+0.000, +0.000]" in rows[0]
    assert evaluate("compare", run, report) == 1
    assert "add --data" in capsys.readouterr().err


def evaluation_mistakes(folder, run):
    """(arguments, what the line must say)."""
    yield ["masks", run, folder], "instance masks"
    yield ["depth", run, folder, "--frames", folder / "x"], "no such file"
    yield ["depth", run, folder, "--protocol", "eigen_improved"], "KITTI"
    yield ["consistency", run, folder, "--plot", "p.gif"], "must end with"
    yield ["odometry", folder / "train.txt", folder / "x"], "no such file"
    yield ["compare", folder / "x.json"], "no such file"


@pytest.mark.parametrize("case", range(6))
def test_a_mistake_in_an_evaluation_is_one_line(trained, capfd, case):
    arguments, expected = list(evaluation_mistakes(*trained))[case]
    assert evaluate(*arguments) == 1
    message = capfd.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("scdepth: ")
    assert expected in message


@pytest.mark.parametrize(
    ("form", "choices", "named"),
    [
        ("savedmodel", ["--quantize", "int8"], "--quantize"),
        ("savedmodel", ["--net", "pose"], "--net"),
        ("savedmodel", ["--interface", "float32"], "--interface"),
        ("savedmodel", ["--calibration-data", "x"], "--calibration-data"),
        ("savedmodel", ["--no-verify"], "--no-verify"),
        ("preset", ["--image-size", "64", "96"], "--image-size"),
        ("preset", ["--overwrite", "--net", "pose"], "--net, --overwrite"),
        ("savedmodel", ["--compact"], "--compact"),
        ("tflite", ["--compact"], "--compact"),
    ],
)
def test_export_refuses_what_has_no_effect_on_a_format(
    form, choices, named, tmp_path, capsys
):
    command = ["export", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--format", form, *choices]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"scdepth: {named} has no effect on --format")
    assert not (tmp_path / "out").exists()


def test_an_interface_is_of_int8_alone(tmp_path, capsys):
    command = ["export", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--interface", "float32"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("scdepth: --interface has no effect without")


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


@pytest.mark.skipif(
    "SCDEPTH_SLOW_TESTS" not in os.environ,
    reason="compiles for minutes; set SCDEPTH_SLOW_TESTS to run it",
)
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
    command = ["train", str(folder), "--out", str(run), *TINY, "--seed", "1"]
    assert cli.main(command) == 1
    assert "seed 0 there, 1 now" in capsys.readouterr().err
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


def test_run_becomes_a_preset_with_its_best_epoch(trained, tmp_path):
    _, run = trained
    out = tmp_path / "preset"
    command = ["export", str(run), "--out", str(out), "--format", "preset"]
    assert cli.main(command) == 0
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["val_abs_rel"]))
    card = (out / "README.md").read_text()
    assert f"| val_abs_rel | {float(best['val_abs_rel']):g} |" in card
    assert "2 epochs of 1 steps of 1 triplets" in card
    config = json.loads((out / "config.json").read_text())["config"]
    assert config["epochs"] == 2
    ours = runs.load_model(runs.open_run(out)).get_weights()
    theirs = runs.load_model(runs.open_run(run)).get_weights()
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "options",
    [
        ["predict", "run", "a.mp4", "--write", "cloud", "--write", "mesh"],
        ["train", "data", "--scenes=a", "--scenes=b"],
        ["calibrate", "run", "data", "--distance", "a", "--distance", "b"],
    ],
)
def test_an_option_of_several_values_given_twice_is_refused(options, capsys):
    """The command line's parser would take the last in silence."""
    assert cli.main([*options, "--out", "out"]) == 1
    complaint = capsys.readouterr().err
    assert "is given 2 times; give it once" in complaint
    assert complaint.count("\n") == 1

"""Training on pairs, each with a camera of its own."""

import csv
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from scdepth_tf import cli, data, runs, snippets
from scdepth_tf.config import DataConfig, LossConfig
from tests import planes, streets
from tests.tiny_model import tiny_model
from tests.tiny_training import tiny_networks

SIZE = (planes.HEIGHT, planes.WIDTH)
SHORT = [
    *("--data.image-size", *map(str, SIZE), "--batch-size", "2"),
    *("--epochs", "2", "--steps-per-epoch", "3"),
]


@pytest.fixture
def folder(tmp_path):
    """Pairs to train on; pairs and video to validate on."""
    root = tmp_path / "pairs"
    streets.write_pairs(root / "a", 4)
    streets.write_pairs(root / "b", 3)
    streets.write_scene(root / "c")
    (root / "train.txt").write_text("a\n")
    return root


def batch_of_pairs(folder):
    scenes = data.open_scenes(folder, scenes="a")
    config = DataConfig(image_size=SIZE)
    return next(iter(data.validation_dataset(scenes, config, 4)))


def test_loss_of_pairs_falls(folder):
    batch = batch_of_pairs(folder)
    # Without the mask: a camera that stands still has nothing to learn.
    loss = dataclasses.replace(LossConfig.release(), auto_mask=False)
    model = tiny_model(loss=loss, jit_losses=False)
    model.compile(keras.optimizers.Adam(1e-2))
    before = float(model.test_step(batch)["loss"])
    for _ in range(30):
        logs = model.train_step(batch)
    assert float(logs["skipped"]) == 0
    model.reset_metrics()
    assert float(model.test_step(batch)["loss"]) < 0.9 * before


def test_a_pair_alone_is_not_taken_for_a_frozen_pose(folder):
    batch = {name: part[:1] for name, part in batch_of_pairs(folder).items()}
    model = tiny_model(jit_losses=False)
    model.compile(keras.optimizers.SGD(0.0))
    logs = model.train_step(batch)
    size = logs["translation"] / logs["depth_mean"], logs["rotation"]
    assert float(logs["motion_spread"]) == pytest.approx(np.hypot(*size))


@pytest.mark.parametrize("val", ["b", "c"])
def test_train_leaves_a_run_and_validates_on_pairs_or_video(
    folder, tmp_path, monkeypatch, val
):
    monkeypatch.setattr(runs, "build_model", tiny_networks)
    (folder / "val.txt").write_text(f"{val}\n")
    out = tmp_path / "run"
    assert cli.main(["train", str(folder), "--out", str(out), *SHORT]) == 0
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert all(np.isfinite(float(row["val_loss"])) for row in rows)
    assert ("val_abs_rel" in rows[0]) == (val == "c")
    assert list(tags(out / "tensorboard" / "validation")).count("frames/1") == 2


def tags(folder):
    """Of everything in event files."""
    for path in folder.glob("*.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            yield from (value.tag for value in event.summary.value)


def test_sheet_of_a_pair_has_a_column_for_its_only_neighbour(folder):
    scenes = data.open_scenes(folder, scenes="a")
    (pair,) = snippets.spread_triplets(scenes, 1, 1)
    sheet = snippets.draw_triplet(tiny_model(), scenes[pair.scene], pair, SIZE)
    width = 320 + snippets._GAP
    assert sheet.shape[1] == 2 * width + snippets._GAP


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data.stride", "2"], "stride is 2, but a holds pairs"),
        (
            ["--model.learn-focal-length", "camera"],
            "learn_focal_length is camera, but a holds pairs",
        ),
    ],
)
def test_a_choice_that_pairs_cannot_have_is_one_line(
    folder, tmp_path, capsys, options, complaint
):
    (folder / "val.txt").write_text("b\n")
    out = tmp_path / "run"
    command = ["train", str(folder), "--out", str(out), *SHORT, *options]
    assert cli.main(command) == 1
    assert complaint in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_what_needs_video_is_one_line(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "build_model", tiny_networks)
    (folder / "val.txt").write_text("c\n")
    run = tmp_path / "run"
    assert cli.main(["train", str(folder), "--out", str(run), *SHORT]) == 0
    capsys.readouterr()
    split = ["--split", "train"]
    for command, complaint in (
        (["evaluate", "consistency", run, folder, *split], "a holds pairs"),
        (["evaluate", "odometry", run, folder, *split], "poses"),
        (["evaluate", "depth", run, folder, *split], "ground truth"),
        (["calibrate", run, folder, "--poses", *split], "no poses"),
        (["predict", run, folder, "--out", tmp_path / "p"], "a holds pairs"),
    ):
        assert cli.main(list(map(str, command))) == 1
        assert complaint in capsys.readouterr().err.splitlines()[-1]

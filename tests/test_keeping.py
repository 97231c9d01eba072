"""Which epoch is the best one, and when a training has had enough."""

import contextlib
import csv
import shutil

import keras
import numpy as np
import pytest

from scdepth_tf import data, resume, runs
from scdepth_tf.callbacks import DepthValidation, KeepRun
from scdepth_tf.config import TrainConfig
from tests import planes, streets
from tests.tiny_model import tiny_model


def keeper(folder, **choices):
    """A KeepRun, what it keeps, and the model whose bias is the epoch."""
    model = tiny_model()
    model.compile(keras.optimizers.SGD(0.1))
    model.optimizer.build(model.trainable_variables)
    config = TrainConfig(steps_per_epoch=1, epochs=100, **choices)
    run = runs.create_run(folder, config, folder)
    state = resume.TrainingState()
    keep = KeepRun(run, state, 10.0, score="val_abs_rel")
    keep.set_model(model)
    return keep, run, state, model


def go_through(keep, state, model, scores):
    """Epochs with these scores, the first one before training."""
    for epoch, score in enumerate(scores, start=-1):
        model.depth_net.conv.bias.assign([epoch + 1.0])
        state.step = epoch + 1
        logs = {"val_view_synthesis": 0.1}
        keep.on_epoch_end(epoch, logs | score)
        if model.stop_training:
            return epoch + 1
    return None


def scores(*values):
    return [{} if v is None else {"val_abs_rel": v} for v in values]


def epoch_of(run, name):
    model = tiny_model()
    model.load_weights(run.folder / name)
    return float(model.depth_net.conv.bias.numpy()[0])


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ((0.5, 0.4, 0.3, 0.35), 2),
        ((0.2, 0.4, 0.3, 0.35), 0),  # training made it worse
        ((0.5, 0.4, 0.4), 1),  # the first of equals
        ((0.5, np.nan, 0.4, np.nan), 2),
        ((0.5, 0.4, None, 0.6), 1),  # no figure, not another figure's
        ((np.nan, 0.7), 1),
        ((None, 0.7), 1),
        ((np.nan, np.nan), 0),
    ],
)
def test_the_best_epoch_is_the_one_of_least_error(tmp_path, values, best):
    keep, run, state, model = keeper(tmp_path)
    go_through(keep, state, model, scores(*values))
    assert state.best_epoch == best
    assert epoch_of(run, runs.BEST_WEIGHTS) == best
    assert epoch_of(run, runs.LAST_WEIGHTS) == len(values) - 1
    with (run.folder / runs.HISTORY).open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert epochs == list(range(len(values)))


@pytest.mark.parametrize(
    ("patience", "values", "stops"),
    [
        (1, (0.5, 0.4, 0.45, 0.3), 2),
        (2, (0.5, 0.4, 0.45, 0.3, 0.3, 0.3, 0.2), 5),
        (2, (0.1, 0.4, 0.45, 0.3), 2),  # never better than the start
        (3, (0.5, 0.4, np.nan, None, 0.6), 4),
        (2, (0.5, 0.4, 0.45, 0.3, 0.35), None),
        (None, (0.1, 0.5, 0.5, 0.5, 0.5), None),
    ],
)
def test_it_stops_when_patience_runs_out(tmp_path, patience, values, stops):
    keep, run, state, model = keeper(tmp_path, patience=patience)
    assert go_through(keep, state, model, scores(*values)) == stops
    assert state.stopped == (stops is not None)
    fresh = tiny_model()
    fresh.compile(keras.optimizers.SGD(0.1))
    fresh.optimizer.build(fresh.trainable_variables)
    saved = resume.restore(run.folder / runs.RESUME, fresh)
    assert saved.stopped == state.stopped


def test_patience_goes_on_counting_where_a_snapshot_left_it(tmp_path):
    keep, run, state, model = keeper(tmp_path, patience=3)
    go_through(keep, state, model, scores(0.5, 0.4, 0.6, 0.6))
    saved = resume.restore(run.folder / runs.RESUME, model)
    again = KeepRun(run, saved, 10.0, score="val_abs_rel")
    again.set_model(model)
    saved.step = 4
    again.on_epoch_end(3, {"val_abs_rel": 0.45})
    assert saved.stopped and model.stop_training
    assert (saved.best_epoch, saved.best_score) == (1, 0.4)


def test_validation_is_at_the_median_and_at_one_scale(tmp_path):
    """Of the weights to keep, as an evaluation by hand has them."""
    streets.write_folder(tmp_path / "data")
    scenes = data.open_scenes(tmp_path / "data", "val")
    model = tiny_model()
    kernel = model.depth_net.conv.kernel
    own, kept = kernel.numpy(), kernel.numpy() + 0.5

    @contextlib.contextmanager
    def weights():
        kernel.assign(kept)
        yield
        kernel.assign(own)

    size = (planes.HEIGHT, planes.WIDTH)
    validation = DepthValidation(scenes, size, weights)
    validation.set_model(model)
    logs = {}
    validation.on_epoch_end(0, logs)
    np.testing.assert_array_equal(kernel.numpy(), own)

    kernel.assign(kept)
    [scene] = scenes
    images = np.stack([scene.image(i) for i in range(len(scene))]) / 255.0
    truth = np.stack([scene.depth(i) for i in range(len(scene))])
    depth = model(images.astype(np.float32)).numpy()[..., 0]
    scales = np.median(truth, axis=(1, 2)) / np.median(depth, axis=(1, 2))
    for name, scale in (
        ("val_abs_rel", scales[:, None, None]),
        ("val_abs_rel_global", np.median(scales)),
    ):
        error = np.mean(np.abs(scale * depth - truth) / truth)
        np.testing.assert_allclose(logs[name], error, rtol=1e-4)
    assert validation.score == "val_abs_rel"
    assert logs["val_abs_rel"] != logs["val_abs_rel_global"]


def test_without_depth_the_score_is_view_synthesis(tmp_path):
    streets.write_folder(tmp_path / "data")
    for path in (tmp_path / "data").glob("*/depth"):
        shutil.rmtree(path)
    scenes = data.open_scenes(tmp_path / "data", "val")
    validation = DepthValidation(scenes, (planes.HEIGHT, planes.WIDTH))
    logs = {}
    validation.on_epoch_end(0, logs)
    assert not validation.has_truth
    assert validation.score == "val_view_synthesis"
    assert logs == {}

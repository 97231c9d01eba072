"""TensorBoard gets every point once, in curves and pictures."""

import contextlib
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from scdepth_tf import boards, data
from scdepth_tf.config import DataConfig
from tests import planes, streets
from tests.tiny_model import tiny_model

SIZE = (planes.HEIGHT, planes.WIDTH)


def events(folder):
    """(tag, step) of everything in event files, and its values; neither
    TensorBoard nor our own code reads them.
    """
    found = []
    for path in sorted(folder.glob("*.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                content = tf.make_ndarray(value.tensor)
                found.append((value.tag, event.step, plugin, content))
    return found


def points(folder, tag):
    return {
        step: float(content)
        for name, step, _, content in events(folder)
        if name == tag
    }


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = streets.write_folder(tmp_path_factory.mktemp("boards") / "data")
    return data.open_scenes(folder, "train")


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(boards, "_PICTURES", 1)


def board_of(folder, scenes, model, step=-1, **kwargs):
    board = boards.Board(
        folder, step, 200, scenes, DataConfig(image_size=SIZE), **kwargs
    )
    board.set_model(model)
    return board


def compiled():
    model = tiny_model()
    model.compile(keras.optimizers.SGD(0.25))
    return model


def train(board, first, last):
    """What `fit` tells its callbacks, with figures that name their step."""
    for step in range(first, last + 1):
        board.on_train_batch_end(0, {"loss": float(step), "skipped": 2.0})
        if step % 200 == 0:
            logs = {"loss": step + 0.5, "skipped": 10.0}
            logs |= {"val_loss": step + 0.25, "val_abs_rel": 0.5}
            board.on_epoch_end(step // 200 - 1, logs)


def test_curves_share_charts_and_every_epoch_has_its_point(tmp_path, scenes):
    board = board_of(tmp_path, scenes, compiled())
    board.on_epoch_end(-1, {"val_loss": 7.0, "val_abs_rel": 0.75})
    train(board, 1, 400)
    training, validation = tmp_path / "train", tmp_path / "validation"
    loss = {100: 100.0, 200: 200.5, 300: 300.0, 400: 400.5}
    assert points(training, "loss/total") == loss
    assert points(validation, "loss/total") == {0: 7, 200: 200.25, 400: 400.25}
    assert points(validation, "depth_error/abs_rel") == {
        0: 0.75,
        200: 0.5,
        400: 0.5,
    }
    assert set(points(training, "steps/learning_rate").values()) == {0.25}
    shares = points(training, "steps/skipped")
    np.testing.assert_allclose(list(shares.values()), [0.02, 0.05] * 2)
    plugins = {plugin for _, _, plugin, _ in events(training)}
    assert plugins == {"scalars"}


def test_pictures_of_the_same_frames_come_with_each_epoch(
    tmp_path, scenes, monkeypatch
):
    monkeypatch.setattr(boards, "_PICTURES", 2)
    model = compiled()
    board = board_of(tmp_path, scenes, model)
    board.on_epoch_end(-1, {})
    weight = model.depth_net.conv.kernel
    weight.assign(weight + 1.0)
    train(board, 1, 200)
    pictures = [e for e in events(tmp_path / "validation") if e[2] == "images"]
    tags = [f"frames/{number}" for number in (1, 2)]
    expected = [(tag, step) for step in (0, 200) for tag in tags]
    assert [(tag, step) for tag, step, *_ in pictures] == expected
    for *_, (width, height, content) in pictures:
        image = Image.open(io.BytesIO(content))
        assert image.size == (int(width), int(height))
    contents = [content[2] for *_, content in pictures]
    assert len(set(contents)) == 4


def test_pictures_are_drawn_with_the_weights_to_keep(tmp_path, scenes):
    model = compiled()
    kernel = model.depth_net.conv.kernel
    own, kept = kernel.numpy(), kernel.numpy() + 1.0

    @contextlib.contextmanager
    def weights():
        kernel.assign(kept)
        yield
        kernel.assign(own)

    def picture(name, **kwargs):
        board_of(tmp_path / name, scenes, model, **kwargs).on_epoch_end(-1, {})
        return events(tmp_path / name / "validation")[0][3][2]

    plain, through = picture("plain"), picture("through", weights=weights)
    kernel.assign(kept)
    assert picture("kept") == through != plain


@pytest.mark.parametrize("killed_after", [250, 399])
def test_a_resumed_run_goes_on_without_doubles_or_holes(
    tmp_path, scenes, killed_after
):
    """From a snapshot at step 250, with a file that the kill tore."""
    model = compiled()
    undisturbed = board_of(tmp_path / "one", scenes, model)
    undisturbed.on_epoch_end(-1, {"val_loss": 7.0})
    train(undisturbed, 1, 600)

    killed = board_of(tmp_path / "two", scenes, model)
    killed.on_epoch_end(-1, {"val_loss": 7.0})
    train(killed, 1, killed_after)
    for path in (tmp_path / "two").glob("train/*"):
        content = path.read_bytes()
        path.write_bytes(content + content[-30:-7])
    train(board_of(tmp_path / "two", scenes, model, step=250), 251, 600)

    for name in ("train", "validation"):
        one, two = (events(tmp_path / run / name) for run in ("one", "two"))
        assert [e[:3] for e in one] == [e[:3] for e in two]
        for (*_, a), (*_, b) in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_run_killed_before_its_first_snapshot_starts_anew(tmp_path, scenes):
    model = compiled()
    board_of(tmp_path, scenes, model).on_epoch_end(-1, {"val_loss": 7.0})
    board_of(tmp_path, scenes, model).on_epoch_end(-1, {"val_loss": 8.0})
    found = events(tmp_path / "validation")
    assert [e[0] for e in found].count("loss/total") == 1
    assert points(tmp_path / "validation", "loss/total") == {0: 8.0}


def test_a_diverged_network_has_curves_and_one_warning(
    tmp_path, scenes, caplog
):
    model = compiled()
    kernel = model.depth_net.conv.kernel
    kernel.assign(kernel * np.nan)
    board = board_of(tmp_path, scenes, model)
    board.on_epoch_end(-1, {"val_loss": np.nan})
    assert [e[2] for e in events(tmp_path / "validation")] == ["scalars"]
    assert "predicts NaN or infinity" in caplog.text


def test_without_matplotlib_there_are_curves(tmp_path, scenes, monkeypatch):
    monkeypatch.setattr(boards.importlib.util, "find_spec", lambda name: None)
    board = board_of(tmp_path, scenes, compiled())
    board.on_epoch_end(-1, {"val_loss": 1.0})
    assert [e[2] for e in events(tmp_path / "validation")] == ["scalars"]

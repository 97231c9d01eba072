"""The preset that comes with the package: there, whole, and of use."""

import numpy as np
import pytest
from PIL import Image

import scdepth_tf as sd
from scdepth_tf import cli, metrics, presets, runs
from scdepth_tf.config import PredictConfig
from scdepth_tf.metres import Scale
from scdepth_tf.predict import depth_predictor, predict
from scdepth_tf.synthetic import make_street, render_frame

NAME = "streets_lite0"
UNSEEN_STREET = 304
LARGEST = 8e6
SIZE = (64, 192)
"""Height and width that its networks see."""


@pytest.fixture(scope="module")
def frame():
    return render_frame(make_street(UNSEEN_STREET, frames=12), 8, (128, 416))


@pytest.fixture(scope="module")
def model():
    return sd.SCDepth.from_preset(NAME)


def test_preset_is_small_and_says_what_it_is():
    assert presets.shipped() == [NAME]
    folder = presets.locate(NAME)
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    card = (folder / presets.CARD).read_text(encoding="utf-8")
    assert "## Not good for" in card


def test_preset_knows_a_street_that_it_never_saw(model, frame):
    truth = np.where(np.isfinite(frame.depth), frame.depth, 0)
    depth = depth_predictor(model, SIZE)(frame.image)
    rows = np.arange(len(truth), dtype=float)[:, None]
    # A road below a horizon: what knowing nothing but the camera gives.
    plane = np.broadcast_to(1 / np.maximum(rows - 60, 2), truth.shape)
    ours, guess = (
        metrics.depth_errors(truth, np.float32(each), metrics.GENERIC).abs_rel
        for each in (depth, plane)
    )
    assert ours < 0.25
    assert ours < 0.6 * guess


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert presets.locate(NAME).is_absolute()
    (tmp_path / NAME).mkdir()
    assert str(presets.locate(NAME)) == NAME


def test_what_is_not_there_is_told_with_what_is(tmp_path):
    for load in (sd.SCDepth.from_preset, runs.open_run):
        with pytest.raises(FileNotFoundError, match=NAME):
            load(tmp_path / "nothing")


def test_package_is_not_written_to(tmp_path, capsys):
    scale = Scale(20.0, "poses", 3, "frames", 0.0, None, None)
    with pytest.raises(ValueError, match="cp -r"):
        runs.write_scale(runs.open_run(NAME), scale, "drives")
    arguments = ["calibrate", NAME, str(tmp_path), "--camera-height", "1.6"]
    assert cli.main(arguments) == 1
    assert "belongs to the package" in capsys.readouterr().err
    assert not (presets.locate(NAME) / runs.SCALE).exists()


def test_a_picture_becomes_depth_with_one_call(tmp_path, frame, model):
    picture = tmp_path / "street.png"
    Image.fromarray(frame.image).save(picture)
    predict(NAME, picture, tmp_path / "out", PredictConfig())
    with np.load(tmp_path / "out" / "depth_npz" / "street.npz") as file:
        depth = file["depth"]
    np.testing.assert_allclose(
        depth,
        depth_predictor(model, SIZE)(frame.image),
        rtol=1e-3,
    )
    assert (tmp_path / "out" / "pictures" / "street.jpg").exists()
    assert not (tmp_path / "out" / "depth.mp4").exists()

"""The whole demo, as small as it gets."""

import dataclasses
import json

import pytest

from scdepth_tf import cli, demo
from scdepth_tf.config import DataConfig


@pytest.fixture
def tiny(monkeypatch):
    config = dataclasses.replace(
        demo.CONFIG,
        model=dataclasses.replace(demo.CONFIG.model, encoder_weights="none"),
        data=DataConfig(image_size=(32, 64)),
        epochs=1,
        steps_per_epoch=2,
        batch_size=1,
    )
    for name, value in {
        "CONFIG": config,
        "TRAINING_STREETS": (1,),
        "VALIDATION_STREETS": (2,),
        "UNSEEN_STREETS": (3,),
        "FRAMES": 4,
        "RENDERED_SIZE": (32, 64),
    }.items():
        monkeypatch.setattr(demo, name, value)


def test_demo_goes_from_frames_to_a_report(tiny, tmp_path, capsys):
    out = tmp_path / "demo"
    assert cli.main(["demo", "--out", str(out)]) == 0
    page = (out / "report.html").read_text()
    for part in ("mean depth map", "TFLite int8", "street_003", "data:image"):
        assert part in page
    assert "street_002" not in page  # chose the epoch: not unseen
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["count"] == 4
    assert {path.name for path in (out / "export").iterdir()} == {
        "depth_float32.tflite",
        "depth_int8.tflite",
    }
    assert cli.main(["demo", "--out", str(out)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_three_sets_of_streets_have_nothing_in_common():
    sets = [
        set(demo.TRAINING_STREETS),
        set(demo.VALIDATION_STREETS),
        set(demo.UNSEEN_STREETS),
    ]
    assert sum(map(len, sets)) == len(set.union(*sets))

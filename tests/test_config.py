"""Recipes, files of choices, and the order in which they beat each other."""

import dataclasses
import json
import sys
import types

import pytest

from scdepth_tf import cli, config, runs
from scdepth_tf.config import TrainConfig


@pytest.fixture
def trained_with(monkeypatch):
    """Runs `scdepth train` up to `train`; returns the config it was given."""
    given = []
    stand_in = types.SimpleNamespace(
        train=lambda data, out, choices, *rest, **how: given.append(choices)
    )
    monkeypatch.setitem(sys.modules, "scdepth_tf.train", stand_in)

    def parse(*options):
        arguments = ["train", "DATA", "--out", "RUN", *map(str, options)]
        assert cli.main(arguments) == 0
        return given.pop()

    return parse


@pytest.mark.parametrize("name", config.RECIPES)
def test_a_recipe_survives_its_file(name, tmp_path):
    """And so every value of it is one that its field takes."""
    recipe = config.recipe(name)
    runs.create_run(tmp_path / "run", recipe, tmp_path)
    path = tmp_path / "run" / runs.CONFIG
    assert config.read_config(path) == recipe
    assert runs.open_run(tmp_path / "run").config == recipe
    assert all(size % 32 == 0 for size in recipe.data.image_size)


def test_recipes_are_the_five_and_all_different():
    names = {"kitti_resnet18", "kitti_resnet50", "kitti_lite0"}
    assert set(config.RECIPES) == names | {"indoor_resnet18", "own_video"}
    assert len({repr(recipe) for recipe in config.RECIPES.values()}) == 5


def test_command_line_beats_recipe(trained_with):
    expected = config.recipe("kitti_resnet50")
    assert trained_with("--recipe", "kitti_resnet50") == expected
    ours = trained_with(
        "--recipe=kitti_resnet50", "--data.stride", 2, "--batch-size", 12
    )
    assert ours == dataclasses.replace(
        expected,
        batch_size=12,
        data=dataclasses.replace(expected.data, stride=2),
    )


def test_command_line_beats_file_and_file_beats_default(trained_with, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 7, "seed": 3, "data": {"zoom": 1}}')
    assert trained_with() == TrainConfig()
    choices = trained_with("--config", path, "--seed", 5, "--data.no-flip")
    assert choices.epochs == 7
    assert choices.seed == 5
    assert choices.data.zoom == 1.0
    assert not choices.data.flip
    assert choices.learning_rate == TrainConfig().learning_rate


def test_every_choice_is_an_option(trained_with, tmp_path):
    """A run's config.json gives the run's config, whatever it differs in."""
    other = config.recipe("own_video")
    runs.create_run(tmp_path / "run", other, tmp_path)
    assert trained_with("--config", tmp_path / "run" / "config.json") == other
    options = []
    for name, value in runs.flat(other.to_dict()).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            section, _, last = flag.rpartition(".")
            last = last if value else f"no-{last}"
            options.append(f"--{section}.{last}" if section else f"--{last}")
        else:
            values = value if isinstance(value, tuple) else [value]
            options += [f"--{flag}", *values]
    assert trained_with(*options) == other


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'?"),
        ({"image_size": [64, 96]}, "did you mean 'data.image_size'?"),
        ({"data": {"strid": 2}}, "'data.strid'; did you mean 'data.stride'?"),
        ({"loss": {"ssim_windw": 2}}, "did you mean 'loss.ssim_window'?"),
        ({"zebra": 1}, "no choice 'zebra'"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; it takes float"),
        ({"epochs": 2.5}, "epochs is 2.5; it takes int"),
        ({"epochs": True}, "epochs is True; it takes int"),
        ({"data": {"flip": 1}}, "data.flip is 1; it takes bool"),
        ({"data": {"image_size": [64]}}, "data.image_size is (64,); it takes"),
        (
            {"model": {"decoder": "big"}},
            "it takes 'reference' or 'mobile' or 'slim'",
        ),
        ({"model": "resnet18"}, "model is 'resnet18'; it should be an object"),
        ([1, 2], "the config is [1, 2]"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(values, expected, tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(values))
    arguments = ["train", "DATA", "--out", str(tmp_path / "run")]
    assert cli.main([*arguments, "--config", str(path)]) == 1
    message = capsys.readouterr().err.strip()
    assert message.startswith(f"scdepth: {path}: ")
    assert expected in message
    assert "\n" not in message


def test_other_mistakes_are_one_line_too(tmp_path, capsys):
    (tmp_path / "torn.json").write_text('{"epochs": ')
    for options, expected in (
        (["--recipe", "kitti_resnet81"], "did you mean 'kitti_resnet18'?"),
        (["--config", str(tmp_path / "absent.json")], "no such file"),
        (["--config", str(tmp_path / "torn.json")], "Expecting value"),
        (["--recipe", "own_video", "--config", "x.json"], "give one of them"),
    ):
        assert cli.main(["train", "DATA", "--out", "RUN", *options]) == 1
        message = capsys.readouterr().err.strip()
        assert expected in message
        assert "\n" not in message

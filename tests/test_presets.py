"""Presets: what comes back, and what is refused."""

import dataclasses
import hashlib
import json

import keras
import numpy as np
import pytest

import scdepth_tf as sd
from scdepth_tf import cli, presets, runs
from scdepth_tf.config import ModelConfig
from tests import tiny_model
from tests.nets import published_weights, torch_writer

FILES = {"config.json", "model.weights.h5", "README.md", "SHA256SUMS"}


def small_model(seed=0) -> sd.SCDepth:
    keras.utils.set_random_seed(seed)
    return sd.SCDepth(
        sd.DepthNet("efficientnet_lite0", "mobile", alpha=5.0, beta=0.02),
        sd.PoseNet("optical_flow"),
        loss=sd.LossConfig.lightning(),
        reverse_pose="network",
        learned_focal_lengths=2,
    )


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return model.save_to_preset(
        tmp_path_factory.mktemp("presets") / "streets",
        image_size=(64, 96),
        trained_on="rendered streets",
        metrics={"val_abs_rel": 0.1234},
    )


@pytest.fixture
def preset(saved, tmp_path):
    """A copy that a test may damage."""
    folder = tmp_path / "streets"
    folder.mkdir()
    for path in saved.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def assert_equal_networks(one, two):
    for network in ("depth_net", "pose_net"):
        ours = getattr(one, network).get_weights()
        theirs = getattr(two, network).get_weights()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_preset_comes_back_as_the_model_that_was_saved(model, saved, rng):
    assert {path.name for path in saved.iterdir()} == FILES
    loaded = sd.SCDepth.from_preset(saved)
    assert_equal_networks(loaded, model)
    assert loaded.loss_config == sd.LossConfig.lightning()
    assert loaded.reverse_pose == "network"
    images = rng.random((1, 64, 96, 3), np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_preset_is_read_wherever_a_run_is(model, saved):
    run = runs.open_run(saved)
    assert run.config.data.image_size == (64, 96)
    assert run.training_data == "rendered streets"
    assert_equal_networks(runs.load_model(run), model)


def test_card_says_what_is_known(saved):
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# streets\n")
    for line in (
        "| trained on | rendered streets |",
        "| val_abs_rel | 0.1234 |",
        "| images | 96 × 64 (width × height), RGB in [0, 1] |",
        "| depth | 0.199 to 50 scene units",
        'sd.SCDepth.from_preset("streets")',
        "## Licence",
    ):
        assert line in card
    assert "epochs of" not in card  # nobody told
    choices = json.loads((saved / "config.json").read_text())["config"]
    assert set(choices) == {"model", "loss", "data"}


def test_checksums_are_those_of_sha256sum(saved):
    lines = (saved / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        digest, name = line.split(" *")
        content = (saved / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    assert len(lines) == 3


@pytest.mark.parametrize(
    "name", ["config.json", "model.weights.h5", "README.md"]
)
def test_damage_to_any_file_is_named(preset, name):
    content = bytearray((preset / name).read_bytes())
    content[len(content) // 2] ^= 1
    (preset / name).write_bytes(content)
    for load in (sd.SCDepth.from_preset, runs.open_run):
        with pytest.raises(ValueError, match=f"{name} is damaged") as error:
            load(preset)
        assert "\n" not in str(error.value)
    (preset / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        sd.SCDepth.from_preset(preset)


def test_damaged_checksums_are_refused(preset):
    for content in ("", "x", "0" * 64 + " *config.json\n", "\x00\xff"):
        (preset / "SHA256SUMS").write_text(content)
        with pytest.raises(ValueError, match="is damaged or was changed"):
            presets.open_preset(preset)


def test_preset_passes_on_the_scale_of_its_run(saved, preset, tmp_path):
    """The run's weights file and the preset's differ in bytes, not values."""
    from scdepth_tf.metres import combine

    run, scale = runs.open_run(preset), combine([np.array([21.5])], "poses")
    runs.write_scale(run, scale, "streets")
    written = runs.write_preset(run, tmp_path / "passed_on")
    assert runs.read_scale(runs.open_run(written)) == scale
    assert runs.read_scale(runs.open_run(saved)) is None


def test_what_is_no_preset_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no SHA256SUMS"):
        sd.SCDepth.from_preset(tmp_path)


def test_nothing_is_overwritten_and_nothing_left_half_done(
    model, saved, tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match="exists; choose another"):
        model.save_to_preset(saved)

    def fail(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(sd.SCDepth, "save_weights", fail)
    with pytest.raises(KeyboardInterrupt):
        model.save_to_preset(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_networks_that_cannot_be_described_are_refused(tmp_path):
    with pytest.raises(ValueError, match="TinyDepth and TinyPose"):
        tiny_model.tiny_model().save_to_preset(tmp_path / "tiny")


# === As the start of a training ===


def test_training_starts_from_a_preset(model, saved):
    choices = dataclasses.replace(
        model.choices(), weights=str(saved), reverse_pose="inverse"
    )
    started = runs.build_model(choices, sd.LossConfig(), cameras=3)
    assert_equal_networks(started, model)
    assert started.reverse_pose == "inverse"
    assert started.learned_focal_lengths == 3


def test_networks_that_do_not_fit_are_named(model, saved):
    choices = dataclasses.replace(
        model.choices(), weights=str(saved), alpha=10.0
    )
    with pytest.raises(ValueError, match=r"alpha 5\.0 there, 10\.0 here"):
        runs.build_model(choices, sd.LossConfig())


def test_two_starts_for_the_encoders_are_refused(saved):
    choices = ModelConfig(weights=str(saved), encoder_weights="imagenet")
    with pytest.raises(ValueError, match="both say what the encoders start"):
        runs.build_model(choices, sd.LossConfig())


# === Of published checkpoints ===


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """dispnet and exp_pose of SC-SfMLearner-Release."""
    folder = tmp_path_factory.mktemp("release")
    return [
        torch_writer.save(folder / name, {"state_dict": state}, legacy=True)
        for name, state in (
            ("dispnet.tar", published_weights.depth_network("release", 18)),
            ("exp_pose.tar", published_weights.pose_network("release", 18)),
        )
    ]


def test_import_makes_a_preset_that_trains_and_answers(checkpoints, tmp_path):
    out = tmp_path / "published"
    pose, depth = map(str, reversed(checkpoints))
    command = ["import", pose, depth, "--out", str(out)]
    assert cli.main([*command, "--image-size", "64", "96"]) == 0
    run = runs.open_run(out)
    assert run.config.data.image_size == (64, 96)
    assert run.config.loss == sd.LossConfig.release()
    assert run.config.model.reverse_pose == "network"
    assert "SC-SfMLearner-Release (exp_pose.tar, disp" in run.training_data
    loaded = runs.load_model(run)
    for network, path in zip(
        (loaded.depth_net, loaded.pose_net), checkpoints, strict=True
    ):
        expected = type(network).from_config(network.get_config())
        sd.load_torch_weights(expected, path)
        for ours, theirs in zip(
            network.get_weights(), expected.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_import_says_what_it_cannot_use(checkpoints, tmp_path, capsys):
    depth, pose = map(str, checkpoints)
    encoder = torch_writer.save(
        tmp_path / "resnet18.pth",
        {name: array[:1] for name, array in resnet18().items()},
    )
    out = ["--out", str(tmp_path / "out")]
    for files, complaint in (
        ([pose], "0 depth and 1 pose networks"),
        ([depth, pose, depth], "2 depth and 1 pose networks"),
        ([depth, str(encoder)], "holds a ResNet alone; start a training"),
        ([depth, "nowhere.tar"], "nowhere.tar: no such file"),
    ):
        assert cli.main(["import", *files, *out]) == 1
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def resnet18():
    state = published_weights.resnet(18)
    return {name: array for name, array in state.items() if array.ndim}


def test_import_without_pose_warns(checkpoints, tmp_path, caplog):
    sd.import_checkpoints(checkpoints[:1], tmp_path / "depth_only")
    assert "motion is untrained" in caplog.text


def test_compact_preset_is_small_and_gives_the_same_depth(
    model, saved, tmp_path, rng
):
    compact = model.save_to_preset(tmp_path / "compact", compact=True)
    small, large = (
        (folder / presets.WEIGHTS).stat().st_size for folder in (compact, saved)
    )
    assert small < min(0.4 * large, 8e6)
    assert "rounded" in (compact / presets.CARD).read_text()
    images = rng.random((1, 64, 96, 3), np.float32)
    change = np.log(sd.SCDepth.from_preset(compact)(images) / model(images))
    assert 0 < np.abs(change).mean() < 0.01

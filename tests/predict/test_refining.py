"""Refining on a footage helps, or changes nothing."""

import json

import keras
import numpy as np
import pytest

import scdepth_tf as sd
from scdepth_tf.config import LossConfig, PredictConfig
from scdepth_tf.metres import Scale
from scdepth_tf.predict import description, job, refining
from scdepth_tf.predict.material import gather, is_held_out
from scdepth_tf.predict.refining import Quality, Refinement, Refiner, decide
from tests import planes
from tests.predict.oracle import Drive
from tests.tiny_model import TinyDepth, TinyPose, tiny_model

SIZE = (planes.HEIGHT, planes.WIDTH)


@pytest.fixture(scope="module")
def drive():
    return Drive(40, length=8.0)


def model():
    return tiny_model(jit_losses=False)


def same(ours, theirs):
    return all(
        np.array_equal(a, b)
        for a, b in zip(ours.get_weights(), theirs, strict=True)
    )


def test_no_frame_is_on_both_sides(drive):
    material = gather(drive.source(), SIZE)

    def frames(side):
        # The first pixel of each frame is its number.
        return set(side[:, :, 0, 0, 0].ravel().tolist())

    held_out, training = frames(material.held_out), frames(material.training)
    assert held_out == {i for i in range(40) if is_held_out(i)}
    assert training == {i for i in range(40) if not is_held_out(i)}
    numbers = material.training[:, :, 0, 0, 0].astype(int)
    assert (numbers[:, 1] == numbers[:, 0] - 1).all()
    assert (numbers[:, 2] == numbers[:, 0] + 1).all()


def test_long_footage_is_sampled_in_bounded_memory(drive, monkeypatch):
    monkeypatch.setattr("scdepth_tf.predict.material._MOST_BYTES", 9 * 73728)
    material = gather(drive.source(), SIZE)
    assert len(material.training) == 9
    targets = material.training[:, 0, 0, 0, 0]
    assert len(set(targets.tolist())) == 9
    assert targets.max() > 20


def test_refined_networks_explain_held_out_frames_better(
    drive, tmp_path, monkeypatch
):
    monkeypatch.setattr(refining, "LEARNING_RATE", 3e-2)
    monkeypatch.setattr(refining, "decide", lambda *_: (True, "a test"))
    ours = model()
    original = ours.get_weights()
    said = []
    found = Refiner(ours, SIZE, 15)(
        drive.source(), tmp_path, lambda *what: said.append(what)
    )
    assert found.after.photometric < 0.95 * found.before.photometric
    assert said[-1] == ("refining", 15, 15)
    assert not same(ours, original)
    again = model()
    assert Refiner(again, SIZE, 15)(drive.source(), tmp_path) == found
    assert same(again, ours.get_weights())


def test_refining_that_gains_nothing_is_undone(drive, tmp_path, monkeypatch):
    ours = model()
    original = ours.get_weights()

    def ruin(refiner, *_):
        ours.set_weights([0 * weight for weight in original])
        return Refinement(
            7, False, "the original weights stay", quality(1, 1), quality(2, 2)
        )

    monkeypatch.setattr(Refiner, "_refine", ruin)
    found = Refiner(ours, SIZE, 7)(drive.source(), tmp_path)
    assert found.describe().startswith(
        "7 steps of refinement: the original weights stay\n"
        "  photometric error, held-out: 1.0000 -> 2.0000\n"
    )
    assert same(ours, original)
    files = [path.name for path in (tmp_path / "refinement").iterdir()]
    assert files == ["refinement.json"]


def test_batch_norm_is_frozen():
    class Normalised(TinyDepth):
        def __init__(self):
            super().__init__()
            self.norm = keras.layers.BatchNormalization()
            self.norm.build((None, None, None, 3))

        def call(self, images, training=False):
            return super().call(self.norm(images, training=training))

    depth_net = Normalised()
    Refiner(sd.SCDepth(depth_net, TinyPose()), SIZE, 1)
    before = [np.array(value) for value in depth_net.norm.get_weights()]
    depth_net(np.full((2, 8, 8, 3), 0.9, np.float32), training=True)
    for value, old in zip(depth_net.norm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert not depth_net.norm.trainable_variables


def test_leftover_of_a_killed_process_is_cleared(tmp_path):
    (tmp_path / ".refinement.123.partial").mkdir()
    (tmp_path / ".refinement.123.partial" / "half").touch()
    Refiner(model(), SIZE, 5)(Drive(7).source(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["refinement"]


def test_kill_while_weights_are_written_leaves_nothing(tmp_path, monkeypatch):
    def kill(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(refining.json, "dumps", kill)
    with pytest.raises(KeyboardInterrupt):
        Refiner(model(), SIZE, 5)(Drive(7).source(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_footage_without_frames_to_hold_out_is_not_refined(tmp_path):
    ours = model()
    found = Refiner(ours, SIZE, 5)(Drive(7).source(), tmp_path)
    assert not found.kept
    assert found.describe() == "not refined: too few frames to hold some out"


def quality(photometric, geometry, valid=0.9, abs_rel=None):
    return Quality(photometric, geometry, valid, 0.01, abs_rel, abs_rel, None)


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        (quality(0.19, 0.10), True),
        (quality(0.20, 0.09), True),
        (quality(0.15, 0.11), False),
        (quality(0.21, 0.05), False),
        (quality(0.20, 0.10), False),
        (quality(np.nan, 0.05), False),
        (quality(0.15, 0.0, valid=0.1), False),
        (quality(0.15, 0.05, abs_rel=0.9), True),  # truth has no say
    ],
)
def test_refined_weights_are_kept_only_where_both_errors_say_so(after, kept):
    before = quality(0.20, 0.10, abs_rel=0.1)
    assert decide(before, after, LossConfig())[0] is kept


def test_metres_are_carried_over_to_the_refined_networks(tmp_path):
    """A network that says twice the depth has half the scale."""
    scale = Scale(20.0, "a test", 5, "frames", 0, 0.03, 0.01)
    refinement = Refinement(
        9, True, "better", quality(2, 2), quality(1, 1), depth_ratio=2.0
    )
    assert Refinement.from_dict(refinement.to_dict()) == refinement
    drive = Drive()
    description.claim(tmp_path, {})
    (sequence,) = job.predict_sources(
        [drive.source()],
        drive.predictor,
        tmp_path,
        PredictConfig(write=("npz",), align=False),
        scale=scale,
        refiner=lambda source, folder, progress: refinement,
    )
    with np.load(tmp_path / "depth_npz" / "000002.npz") as file:
        np.testing.assert_allclose(
            file["depth"], 10 * drive.depths[2], rtol=1e-3
        )
    described = json.loads((tmp_path / "predict.json").read_text())
    described = described["sequences"]["drive"]
    assert described["scale"]["metres_per_unit"] == 10
    assert "carried over" in described["scale"]["method"]
    assert described["refinement"]["depth_ratio"] == 2
    assert sequence.refinement is refinement

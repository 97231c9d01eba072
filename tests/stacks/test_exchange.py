"""Files that one Keras wrote mean the same to the other."""

import h5py
import keras
import numpy as np
import pytest

from scdepth_tf import resume, stack
from tests.stacks.small_model import FOLDER, predictions, small_model

STACKS = ("keras_2", "keras_3")


def variables(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: np.array(item)})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


@pytest.mark.parametrize("written_by", STACKS)
def test_weights_of_either_keras_give_the_same_depth(written_by):
    model = small_model()
    for weight in model.weights:
        weight.assign(weight.numpy() * 0.5)
    model.load_weights(FOLDER / f"{written_by}.weights.h5")
    with np.load(FOLDER / f"{written_by}.npz") as expected:
        for name, values in predictions(model).items():
            assert np.ptp(expected[name]) > 1e-3 * np.abs(expected[name]).max()
            np.testing.assert_allclose(
                values,
                expected[name],
                atol=1e-5 * np.abs(expected[name]).max(),
                err_msg=name,
            )


@pytest.mark.parametrize("other", STACKS)
def test_both_write_the_same_file(other, tmp_path):
    """Every variable in the same place, and none besides."""
    small_model().save_weights(tmp_path / "ours.weights.h5")
    ours = variables(tmp_path / "ours.weights.h5")
    theirs = variables(FOLDER / f"{other}.weights.h5")
    assert sorted(ours) == sorted(theirs)
    for name, values in ours.items():
        assert values.shape == theirs[name].shape, name


def test_metrics_are_no_weights():
    model = small_model()
    networks = [model.depth_net, model.pose_net, model.focal_length_scale]
    ours = {id(v) for network in networks for v in network.weights}
    assert {id(v) for v in model.weights} == ours


def test_a_snapshot_of_another_keras_is_refused(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    monkeypatch.setattr(stack, "KERAS", "Keras 9")
    resume.save(tmp_path, model, resume.TrainingState(step=3))
    assert resume.restore(tmp_path, model).step == 3
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"Keras 9, and this is {stack.KERAS}"):
        resume.restore(tmp_path, model)

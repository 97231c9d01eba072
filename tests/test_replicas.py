"""Two replicas that share a batch do what one device does with all of it."""

import os

import numpy as np
import pytest

from scdepth_tf import distribution, losses, stack
from tests import two_devices
from tests.tiny_model import tiny_model


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "results.pkl"
    return two_devices.measure(path, two_devices.CASES)


def assert_close(one, both):
    for a, b in zip(one.weights, both.weights, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)
    for name, values in one.history.items():
        if name != "motion_spread":  # of each replica's own pairs
            np.testing.assert_allclose(
                both.history[name], values, rtol=1e-4, atol=1e-6, err_msg=name
            )
    for name in ("loss", "photometric", "geometry", "smoothness"):
        np.testing.assert_allclose(
            both.validation[name], one.validation[name], rtol=1e-4
        )


def loss_of(batch):
    model = tiny_model()
    predictions = model._predict(batch, training=False)
    views = model._views(batch["frames"], batch["intrinsics"], predictions)
    return losses.loss_terms(**views).total.numpy()


def test_the_mean_of_the_replicas_losses_would_be_wrong():
    """Or the tests below could not tell."""
    batch = two_devices.uneven_batch()
    halves = [loss_of(two_devices.part(batch, i, i + 2)) for i in (0, 2)]
    assert abs(np.mean(halves) / loss_of(batch) - 1) > 0.01


@pytest.mark.parametrize("case", ["everything", "lightning"])
def test_two_replicas_lose_and_learn_as_one_device(results, case):
    """Masked means, clipping, loss scaling, synchronised BatchNorm, batches
    that cannot be halved.
    """
    assert_close(results[case, "one"], results[case, "both"])


def test_what_one_replica_cannot_use_nobody_uses(results):
    for where in ("one", "both"):
        history = results["everything", where].history
        assert history["skipped"] == history["bad_input"] == [1.0]


def test_without_synchronising_batch_norm_is_each_replicas_own(results):
    """Close to one device, not equal."""
    one, both = (results["own norm", where] for where in ("one", "both"))
    with pytest.raises(AssertionError):
        assert_close(one, both)
    np.testing.assert_allclose(
        one.history["loss"], both.history["loss"], rtol=0.05
    )


@pytest.mark.parametrize("case", two_devices.CASES)
def test_replicas_stay_equal_to_the_last_bit(results, case):
    """Running statistics too: any one can be saved for all."""
    both = results[case, "both"]
    for a, b in zip(both.weights, both.other_weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(
    "SCDEPTH_SLOW_TESTS" not in os.environ,
    reason="takes minutes; set SCDEPTH_SLOW_TESTS to run it",
)
def test_one_by_one(tmp_path):
    cases = two_devices.SLOW_CASES
    results = two_devices.measure(tmp_path / "results.pkl", cases)
    for name in cases:
        assert_close(results[name, "one"], results[name, "both"])
    assert results["overflow", "both"].history["skipped"] == [2.0]
    assert results["release", "both"].history["skipped"] == [0.0]


def test_several_workers_are_refused_under_keras_2(monkeypatch):
    monkeypatch.setattr(stack, "IS_KERAS_2", True)
    with pytest.raises(ValueError, match=r"needs Keras 3; .* mirrored"):
        distribution.make_strategy("multi_worker")

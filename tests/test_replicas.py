"""Two replicas that share a batch do what one device does with all of it."""

import numpy as np
import pytest

from tests import two_devices


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return two_devices.measure(tmp_path_factory.mktemp("two") / "results.pkl")


def assert_close(one, both, tolerance=1e-5):
    for a, b in zip(one.weights, both.weights, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance)
    for name, values in one.history.items():
        if name != "motion_spread":  # of each replica's own pairs
            np.testing.assert_allclose(
                both.history[name], values, rtol=1e-4, atol=1e-6, err_msg=name
            )
    for name in ("loss", "photometric", "geometry", "smoothness"):
        np.testing.assert_allclose(
            both.validation[name], one.validation[name], rtol=1e-4
        )


def test_the_mean_of_the_replicas_losses_would_be_wrong(results):
    """Or the tests below could not tell."""
    halves = [results["half", i].history["loss"][0] for i in (0, 1)]
    whole = results["odd", "one"].history["loss"][0]
    assert abs(np.mean(halves) / whole - 1) > 0.01


@pytest.mark.parametrize(
    "case",
    [
        "release",
        "lightning",
        "network",
        "clipped",
        "adam",
        "scaled",
        "synchronized",
        "odd",
    ],
)
def test_two_replicas_lose_and_learn_as_one_device(results, case):
    assert_close(results[case, "one"], results[case, "both"])


def test_without_synchronising_batch_norm_is_each_replicas_own(results):
    """Close to one device, not equal."""
    one, both = (results["normalised", where] for where in ("one", "both"))
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


def test_what_one_replica_cannot_use_nobody_uses(results):
    one, both = (results["nan", where] for where in ("one", "both"))
    assert both.history["skipped"] == [1.0]
    assert both.history["bad_input"] == [1.0]
    assert_close(one, both)


def test_an_overflow_is_skipped_by_all(results):
    for where in ("one", "both"):
        assert results["overflow", where].history["skipped"] == [1.0]

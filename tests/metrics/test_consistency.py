import numpy as np
import pytest

from scdepth_tf.metrics.consistency import scale_drift, scale_spread


def test_injected_drift_is_recovered_over_gaps():
    frames = np.array([0, 1, 2, 5, 9, 40])
    drift = scale_drift(frames, 5.3 * 1.02 ** (frames / 100))
    assert drift.per_100_frames == pytest.approx(0.02)
    assert drift.over_sequence == pytest.approx(1.02**0.4 - 1)
    assert drift.jitter < 1e-12


def test_constant_scale_does_not_drift():
    drift = scale_drift(range(10), [5.3] * 10)
    assert drift.spread == pytest.approx(0, abs=1e-12)
    assert drift.per_100_frames == pytest.approx(0, abs=1e-12)


def test_noise_is_jitter_and_no_drift():
    scales = np.exp([0.1, -0.1, -0.1, 0.1])  # no slope by symmetry
    drift = scale_drift(range(4), scales)
    assert drift.over_sequence == pytest.approx(0, abs=1e-12)
    assert drift.jitter == pytest.approx(0.1)


def test_one_frame_has_no_drift():
    assert scale_drift([3], [1.0]) is None


def test_hand_worked_spread():
    # Median 2, deviations from the mean 7/3.
    assert scale_spread([1, 2, 4]) == pytest.approx(np.sqrt(14) / 3 / 2)

import numpy as np
import pytest

from scdepth_tf.metrics.bootstrap import paired_bootstrap


def test_means_are_means_over_images_of_all_groups():
    values = np.array([[1.0, 2.0, 6.0], [2.0, 3.0, 7.0]])
    found = paired_bootstrap(values, ["a", "a", "b"])
    assert found.means[0].mean == pytest.approx(3.0)
    # Whole groups: means of {a, a}, {a, b} and {b, b} are 1.5, 3 and 6.
    assert (found.means[0].low, found.means[0].high) == (1.5, 6.0)


def test_what_is_hard_for_both_cancels_in_the_difference(rng):
    hard = rng.uniform(0, 1, 100)
    values = np.stack([hard, hard + 0.01])
    found = paired_bootstrap(values, range(100))
    assert found.means[0].high - found.means[0].low > 0.05
    np.testing.assert_allclose(found.differences[1], 0.01)
    np.testing.assert_allclose(found.differences[0], 0)


def test_interval_of_a_mean_is_that_of_the_normal_law():
    values = np.random.default_rng(1).normal(5, 2, (1, 400))
    (found,) = paired_bootstrap(values, range(400)).means
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_frames_of_one_video_do_not_count_as_independent(rng):
    per_scene = rng.normal(0, 1, 10)
    values = np.repeat(per_scene, 50)[None] + rng.normal(0, 0.01, (1, 500))
    scenes = np.repeat(np.arange(10), 50)

    def width(groups):
        (mean,) = paired_bootstrap(values, groups).means
        return mean.high - mean.low

    assert width(scenes) > 4 * width(range(500))


def test_coverage_is_near_the_confidence():
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        values = rng.exponential(1, (1, 60))
        (found,) = paired_bootstrap(
            values, range(60), confidence=0.9, resamples=400, seed=seed
        ).means
        hits += found.low <= 1 <= found.high
    assert 0.82 < hits / 200 < 0.95


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match=r"3 images\], got shape \[1, 2\]"):
        paired_bootstrap(np.ones((1, 2)), "abc")
    with pytest.raises(ValueError, match="not finite"):
        paired_bootstrap(np.array([[1.0, np.nan]]), "ab")
    with pytest.raises(ValueError, match="all 2 images belong to 'a'"):
        paired_bootstrap(np.ones((1, 2)), "aa")

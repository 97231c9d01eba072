"""The one scale of many single ones, and what its uncertainty means."""

import dataclasses

import numpy as np
import pytest

from scdepth_tf.metres import Scale, combine


def test_a_third_of_outliers_changes_the_scale_little(rng):
    scales = 12.0 * np.exp(rng.normal(0, 0.01, 300))
    scales[::3] = rng.uniform(15, 60, 100)
    assert combine([scales], "test").metres_per_unit == pytest.approx(
        12.0, rel=0.01
    )


def test_uncertainty_is_the_scatter_of_repeated_calibrations(rng):
    """What it claims is what happens when the same thing is done again, with
    frames that err alike too."""
    for correlation in (0.0, 0.8):
        found, claimed = [], []
        for _ in range(300):
            noise = rng.normal(0, 0.05, 200)
            for i in range(1, 200):
                kept = correlation * noise[i - 1]
                noise[i] = kept + np.sqrt(1 - correlation**2) * noise[i]
            scale = combine([10 * np.exp(noise)], "test")
            found.append(np.log(scale.metres_per_unit / 10))
            claimed.append(scale.uncertainty)
        assert np.mean(claimed) == pytest.approx(np.std(found), rel=0.25)


def test_scenes_that_disagree_make_the_scale_uncertain():
    """Each of four scenes is sure of itself and 10 % off its neighbour."""
    scenes = [np.full(100, factor) for factor in (9.0, 10.0, 11.0, 12.0)]
    assert combine(scenes, "test").uncertainty > 0.04


def test_a_single_observation_has_no_uncertainty():
    scale = combine([np.array([3.0])], "test")
    assert (scale.spread, scale.uncertainty) == (None, None)
    assert "+-" not in scale.describe()


def test_nothing_found_is_one_line():
    with pytest.raises(ValueError, match=r"camera height.*no scale.*7 frames"):
        combine([np.zeros(0)], "camera height 1.5 m", left_out=7)


def test_a_scale_survives_json():
    scale = combine([np.array([2.0, 2.1, 1.9])], "poses", "stretches", 4)
    assert Scale.from_dict({**scale.to_dict(), "data": "x"}) == scale


@pytest.mark.parametrize(
    "spoiled",
    [
        {"metres_per_unit": 0},
        {"metres_per_unit": float("nan")},
        {"method": ...},
    ],
)
def test_a_damaged_scale_is_refused(spoiled):
    content = combine([np.array([2.0])], "poses").to_dict() | spoiled
    if content["method"] is ...:
        del content["method"]
    with pytest.raises(ValueError, match=r"metres_per_unit|method"):
        Scale.from_dict(content)


def test_scales_that_contradict_each_other_are_told():
    one = Scale(20.0, "poses", 9, "frames", 0, 0.1, 0.03)
    alike = dataclasses.replace(one, metres_per_unit=22.0)
    centimetres = dataclasses.replace(one, metres_per_unit=2000.0)
    assert alike.beside(one) == "1.100 of that"
    assert "CONTRADICT" in centimetres.beside(one)
    assert "CONTRADICT" in one.beside(centimetres)

"""Pictures of depth: what their colours mean."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from scdepth_tf.viz import color_depth, legend_depths


def test_colours_of_a_legend_are_evenly_spaced():
    depths = legend_depths(2.0, 80.0, 256)
    np.testing.assert_allclose(depths[[0, -1]], [2.0, 80.0])
    # 256 depths, 256 colours: every colour of the map once, brightest first.
    colours = color_depth(depths[None], 2.0, 80.0)[0].astype(int)
    assert len(np.unique(colours, axis=0)) > 250
    brightness = colours.sum(axis=1)
    assert np.all(np.diff(brightness) <= 1)
    assert brightness[0] > brightness[-1]


def test_depth_that_nobody_knows_is_grey():
    colours = color_depth(np.array([[0.0, 5.0]]), 1.0, 10.0)
    assert tuple(colours[0, 0]) == (90, 96, 104)
    assert tuple(colours[0, 1]) != (90, 96, 104)

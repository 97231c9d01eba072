import numpy as np
import pytest

from scdepth_tf.synthetic import shapes
from scdepth_tf.synthetic.shadows import SURFACE_LIFT, Footprint, ShadowMap
from scdepth_tf.synthetic.shapes import Ball
from scdepth_tf.synthetic.textures import AtlasBuilder


@pytest.fixture
def bare():
    """The sun stands at 45° in the direction of −X."""
    to_sun = np.array([-1.0, -1.0, 0.0]) / np.sqrt(2)
    return ShadowMap.empty((-10, 10), (-10, 10), to_sun)


def sunlight(shadows, *where):
    """At (x, up, z)."""
    return shadows.sunlight(shapes.points(where).T.astype(np.float32))


def test_a_post_throws_a_shadow_as_long_as_it_is_high(bare):
    post = shapes.box((-0.5, 0.5), (0, 3), (-0.5, 0.5), 0)
    bare.add_quads(shapes.quads(post))
    shade = sunlight(bare, (2, 0, 0), (3.2, 0, 0), (2, 0.9, 0))
    np.testing.assert_array_equal(shade, 0)
    free = sunlight(bare, (3.8, 0, 0), (-1, 0, 0), (2, 0, 0.8), (2, 1.8, 0))
    np.testing.assert_array_equal(free, 1)


def test_what_is_in_the_sun_does_not_shade_itself(bare):
    lid = shapes.box((-2, 2), (0, 3), (-2, 2), 0)
    bare.add_quads(shapes.quads(lid))
    top, front = (1, 3 + SURFACE_LIFT, 1), (-2 - SURFACE_LIFT, 1, 0)
    np.testing.assert_array_equal(sunlight(bare, top, front), 1)


def test_a_ball_throws_the_shadow_of_its_outline(bare):
    builder = AtlasBuilder()
    builder.add(np.ones((8, 8, 4)))
    ball = shapes.rounds([Ball((0, 3, 0), (1, 1, 1), 0)])
    bare.add_rounds(ball, builder.build())
    # Rays through (x, 0, z) pass the centre at distance √((x − 3)²/2 + z²).
    shade = sunlight(bare, (3, 0, 0), (4.2, 0, 0), (3, 0, 0.8), (1.8, 0, 0))
    np.testing.assert_array_equal(shade, 0)
    free = sunlight(bare, (4.7, 0, 0), (3, 0, 1.25), (1.3, 0, 0))
    np.testing.assert_array_equal(free, 1)


def test_footprints_darken_the_ground_and_fade(bare):
    bare.shade(Footprint(0, 0, 0.5, 1, 2, 0.5, 0.8))
    where = shapes.points([(0, 0, 0), (3, 0, 3), (0, 2, 0)])
    under, beside, above = bare.openness(where.T.astype(np.float32))
    assert under == pytest.approx(0.2, abs=1e-6)
    assert beside == 1
    assert above == 1

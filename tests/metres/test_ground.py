"""The camera's height above exact roads, in units of any size."""

import numpy as np
import pytest

from scdepth_tf.metres import fit_plane, ground_plane

INTRINSICS = np.array([[186.0, 0, 156.6], [0, 184.0, 43.9], [0, 0, 1]])
SIZE = (96, 320)


def road(height=1.65, pitch=0.0, roll=0.0, wall=40.0):
    """Depth of a road `height` below a turned camera, and a wall ahead."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(INTRINSICS).T
    normal = np.array(
        [
            np.sin(roll),
            np.cos(roll) * np.cos(pitch),
            np.cos(roll) * np.sin(pitch),
        ]
    )
    with np.errstate(divide="ignore"):
        depth = height / (rays @ normal)
    return np.where((depth > 0) & (depth < wall), depth, wall), normal


@pytest.mark.parametrize("pitch", [-0.06, 0.0, 0.1])
@pytest.mark.parametrize("unit", [1.0, 30.0, 0.01])
def test_height_is_exact_whatever_pitch_and_unit(pitch, unit):
    depth, normal = road(pitch=pitch, roll=0.03)
    plane = ground_plane(depth / unit, INTRINSICS)
    assert plane.height * unit == pytest.approx(1.65, rel=1e-6)
    np.testing.assert_allclose(plane.normal, normal, atol=1e-6)


def test_a_third_of_the_road_may_be_something_else(rng):
    """Cars, kerbs and blunders, mostly nearer than the road."""
    depth, _ = road(pitch=0.02)
    spoiled = rng.random(SIZE) < 0.3
    depth = np.where(spoiled, depth * rng.uniform(0.3, 1.2, SIZE), depth)
    plane = ground_plane(depth, INTRINSICS)
    assert plane.height == pytest.approx(1.65, rel=1e-3)


def test_a_car_ahead_is_not_the_road():
    """Its back fills the middle third of where road should be."""
    depth, _ = road()
    depth[:, 140:175] = np.minimum(depth[:, 140:175], 7.0)
    plane = ground_plane(depth, INTRINSICS)
    assert plane.height == pytest.approx(1.65, rel=0.01)


def test_noise_averages_out(rng):
    depth, _ = road()
    heights = [
        ground_plane(
            depth * np.exp(rng.normal(0, 0.05, SIZE)), INTRINSICS
        ).height
        for _ in range(20)
    ]
    assert np.mean(heights) == pytest.approx(1.65, rel=0.01)


def test_a_wall_is_no_road():
    assert ground_plane(np.full(SIZE, 5.0), INTRINSICS) is None


def test_an_empty_map_has_no_road():
    assert ground_plane(np.zeros(SIZE), INTRINSICS) is None


def test_a_plane_through_points_on_a_line_is_none():
    points = np.linspace([0, 1, 5], [0, 1, 9], 60)
    assert fit_plane(points) is None


def test_a_rendered_street_has_its_camera_at_its_height():
    from scdepth_tf.synthetic import make_street, render_frame
    from scdepth_tf.synthetic.path import CAMERA_HEIGHT

    frame = render_frame(make_street(3, 2), 0, (64, 208))
    plane = ground_plane(frame.depth, frame.intrinsics)
    assert plane.height == pytest.approx(CAMERA_HEIGHT, rel=0.02)

"""A rendered pair of cameras whose baseline is known."""

import numpy as np
import pytest

from scdepth_tf.metres import scale_of_pair
from tests import planes

BASELINE = 0.5


@pytest.fixture(scope="module")
def pair():
    """Left and right image, uint8, and the left depth in metres."""
    beside = np.eye(4)
    beside[0, 3] = BASELINE
    left, depth = planes.render(np.eye(4))
    right, _ = planes.render(beside)
    left, right = (
        (im[0] * 255).round().astype(np.uint8) for im in (left, right)
    )
    return left, right, depth[0, ..., 0]


@pytest.mark.parametrize("unit", [1.0, 13.0, 0.2])
def test_the_scale_is_found_whatever_the_unit(pair, unit):
    left, right, depth = pair
    scale = scale_of_pair(
        left, right, depth / unit, planes.INTRINSICS, BASELINE
    )
    assert scale == pytest.approx(unit, rel=0.01)


def test_a_camera_to_the_left_has_a_negative_baseline(pair):
    left, right, _ = pair
    beside = np.eye(4)
    beside[0, 3] = BASELINE
    depth = planes.render(beside)[1][0, ..., 0]
    scale = scale_of_pair(right, left, depth, planes.INTRINSICS, -BASELINE)
    assert scale == pytest.approx(1.0, rel=0.01)


def test_a_third_of_wrong_depth_is_survived(pair, rng):
    left, right, depth = pair
    spoiled = np.repeat(rng.random((8, 128)) < 0.3, 8, axis=0)
    depth = np.where(spoiled, depth * 1.7, depth)
    scale = scale_of_pair(left, right, depth, planes.INTRINSICS, BASELINE)
    assert scale == pytest.approx(1.0, rel=0.03)


def test_a_picture_of_something_else_gives_no_scale(pair, rng):
    left, _, depth = pair
    other = rng.integers(0, 256, left.shape, dtype=np.uint8)
    assert (
        scale_of_pair(left, other, depth, planes.INTRINSICS, BASELINE) is None
    )


def test_images_of_two_sizes_are_refused(pair):
    left, right, depth = pair
    with pytest.raises(ValueError, match="128x64 and 128x60"):
        scale_of_pair(left, right[:60], depth, planes.INTRINSICS, BASELINE)

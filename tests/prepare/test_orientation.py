"""Turned and mirrored pictures, and their intrinsics with them."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from scdepth_tf.prepare.orientation import Orientation

SIZE = (5, 9)
INTRINSICS = np.array([[2.0, 0, 3.5], [0, 1.5, 1.25], [0, 0, 1]])


@pytest.mark.parametrize("code", range(1, 9))
def test_exif_codes_show_what_pillow_shows(rng, code):
    stored = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = code
    orientation = Orientation.from_exif(code)
    shown = orientation.show(stored)
    np.testing.assert_array_equal(shown, ImageOps.exif_transpose(image))
    assert orientation.show_size(SIZE) == shown.shape[:2]
    np.testing.assert_array_equal(orientation.store(shown), stored)


@pytest.mark.parametrize("code", range(1, 9))
def test_intrinsics_turn_with_the_picture(code):
    """Every pixel looks along its old ray, turned as the picture is."""
    orientation = Orientation.from_exif(code)
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    x = (u - INTRINSICS[0, 2]) / INTRINSICS[0, 0]
    y = (v - INTRINSICS[1, 2]) / INTRINSICS[1, 1]
    if orientation.mirrored:
        x = -x
    for _ in range(orientation.quarter_turns):
        x, y = y, -x  # counterclockwise, Y pointing down
    expected = orientation.show(np.stack([x, y], axis=-1))

    turned = orientation.show_intrinsics(INTRINSICS, SIZE)
    height, width = orientation.show_size(SIZE)
    v, u = np.mgrid[:height, :width]
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    rays = pixels @ np.linalg.inv(turned).T
    np.testing.assert_allclose(rays[..., :2], expected, atol=1e-12)

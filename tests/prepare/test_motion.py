"""Motion between frames: known shifts, rotations, noise."""

import cv2
import numpy as np
import pytest

from scdepth_tf.prepare.motion import Picture, measure_motion
from tests.prepare import clips

SIZE = (240, 320)
INTRINSICS = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])


def picture(image):
    return Picture.of(image, INTRINSICS)


def noisy(image, rng, sigma=4):
    return (
        (image + rng.normal(0, sigma, image.shape))
        .clip(0, 255)
        .astype(np.uint8)
    )


@pytest.mark.parametrize("shift", [2, 10, 25])
def test_a_shift_is_measured_in_percent_of_the_width(shift):
    before, after = (clips.view(x, size=SIZE) for x in (100, 100 + shift))
    motion = measure_motion(picture(before), picture(after))
    assert motion.displacement == pytest.approx(100 * shift / 320, rel=0.05)
    assert motion.tracked > 0.7


def test_rotation_is_motion_but_no_parallax():
    image = clips.view(100, size=SIZE)
    rotation, _ = cv2.Rodrigues(np.array([0.02, -0.05, 0.04]))
    homography = INTRINSICS @ rotation @ np.linalg.inv(INTRINSICS)
    turned = cv2.warpPerspective(image, homography, SIZE[::-1])
    motion = measure_motion(picture(image), picture(turned))
    assert motion.displacement > 4
    assert motion.parallax < 0.1


def test_a_near_thing_before_a_far_one_is_parallax():
    def seen(shift):
        image = clips.view(100 + shift, size=SIZE).copy()
        image[120:] = clips.view(100 + 6 * shift, 1, size=SIZE)[120:]
        return picture(image)

    motion = measure_motion(seen(0), seen(3))
    assert motion.parallax > 1


def test_noise_on_a_still_picture_is_no_motion(rng):
    image = clips.view(100, size=SIZE)
    motion = measure_motion(
        picture(noisy(image, rng)), picture(noisy(image, rng))
    )
    assert motion.displacement < 0.1
    assert motion.tracked > 0.9


def test_different_pictures_have_nothing_in_common():
    motion = measure_motion(
        picture(clips.view(100, 0, SIZE)), picture(clips.view(100, 1, SIZE))
    )
    assert motion.tracked < 0.15


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_empty_picture_is_featureless(grey):
    empty = picture(np.full((*SIZE, 3), grey, np.uint8))
    assert empty.featureless
    motion = measure_motion(empty, picture(clips.view(100, size=SIZE)))
    assert motion.tracked == 0

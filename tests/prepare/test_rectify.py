"""Undistorting and resizing: a point of the world falls where the written
intrinsics say.
"""

import cv2
import numpy as np
import pytest

from scdepth_tf.prepare.calibration import Calibration
from scdepth_tf.prepare.orientation import Orientation
from scdepth_tf.prepare.rectify import (
    Geometry,
    Rectifier,
    scale_intrinsics,
    written_size,
)

SIZE = (480, 640)
MATRIX = np.array([[400.0, 0, 330.0], [0, 410.0, 236.0], [0, 0, 1]])
LENSES = {
    "plumb_bob": ("polynomial", [-0.25, 0.08, 0.003, -0.002, 0.0]),
    "rational": (
        "polynomial",
        [0.1, -0.05, 0.001, 0.001, 0.01, 0.35, -0.02, 0.01],
    ),
    "equidistant": ("fisheye", [0.02, -0.01, 0.003, -0.001]),
    "none": ("polynomial", []),
}


def calibration(lens, **kwargs):
    model, coefficients = LENSES[lens]
    return Calibration(
        **{
            "matrix": MATRIX,
            "origin": "camera.yaml",
            "image_size": SIZE,
            "distortion": np.array(coefficients),
            "model": model,
        }
        | kwargs
    )


def seen(lens, point):
    """Pixel at which OpenCV's camera model sees a point [3]."""
    model, coefficients = LENSES[lens]
    points, zero = np.array(point, float).reshape(1, 1, 3), np.zeros(3)
    coefficients = np.array(coefficients)
    project = cv2.fisheye.projectPoints if model == "fisheye" else None
    if project:
        pixels, _ = project(points, zero, zero, MATRIX, coefficients)
    else:
        pixels, _ = cv2.projectPoints(
            points,
            zero,
            zero,
            MATRIX,
            coefficients if len(coefficients) else None,
        )
    return pixels.ravel()


def spot(pixel, size=SIZE):
    """A black picture with a soft white spot at a pixel (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2
    grey = 255 * np.exp(-distance / (2 * 3.0**2))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def centre(image):
    """Centre of mass (x, y) of the spot."""
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def project(intrinsics, point):
    return (intrinsics @ point)[:2] / point[2]


POINTS = [(0.0, 0.0, 2.0), (0.5, -0.3, 1.5), (-0.4, 0.35, 1.2)]


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("written", [SIZE, (240, 320)])
def test_points_fall_where_the_written_intrinsics_say(lens, written):
    geometry = Geometry(SIZE, Orientation(), written)
    rectifier = Rectifier(calibration(lens), geometry, "displayed")
    for point in POINTS:
        image = rectifier(spot(seen(lens, point)))
        assert image.shape == (*written, 3)
        expected = project(rectifier.intrinsics, np.array(point))
        np.testing.assert_allclose(centre(image), expected, atol=0.15)


def test_undistorted_pictures_have_no_black_corners():
    for lens in ("plumb_bob", "rational", "equidistant"):
        geometry = Geometry(SIZE, Orientation(), SIZE)
        rectifier = Rectifier(calibration(lens), geometry, "displayed")
        image = rectifier(np.full((*SIZE, 3), 200, np.uint8))
        assert (image == 200).mean() > 0.995


@pytest.mark.parametrize("lens", ["plumb_bob", "equidistant"])
def test_a_calibration_of_the_stored_picture_turns_with_it(lens):
    """Phone video: stored landscape, shown portrait, a quarter turn
    counterclockwise: (x, y) becomes (y, -x).
    """
    orientation = Orientation(1)
    geometry = Geometry(SIZE, orientation, (640, 480))
    rectifier = Rectifier(calibration(lens), geometry, "displayed")
    assert any("as stored" in note for note in rectifier.notes)
    for point in POINTS:
        displayed = orientation.show(spot(seen(lens, point)))
        turned = np.array([point[1], -point[0], point[2]])
        expected = project(rectifier.intrinsics, turned)
        np.testing.assert_allclose(
            centre(rectifier(displayed)), expected, atol=0.15
        )


def test_intrinsics_without_a_size_belong_to_what_the_user_says():
    geometry = Geometry(SIZE, Orientation(1), (640, 480))
    given = calibration("none", image_size=None, origin="--intrinsics")
    shown = Rectifier(given, geometry, "displayed").intrinsics
    np.testing.assert_allclose(shown, MATRIX)
    stored = Rectifier(given, geometry, "stored").intrinsics
    np.testing.assert_allclose(stored[0, 0], MATRIX[1, 1])
    np.testing.assert_allclose(stored[0, 2], MATRIX[1, 2])


def test_a_calibration_of_another_size_is_scaled_and_said_so():
    geometry = Geometry((240, 320), Orientation(), (240, 320))
    rectifier = Rectifier(calibration("none"), geometry, "displayed")
    np.testing.assert_allclose(
        rectifier.intrinsics, scale_intrinsics(MATRIX, SIZE, (240, 320))
    )
    assert rectifier.notes == ["camera.yaml is for 640x480: scaled to 320x240"]


def test_another_aspect_ratio_is_refused():
    geometry = Geometry((360, 640), Orientation(), (360, 640))
    with pytest.raises(ValueError, match=r"640x480.*640x360"):
        Rectifier(calibration("none"), geometry, "displayed")


def test_coefficients_that_fold_the_picture_are_refused():
    geometry = Geometry(SIZE, Orientation(), SIZE)
    wrong = calibration("none", distortion=np.array([-4.0, 1.0, 0, 0, 0]))
    with pytest.raises(ValueError, match="distortion coefficients"):
        Rectifier(wrong, geometry, "displayed")


def test_a_principal_point_outside_the_picture_is_refused():
    geometry = Geometry((240, 320), Orientation(), (240, 320))
    wrong = calibration("none", image_size=None)
    with pytest.raises(ValueError, match="principal point"):
        Rectifier(wrong, geometry, "displayed")


def test_the_longest_side_shrinks_and_nothing_grows():
    assert written_size((1080, 1920), 832) == (468, 832)
    assert written_size((1920, 1080), 832) == (832, 468)
    assert written_size((480, 640), 832) == (480, 640)
    assert written_size((3, 4001), 400) == (1, 400)

"""Calibration files of every form, and options."""

import json

import cv2
import numpy as np
import pytest

from scdepth_tf.config import PrepareConfig
from scdepth_tf.prepare import read_calibration
from scdepth_tf.prepare.calibration import describe_camera

MATRIX = np.array([[700.0, 0, 639.5], [0, 710, 359.5], [0, 0, 1]])
COEFFICIENTS = np.array([-0.3, 0.1, 0.001, -0.002, 0.0])
SIZE = (720, 1280)
CLEAR = "expected OpenCV"


def write_opencv(path):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", SIZE[1])
    storage.write("image_height", SIZE[0])
    storage.write("camera_matrix", MATRIX)
    storage.write("distortion_coefficients", COEFFICIENTS[:, None])
    storage.release()
    return path


ROS = """\
image_width: 1280
image_height: 720
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [700., 0., 639.5, 0., 710., 359.5, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, -0.002, 0.0]
"""
ROS_MESSAGE = """\
height: 720
width: 1280
distortion_model: plumb_bob
D: [-0.3, 0.1, 0.001, -0.002, 0.0]
K: [700., 0., 639.5, 0., 710., 359.5, 0., 0., 1.]
"""
KALIBR = """\
cam0:
  camera_model: pinhole
  intrinsics: [700., 710., 639.5, 359.5]
  distortion_model: radtan
  distortion_coeffs: [-0.3, 0.1, 0.001, -0.002]
  resolution: [1280, 720]
"""


def write_form(folder, form):
    path = folder / f"{form}.yaml"
    if form.startswith("opencv"):
        return write_opencv(folder / f"camera.{form[7:]}")
    if form == "plain":
        content = {
            "K": MATRIX.tolist(),
            "dist_coeffs": COEFFICIENTS.tolist(),
            "image_size": [1280, 720],
        }
        path = folder / "camera.json"
        path.write_text(json.dumps(content))
        return path
    texts = {"ros": ROS, "message": ROS_MESSAGE, "kalibr": KALIBR}
    path.write_text(texts[form])
    return path


@pytest.mark.parametrize(
    "form", ["opencv_yaml", "opencv_json", "plain", "ros", "message", "kalibr"]
)
def test_every_form_says_the_same(tmp_path, form):
    calibration = read_calibration(write_form(tmp_path, form))
    np.testing.assert_allclose(calibration.matrix, MATRIX)
    length = len(calibration.distortion)
    np.testing.assert_allclose(calibration.distortion, COEFFICIENTS[:length])
    assert length == (4 if form == "kalibr" else 5)
    assert calibration.image_size == SIZE
    assert calibration.model == "polynomial"
    assert calibration.distorts


def test_equidistant_is_the_fisheye_model(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(KALIBR.replace("radtan", "equidistant"))
    assert read_calibration(path).model == "fisheye"


def test_a_matrix_as_text_is_a_camera_without_distortion(tmp_path):
    path = tmp_path / "cam.txt"
    np.savetxt(path, MATRIX)
    calibration = read_calibration(path)
    np.testing.assert_allclose(calibration.matrix, MATRIX)
    assert not calibration.distorts
    assert calibration.image_size is None


def test_one_of_several_cameras_must_be_chosen(tmp_path):
    path = tmp_path / "camchain.yaml"
    second = KALIBR.replace("cam0", "cam1").replace("700.", "800.")
    path.write_text(KALIBR + second)
    with pytest.raises(ValueError, match=r"cam0, cam1.*--camera"):
        read_calibration(path)
    with pytest.raises(ValueError, match="no cam7"):
        read_calibration(path, "cam7")
    assert read_calibration(path, "cam1").matrix[0, 0] == 800


WRONG = {
    "not YAML": ("a.yaml", "a: [1, 2", "not YAML"),
    "not JSON": ("a.json", "{", "not JSON"),
    "another format": ("a.xml", "<opencv_storage/>", CLEAR),
    "other keys": ("a.yaml", "a: 1\nb: 2\n", "it holds a, b"),
    "a list": ("a.json", "[1, 2]", CLEAR),
    "empty": ("a.yaml", "", CLEAR),
    "short matrix": ("a.json", '{"K": [1, 2, 3]}', "3 numbers"),
    "no numbers": ("a.json", '{"K": ["x"]}', "not a list of finite numbers"),
    "negative focal length": (
        "a.json",
        '{"K": [-5, 0, 1, 0, 5, 1, 0, 0, 1]}',
        "must be positive",
    ),
    "strange coefficients": (
        "a.json",
        '{"K": [5, 0, 1, 0, 5, 1, 0, 0, 1], "D": [1, 2, 3]}',
        "3 distortion coefficients",
    ),
    "unknown distortion": (
        "a.yaml",
        ROS.replace("plumb_bob", "fov"),
        "fov is not known",
    ),
    "unknown projection": (
        "a.yaml",
        KALIBR.replace("pinhole", "omni"),
        "only pinhole",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_clear_line(tmp_path, case):
    name, content, message = WRONG[case]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_calibration(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_binary_file_is_no_calibration(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=CLEAR):
        read_calibration(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        read_calibration(tmp_path / "absent.yaml")


def test_nothing_is_assumed_in_silence():
    with pytest.raises(ValueError, match="the camera is unknown") as caught:
        describe_camera(PrepareConfig(), SIZE, True)
    for option in ("--intrinsics", "--fov", "--calibration", "--assume-fov"):
        assert option in str(caught.value)


def test_two_cameras_are_one_too_many():
    with pytest.raises(ValueError, match="--fov and --assume-fov"):
        describe_camera(PrepareConfig(fov=60, assume_fov=60), SIZE, True)


@pytest.mark.parametrize("option", ["fov", "assume_fov"])
def test_a_field_of_view_spans_the_width(option):
    config = PrepareConfig(**{option: 90.0})
    calibration = describe_camera(config, (100, 200), True)
    expected = [[100, 0, 99.5], [0, 100, 49.5], [0, 0, 1]]
    np.testing.assert_allclose(calibration.matrix, expected)
    assert calibration.assumed == (option == "assume_fov")
    with pytest.raises(ValueError, match="square pixels"):
        describe_camera(config, (100, 200), False)


def test_principal_point_outside_the_picture_is_refused():
    config = PrepareConfig(intrinsics=f"700,700,{SIZE[1] + 200},20")
    with pytest.raises(ValueError, match="is not in the picture of") as error:
        describe_camera(config, SIZE, True)
    assert "\n" not in str(error.value)
    # Of a picture that is stored lying on its side.
    turned = PrepareConfig(intrinsics=f"700,700,{SIZE[0] / 2},{SIZE[1] / 2}")
    assert describe_camera(turned, SIZE, True).matrix[1, 2] == SIZE[1] / 2


def test_intrinsics_are_four_numbers():
    config = PrepareConfig(intrinsics="700,710,639.5,359.5")
    calibration = describe_camera(config, SIZE, True)
    np.testing.assert_allclose(calibration.matrix, MATRIX)
    for wrong in ("700", "a,b,c,d", "700,710,639.5,359.5,0"):
        with pytest.raises(ValueError, match="fx,fy,cx,cy"):
            describe_camera(PrepareConfig(intrinsics=wrong), SIZE, True)


@pytest.mark.parametrize("degrees", [0.0, -60.0, 180.0, float("nan")])
def test_an_impossible_field_of_view_is_refused(degrees):
    with pytest.raises(ValueError, match="--fov is"):
        describe_camera(PrepareConfig(fov=degrees), SIZE, True)

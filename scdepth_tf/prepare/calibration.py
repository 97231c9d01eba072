"""What is known of the camera: options and calibration files.

Read are OpenCV's FileStorage (YAML and JSON), ROS camera_info, Kalibr's
camchain, and a 3×3 matrix as text. Distortion models by their several names:
OpenCV's polynomial (`plumb_bob`, `radtan`, `rational_polynomial`) and its
fisheye (`equidistant`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scdepth_tf.config import PrepareConfig
from scdepth_tf.data import folder
from scdepth_tf.prepare import extras

_MATRIX = ("camera_matrix", "cameraMatrix", "K", "k", "intrinsic_matrix")
_COEFFICIENTS = (
    "distortion_coefficients",
    "distortion_coeffs",
    "dist_coeffs",
    "distCoeffs",
    "dist_coeff",
    "D",
    "d",
)
_SIZE = ("image_size", "imageSize", "resolution")
_POLYNOMIAL = (
    "plumb_bob",
    "radtan",
    "rational_polynomial",
    "pinhole",
    "opencv",
    "",
)
_FISHEYE = ("equidistant", "fisheye")
_POLYNOMIAL_LENGTHS = (0, 4, 5, 8, 12, 14)
_FORMATS = (
    "expected OpenCV (camera_matrix, distortion_coefficients), ROS camera_info "
    "(image_width, camera_matrix or K) or Kalibr (cam0: intrinsics, …) as "
    ".yaml or .json, or a 3x3 matrix as .txt"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """A camera as its user describes it."""

    matrix: np.ndarray
    """[3, 3] float64, pixels of `image_size`."""

    origin: str
    """Where this is from, for people."""

    image_size: tuple[int, int] | None = None
    """Height and width; None: not said."""

    distortion: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0)
    )
    """Coefficients in OpenCV's order; empty: none."""

    model: Literal["polynomial", "fisheye"] = "polynomial"
    """What the coefficients mean."""

    assumed: bool = False
    """A guess of the user, no knowledge."""

    @property
    def distorts(self) -> bool:
        """There is something to undo."""
        return self.model == "fisheye" or bool(np.any(self.distortion))


def chosen_way(config: PrepareConfig) -> str:
    """The one way in which the camera is told.

    Raises:
        ValueError: it is told in no way or in several.
    """
    ways = ("intrinsics", "fov", "calibration", "assume_fov")
    given = [way for way in ways if getattr(config, way) is not None]
    if not given:
        raise ValueError(
            "the camera is unknown: give --intrinsics fx,fy,cx,cy, or --fov "
            "DEGREES, or --calibration FILE; if nothing is known, say so with "
            "--assume-fov 60"
        )
    if len(given) > 1:
        options = " and ".join(f"--{way.replace('_', '-')}" for way in given)
        raise ValueError(f"{options} both describe the camera; give one")
    return given[0]


def describe_camera(
    config: PrepareConfig, displayed: tuple[int, int], square_pixels: bool
) -> Calibration:
    """The camera that the options describe.

    Args:
        config: the options.
        displayed: height and width of the displayed picture.
        square_pixels: of the footage.

    Raises:
        FileNotFoundError: the calibration file is missing.
        ValueError: the options or the file cannot be used.
    """
    way = chosen_way(config)
    if config.camera and way != "calibration":
        raise ValueError("--camera names a camera of --calibration; give both")
    if way == "calibration":
        return read_calibration(Path(config.calibration), config.camera)
    if way == "intrinsics":
        matrix = _parse_intrinsics(config.intrinsics)
        _check_center(matrix, displayed)
        return Calibration(matrix, f"--intrinsics {config.intrinsics}")
    degrees = getattr(config, way)
    option = f"--{way.replace('_', '-')}"
    if not 1 < degrees < 170:
        raise ValueError(
            f"{option} is {degrees:g}; give the horizontal field of view in "
            "degrees, more than 1 and less than 170"
        )
    if not square_pixels:
        raise ValueError(
            f"{option} supposes square pixels, but those of this footage are "
            "not; give --intrinsics or --calibration"
        )
    return Calibration(
        matrix_of_fov(degrees, displayed),
        f"{option} {degrees:g}",
        displayed,
        assumed=way == "assume_fov",
    )


def matrix_of_fov(degrees: float, image_size: tuple[int, int]) -> np.ndarray:
    """Intrinsics [3, 3] of square pixels and a centred principal point.

    Args:
        degrees: horizontal, over the full width W of the pixels' area.
        image_size: height and width.
    """
    height, width = image_size
    focal = width / 2 / math.tan(math.radians(degrees) / 2)
    return np.array(
        [
            [focal, 0, (width - 1) / 2],
            [0, focal, (height - 1) / 2],
            [0, 0, 1],
        ]
    )


def read_calibration(path: Path, camera: str | None = None) -> Calibration:
    """Read a calibration file.

    Args:
        path: .yaml, .yml, .json or .txt.
        camera: which one, where the file has several.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a calibration that is understood.
        ModuleNotFoundError: a YAML file, and PyYAML is not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such calibration file; {_FORMATS}")
    if path.suffix.lower() == ".txt":
        return Calibration(folder.read_intrinsics(path), path.name)
    content = _load(path)
    cameras = {
        name: entry
        for name, entry in content.items()
        if isinstance(entry, dict) and "intrinsics" in entry
    }
    if cameras:
        return _from_kalibr(path, _choose(path, cameras, camera))
    if camera:
        raise ValueError(f"{path}: holds one camera; leave --camera out")
    return _from_opencv_or_ros(path, content)


def _load(path: Path) -> dict[str, Any]:
    suffix = path.suffix.lower()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: no text; {_FORMATS}") from None
    if suffix == ".json":
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error})") from None
    elif suffix in (".yaml", ".yml"):
        content = _load_yaml(path, text)
    else:
        raise ValueError(
            f"{path}: calibrations are not read from {suffix}; {_FORMATS}"
        )
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no named values; {_FORMATS}")
    return content


def _load_yaml(path: Path, text: str) -> Any:
    yaml = extras.load("yaml")

    class Loader(yaml.SafeLoader):
        """Knows OpenCV's tag for matrices: a mapping like any other."""

    Loader.add_constructor(
        "tag:yaml.org,2002:opencv-matrix",
        lambda loader, node: loader.construct_mapping(node, deep=True),
    )
    # "%YAML:1.0" is what OpenCV writes; YAML has a space there.
    text = re.sub(r"\A%YAML[^\n]*\n", "", text)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not YAML ({reason})") from None


def _choose(path: Path, cameras: dict, camera: str | None) -> dict:
    if camera is None and len(cameras) == 1:
        return next(iter(cameras.values()))
    if camera not in cameras:
        asked = "" if camera is None else f"no {camera}; "
        raise ValueError(
            f"{path}: {asked}it holds {', '.join(cameras)}: choose one with "
            "--camera"
        )
    return cameras[camera]


def _from_kalibr(path: Path, entry: dict) -> Calibration:
    kind = entry.get("camera_model", "pinhole")
    values = _numbers(path, "intrinsics", entry["intrinsics"])
    if kind != "pinhole" or len(values) != 4:
        raise ValueError(
            f"{path}: camera_model {kind} with {len(values)} intrinsics; only "
            "pinhole (with radtan or equidistant distortion) can be "
            "undistorted: calibrate with that"
        )
    fx, fy, cx, cy = values
    return _build(
        path,
        np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]),
        entry,
        entry.get("distortion_model", ""),
    )


def _from_opencv_or_ros(path: Path, content: dict) -> Calibration:
    name = next((key for key in _MATRIX if key in content), None)
    if name is None:
        keys = ", ".join(str(key) for key in list(content)[:6]) or "nothing"
        raise ValueError(f"{path}: {_FORMATS}; it holds {keys}")
    values = _numbers(path, name, content[name])
    if len(values) != 9:
        raise ValueError(
            f"{path}: {name} has {len(values)} numbers, expected 3x3"
        )
    model = content.get("distortion_model", "")
    if content.get("fisheye_model"):  # OpenCV's calibration sample
        model = "fisheye"
    return _build(path, values.reshape(3, 3), content, model)


def _build(
    path: Path, matrix: np.ndarray, content: dict, model: object
) -> Calibration:
    folder.check_intrinsics(matrix, path)
    name = next((key for key in _COEFFICIENTS if key in content), None)
    coefficients = np.zeros(0)
    if name and content[name] is not None:
        coefficients = _numbers(path, name, content[name])
    model = str(model or "").lower()
    if model == "none":
        model, coefficients = "", np.zeros(0)
    if model not in _POLYNOMIAL + _FISHEYE:
        raise ValueError(
            f"{path}: the distortion model {model} is not known; expected "
            "plumb_bob or radtan, rational_polynomial, or equidistant (fisheye)"
        )
    fisheye = model in _FISHEYE
    lengths = (4,) if fisheye else _POLYNOMIAL_LENGTHS
    if len(coefficients) not in lengths:
        raise ValueError(
            f"{path}: {len(coefficients)} distortion coefficients for "
            f"{model or 'the polynomial model'}, expected "
            f"{' or '.join(str(length) for length in lengths)}"
        )
    return Calibration(
        matrix,
        path.name,
        _size(path, content),
        coefficients,
        "fisheye" if fisheye else "polynomial",
    )


def _size(path: Path, content: dict) -> tuple[int, int] | None:
    """Height and width; files have them as width and height."""
    for prefix in ("image_", ""):
        width, height = (
            content.get(f"{prefix}{side}") for side in ("width", "height")
        )
        if width and height:
            break
    else:
        name = next((key for key in _SIZE if key in content), None)
        if name is None:
            return None
        values = _numbers(path, name, content[name])
        if len(values) != 2:
            raise ValueError(
                f"{path}: {name} has {len(values)} numbers, expected width and "
                "height"
            )
        width, height = values
    size = _numbers(path, "image size", [height, width])
    if (size < 1).any():
        raise ValueError(f"{path}: image size {width}x{height} is impossible")
    return int(size[0]), int(size[1])


def _numbers(path: Path, name: str, value: object) -> np.ndarray:
    """A list, a nested list, or OpenCV's {rows, cols, data}, flat float64."""
    if isinstance(value, dict):
        value = value.get("data")
    try:
        numbers = np.array(value, np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise ValueError(f"{path}: {name} is not a list of finite numbers")
    return numbers


def _check_center(matrix: np.ndarray, displayed: tuple[int, int]) -> None:
    # Either way up: they may belong to the picture as it is stored.
    shown = sorted(displayed)
    center = matrix[:2, 2]
    if (np.sort(center) > shown).any() or (center < 0).any():
        height, width = displayed
        raise ValueError(
            f"--intrinsics: the principal point {center[0]:g},{center[1]:g} is "
            f"not in the picture of {width}x{height} pixels; give the "
            "intrinsics of this size (half the size, half of each number)"
        )


def _parse_intrinsics(text: str) -> np.ndarray:
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--intrinsics is {text!r}; give fx,fy,cx,cy in pixels, for "
            "instance 1450,1450,959.5,539.5"
        ) from None
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    folder.check_intrinsics(matrix, Path("--intrinsics"))
    return matrix

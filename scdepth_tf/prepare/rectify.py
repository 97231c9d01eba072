"""Displayed frames become pinhole pictures of the written size."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from scdepth_tf.prepare import extras
from scdepth_tf.prepare.calibration import Calibration
from scdepth_tf.prepare.orientation import Orientation

_LOG = logging.getLogger(__name__)

_SAME_ASPECT = 0.005
"""Relative: 1920x1080 and 1280x720 are, 1920x1088 is not."""
_LEAST_COVERED = 0.99


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Sizes of the footage."""

    stored: tuple[int, int]
    """Height and width in the file."""

    orientation: Orientation
    """From stored to displayed."""

    written: tuple[int, int]
    """Height and width to write."""

    @property
    def displayed(self) -> tuple[int, int]:
        """Height and width as players show it."""
        return self.orientation.show_size(self.stored)


def written_size(
    displayed: tuple[int, int], longest_side: int
) -> tuple[int, int]:
    """Height and width after making the longer side at most `longest_side`;
    nothing is enlarged.
    """
    scale = min(1.0, longest_side / max(displayed))
    height, width = (max(1, round(side * scale)) for side in displayed)
    return height, width


class Rectifier:
    """Removes lens distortion and resizes.

    Undistorted pictures show the largest area without black corners.

    Args:
        calibration: the camera, for a picture of any size of the same aspect
            ratio, displayed or stored.
        geometry: the footage.
        intrinsics_for: `displayed` or `stored`, where the calibration's size
            does not tell.

    Attributes:
        intrinsics: [3, 3] float64, pixels of the written pictures.
        notes: what was done to the calibration, for people.

    Raises:
        ValueError: the calibration is not one of this footage.
        ModuleNotFoundError: OpenCV is not installed.
    """

    def __init__(
        self, calibration: Calibration, geometry: Geometry, intrinsics_for: str
    ):
        self._cv2 = extras.load("cv2")
        self._geometry = geometry
        self.notes: list[str] = []
        self._stored = self._belongs_to_stored(calibration, intrinsics_for)
        size = geometry.stored if self._stored else geometry.displayed
        matrix = self._scaled(calibration, size)
        _check_principal_point(matrix, size, calibration.origin)
        self._maps = None
        if calibration.distorts:
            matrix, self._maps = self._undistortion(calibration, matrix, size)
        if self._stored:
            matrix = geometry.orientation.show_intrinsics(matrix, size)
        self.intrinsics = scale_intrinsics(
            matrix, geometry.displayed, geometry.written
        )

    def __call__(self, displayed: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] as displayed to uint8 [h, w, 3] as written."""
        image = displayed
        if self._maps is not None:
            orientation = self._geometry.orientation
            if self._stored:
                image = orientation.store(image)
            image = self._cv2.remap(image, *self._maps, self._cv2.INTER_LINEAR)
            if self._stored:
                image = orientation.show(image)
        height, width = self._geometry.written
        if image.shape[:2] != (height, width):
            image = self._cv2.resize(
                image, (width, height), interpolation=self._cv2.INTER_AREA
            )
        return image

    def _belongs_to_stored(
        self, calibration: Calibration, intrinsics_for: str
    ) -> bool:
        stored, displayed = self._geometry.stored, self._geometry.displayed
        if calibration.image_size is None:
            chosen = stored if intrinsics_for == "stored" else displayed
            if not calibration.origin.startswith("--"):
                self._note(
                    f"{calibration.origin} names no image size: taken for the "
                    f"{intrinsics_for} {chosen[1]}x{chosen[0]} picture"
                )
            return intrinsics_for == "stored"
        fits_stored = _same_aspect(calibration.image_size, stored)
        fits_displayed = _same_aspect(calibration.image_size, displayed)
        if not (fits_stored or fits_displayed):
            height, width = calibration.image_size
            raise ValueError(
                f"{calibration.origin}: is for {width}x{height} pictures, the "
                f"footage has {displayed[1]}x{displayed[0]}: another aspect "
                "ratio is another crop; calibrate in the mode of the footage"
            )
        if fits_stored and fits_displayed:
            return intrinsics_for == "stored"
        if fits_stored:
            self._note(
                f"{calibration.origin} is for the picture as stored: turned "
                "with it"
            )
        return fits_stored

    def _scaled(
        self, calibration: Calibration, size: tuple[int, int]
    ) -> np.ndarray:
        given = calibration.image_size
        if given is None or given == size:
            return calibration.matrix
        self._note(
            f"{calibration.origin} is for {given[1]}x{given[0]}: scaled to "
            f"{size[1]}x{size[0]}"
        )
        return scale_intrinsics(calibration.matrix, given, size)

    def _undistortion(
        self,
        calibration: Calibration,
        matrix: np.ndarray,
        size: tuple[int, int],
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        cv2, shape = self._cv2, size[::-1]
        coefficients = calibration.distortion
        if calibration.model == "fisheye":
            new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
                matrix, coefficients, shape, np.eye(3), balance=0.0
            )
            maps = cv2.fisheye.initUndistortRectifyMap(
                matrix, coefficients, np.eye(3), new, shape, cv2.CV_32FC1
            )
        else:
            new, _ = cv2.getOptimalNewCameraMatrix(
                matrix, coefficients, shape, alpha=0
            )
            maps = cv2.initUndistortRectifyMap(
                matrix, coefficients, None, new, shape, cv2.CV_32FC1
            )
        x, y = maps
        # The outermost half pixel is repeated, not black.
        inside = (x > -1) & (x < shape[0]) & (y > -1) & (y < shape[1])
        # Beyond the polynomial's turning point the picture is folded over.
        unfolded = (np.diff(x, axis=1) > 0).mean()
        if min(inside.mean(), unfolded) < _LEAST_COVERED:
            raise ValueError(
                f"{calibration.origin}: its distortion coefficients fold or "
                "empty the picture; are they of another distortion model or "
                "in another order?"
            )
        self._note(f"lens distortion ({calibration.model} model) removed")
        return new, cv2.convertMaps(x, y, cv2.CV_16SC2)

    def _note(self, line: str) -> None:
        self.notes.append(line)
        _LOG.info("%s", line)


def scale_intrinsics(
    intrinsics: np.ndarray,
    before: tuple[int, int],
    after: tuple[int, int],
) -> np.ndarray:
    """Intrinsics [3, 3] after resizing from one height and width to another:
    fx·s, (cx + 0.5)·s − 0.5, as `geometry.scale_intrinsics`.
    """
    y, x = after[0] / before[0], after[1] / before[1]
    resize = [[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]]
    return np.array(resize) @ intrinsics


def _same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    ratio = one[1] * other[0] / (one[0] * other[1])
    return abs(ratio - 1) < _SAME_ASPECT


def _check_principal_point(
    matrix: np.ndarray, size: tuple[int, int], origin: str
) -> None:
    cx, cy = matrix[0, 2], matrix[1, 2]
    if not (0 < cx < size[1] and 0 < cy < size[0]):
        raise ValueError(
            f"{origin}: the principal point ({cx:g}, {cy:g}) lies outside the "
            f"{size[1]}x{size[0]} picture; intrinsics are in pixels of the "
            "footage, are these of another size?"
        )

"""The scale from lengths that somebody measured between two seen points."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np

from scdepth_tf.metrics.depth import resize_depth

FORM = "FRAME,x1,y1,x2,y2,METRES"
_KEYS = ("frame", "x1", "y1", "x2", "y2", "metres")


@dataclasses.dataclass(frozen=True)
class MeasuredDistance:
    """A length between two points that a frame shows."""

    frame: str
    """Its file name without ending, or SCENE/FRAME."""

    start: tuple[float, float]
    """(x, y) in pixels of the file; (0, 0) is the centre of its top-left
    pixel."""

    end: tuple[float, float]
    metres: float


def parse_distance(text: str) -> MeasuredDistance:
    """FRAME,x1,y1,x2,y2,METRES.

    Raises:
        ValueError: it is something else.
    """
    return _distance(dict(zip(_KEYS, text.split(","), strict=False)), text)


def read_distances(path: str | Path) -> list[MeasuredDistance]:
    """A .json file (a list of objects) or a .csv file (a header, then rows)
    with frame, x1, y1, x2, y2 and metres.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give a .json or .csv")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix.lower() == ".json":
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error})") from None
    else:
        rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: holds no distances; each has {FORM}")
    return [_distance(row, f"{path}: {row}") for row in rows]


def scale_of_distance(
    distance: MeasuredDistance,
    depth: np.ndarray,
    intrinsics: np.ndarray,
    image_size: tuple[int, int],
) -> float:
    """Metres / length between the predicted points.

    Args:
        distance: of this frame.
        depth: predicted, `[h, w]`, scene units.
        intrinsics: `[3, 3]` in pixels of the file.
        image_size: height and width of the file.

    Raises:
        ValueError: a point is outside of the image, or both are one.
    """
    full = resize_depth(depth, image_size, "disparity")
    ends = [
        _point(pixel, full, intrinsics, distance.frame)
        for pixel in (distance.start, distance.end)
    ]
    length = float(np.linalg.norm(ends[1] - ends[0]))
    if not length > 0:
        raise ValueError(
            f"the distance in {distance.frame} is between a point and itself; "
            "give two pixels"
        )
    return distance.metres / length


def _point(
    pixel: tuple[float, float],
    depth: np.ndarray,
    intrinsics: np.ndarray,
    frame: str,
) -> np.ndarray:
    """`[3]` in the camera's frame; disparity is interpolated."""
    height, width = depth.shape
    x, y = pixel
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise ValueError(
            f"the point ({x:g}, {y:g}) of the distance in {frame} is outside "
            f"of the image of {width}x{height} pixels"
        )
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    near = 1 / depth[top : top + 2, left : left + 2].astype(np.float64)
    across = np.array([left + 1 - x, x - left])
    down = np.array([top + 1 - y, y - top])
    return np.linalg.solve(intrinsics, [x, y, 1.0]) / (down @ near @ across)


def _distance(values: object, shown: str) -> MeasuredDistance:
    try:
        numbers = [float(values[key]) for key in _KEYS[1:]]
        frame = str(values["frame"]).strip()
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"expected a distance as {FORM}, got {shown}"
        ) from None
    x1, y1, x2, y2, metres = numbers
    if not (np.isfinite(numbers).all() and metres > 0):
        raise ValueError(f"expected a length > 0 in metres, got {shown}")
    return MeasuredDistance(frame, (x1, y1), (x2, y2), metres)

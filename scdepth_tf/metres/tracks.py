"""Where or how fast the camera was, from a GPS recorder or a speedometer.

.gpx: track points with times (GPX 1.0 and 1.1; phones, watches, dash cams).
.csv: a header and rows; columns `time` and either `lat` and `lon` (degrees) or
`speed` (metres a second). Times are seconds, or ISO 8601.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

_SEMI_MAJOR = 6378137.0
_FLATTENING = 1 / 298.257223563
_ALIASES = {
    "time": ("time", "timestamp", "t"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "speed": ("speed",),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """Positions or distances, in time order."""

    times: np.ndarray
    """`[N]` seconds by the recorder's clock, growing; since 1970 (UTC) where
    the file gives dates."""

    positions: np.ndarray | None
    """`[N, 3]` metres, level: X east, Y south of the first fix, Z 0. Height
    by GPS is too poor to use; a slope of 10 % makes the way 0.5 % longer."""

    distances: np.ndarray | None
    """`[N]` metres along the road; where speeds are known."""


def read_track(path: str | Path) -> Track:
    """A .gpx or .csv file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no track; the line says what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give a .gpx or .csv")
    if path.suffix.lower() == ".gpx":
        times, columns = _read_gpx(path)
    elif path.suffix.lower() == ".csv":
        times, columns = _read_csv(path)
    else:
        raise ValueError(
            f"{path}: expected a .gpx or .csv file; convert it (gpsbabel does)"
        )
    _check(path, times, columns)
    if "speed" in columns:
        pieces = np.diff(times) * (columns["speed"][1:] + columns["speed"][:-1])
        distances = np.concatenate([[0.0], np.cumsum(pieces / 2)])
        return Track(times, None, distances)
    positions = level_positions(columns["lat"], columns["lon"])
    return Track(times, positions, None)


def seconds(text: str) -> float:
    """A time, as seconds: a number, or ISO 8601 (UTC where it says nothing)
    as seconds since 1970.

    Raises:
        ValueError: it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; expected seconds, or ISO 8601 such as "
            "2024-05-01T12:30:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def level_positions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Metres from the first fix on the plane that touches the WGS 84
    ellipsoid there.

    Args:
        latitude: `[N]` degrees.
        longitude: `[N]` degrees.

    Returns:
        `[N, 3]`: X east, Y south, Z 0.
    """
    lat, lon = np.radians(latitude), np.radians(longitude)
    squared_eccentricity = _FLATTENING * (2 - _FLATTENING)
    radius = _SEMI_MAJOR / np.sqrt(1 - squared_eccentricity * np.sin(lat) ** 2)
    earth = np.stack(
        [
            radius * np.cos(lat) * np.cos(lon),
            radius * np.cos(lat) * np.sin(lon),
            radius * (1 - squared_eccentricity) * np.sin(lat),
        ],
        axis=-1,
    )
    sin_lat, cos_lat = np.sin(lat[0]), np.cos(lat[0])
    sin_lon, cos_lon = np.sin(lon[0]), np.cos(lon[0])
    east = np.array([-sin_lon, cos_lon, 0.0])
    south = np.array([sin_lat * cos_lon, sin_lat * sin_lon, -cos_lat])
    moved = earth - earth[0]
    return np.stack([moved @ east, moved @ south, 0 * lat], axis=-1)


def _read_gpx(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not a GPX file ({error})") from None
    fixes = []
    for point in root.findall(".//{*}trkpt"):
        time = point.find("{*}time")
        if time is None or not time.text:
            raise ValueError(
                f"{path}: a track point has no time; export the recorded "
                "track, not a planned route"
            )
        try:
            place = float(point.attrib["lat"]), float(point.attrib["lon"])
        except (KeyError, ValueError):
            raise ValueError(
                f"{path}: the track point of {time.text} has no lat and lon "
                "in degrees; export the track again"
            ) from None
        fixes.append((_seconds(time.text, path), *place))
    if not fixes:
        raise ValueError(
            f"{path}: holds no track points (trkpt); export the recorded "
            "track, not a route or waypoints"
        )
    times, lat, lon = np.array(fixes).T
    return times, {"lat": lat, "lon": lon}


def _read_csv(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    rows = list(csv.reader(text.splitlines()))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    index = {
        name: header.index(alias)
        for name, aliases in _ALIASES.items()
        for alias in aliases
        if alias in header
    }
    wanted = ("speed",) if "speed" in index else ("lat", "lon")
    if "time" not in index or any(name not in index for name in wanted):
        raise ValueError(
            f"{path}: its first line must name the columns time and either "
            "lat and lon (degrees) or speed (metres a second); got "
            f"{','.join(header)[:60] or 'nothing'}"
        )
    values = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            numbers = [float(row[index[name]]) for name in wanted]
            values.append([_seconds(row[index["time"]], path), *numbers])
        except (IndexError, ValueError):
            raise ValueError(
                f"{path}: line {number} holds no {', '.join(wanted)} at a "
                f"time: {','.join(row)[:60]!r}; correct or delete it"
            ) from None
    columns = np.array(values).reshape(-1, 1 + len(wanted)).T
    return columns[0], dict(zip(wanted, columns[1:], strict=True))


def _seconds(text: str, path: Path) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check(
    path: Path, times: np.ndarray, columns: dict[str, np.ndarray]
) -> None:
    if len(times) < 2:
        raise ValueError(
            f"{path}: {len(times)} points; a track has two or more"
        )
    for name, values in {"time": times, **columns}.items():
        limit = {"lat": 90, "lon": 360}.get(name, np.inf)
        wrong = ~(np.isfinite(values) & (np.abs(values) <= limit))
        if name == "speed":
            wrong |= values < 0
        if wrong.any():
            raise ValueError(
                f"{path}: {name} of point {int(np.argmax(wrong)) + 1} is "
                f"{values[wrong][0]:g}; correct or delete the line"
            )
    backwards = np.diff(times) <= 0
    if backwards.any():
        raise ValueError(
            f"{path}: the time of point {int(np.argmax(backwards)) + 2} is not "
            "later than the one before; sort the points and delete "
            "those that are twice there"
        )

"""The page of `scdepth view`: one file that shows a finished prediction.

Everything is inside: the video as it is, the path, and a sample of the points,
packed. It opens from a disk or a mail, and its rules let it ask for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scdepth_tf.files import check_can_write, write_whole
from scdepth_tf.web.site import packed

FILE = "view.html"

_DESCRIPTION = "predict.json"
_VIDEO = "depth.mp4"
_TRAJECTORY = "trajectory.txt"
_TIMES = "trajectory.tum"
_CLOUD = "cloud.ply"

_SCRIPTS = ("unpack.js", "facts.js", "gl.js", "orbit.js", "view.js")
_STYLES = ("style.css", "view.css")

_MOST_POINTS = 400_000
"""More than fill a screen; 9 bytes each before compression."""

_LARGEST_VIDEO = 200e6
"""Browsers refuse pages of several hundred MB."""

_POINT = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])


class _About(NamedTuple):
    """What predict.json says about a sequence."""

    producer: str
    name: str
    image_size: tuple[int, int]
    depth_size: tuple[int, int]
    intrinsics: list[list[float]] | None
    median_depth: float
    unit: str
    voxel: float


def write_view(results: str | Path) -> list[Path]:
    """Write view.html beside the outputs of `scdepth predict`.

    Args:
        results: the folder that `scdepth predict` made.

    Returns:
        The page of each sequence.

    Raises:
        FileNotFoundError: no such folder, or not of `scdepth predict`.
        ValueError: there is no trajectory, a file is damaged or too large, or
            the page cannot be written.
    """
    results = Path(results)
    description = results / _DESCRIPTION
    if not description.is_file():
        raise FileNotFoundError(
            f"no {_DESCRIPTION} in {results}; expected the folder that"
            " `scdepth predict` made"
        )
    try:
        described = json.loads(description.read_text("utf-8"))
        sequences = {
            name: _About(
                producer=described["producer"],
                name=name,
                image_size=facts["image_size"],
                depth_size=facts["depth_size"],
                intrinsics=facts["intrinsics"],
                median_depth=facts["depth_percentiles"]["50"],
                unit=facts.get("unit", "scene units").split(",")[0],
                voxel=facts.get("voxel") or 0.0,
            )
            for name, facts in described["sequences"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{description} is damaged; run `scdepth predict` again"
        ) from error
    if not sequences:
        raise ValueError(
            f"{results} holds no finished sequence; run the same `scdepth"
            " predict` again to go on"
        )
    pages = []
    for name, about in sequences.items():
        folder = results
        if len(sequences) > 1:
            folder = results / name.replace("/", "_")
        check_can_write(folder / FILE)
        write_whole(folder / FILE, _page(folder, about))
        pages.append(folder / FILE)
    return pages


def _page(folder: Path, sequence: _About) -> str:
    poses, times = _read_trajectory(folder)
    video = _read_video(folder)
    points, cloud = _read_cloud(folder)
    height, width = sequence.image_size
    # Without a known camera the pyramid in the picture is of a usual one.
    focal = sequence.intrinsics[0][0] if sequence.intrinsics else 0.8 * width
    steps = np.diff(poses[:, :, 3], axis=0)
    about = {
        "frames": len(poses),
        "poses": np.round(poses.reshape(-1, 12), 6).tolist(),
        "times": times.tolist(),
        "path": float(np.linalg.norm(steps, axis=1).sum()),
        "median_depth": sequence.median_depth,
        "unit": sequence.unit,
        "voxel": sequence.voxel,
        "across": width / 2 / focal,
        "down": height / 2 / focal,
        "video": bool(video),
        "producer": sequence.producer,
        "image_size": sequence.image_size,
        "depth_size": sequence.depth_size,
        **cloud,
    }
    scripts = [_read(name) for name in _SCRIPTS]
    style = "\n".join(_read(name) for name in _STYLES)
    parts = {
        "@SCRIPTS@": " ".join(map(_source_of, scripts)),
        "@STYLES@": _source_of(style),
        "@STYLE@": style,
        "@TITLE@": html.escape(sequence.name),
        "@ICON@": base64.b64encode(_read("icon.svg").encode()).decode(),
        # "</script" in a name would end the block.
        "@ABOUT@": json.dumps(about).replace("<", "\\u003c"),
        "@POINTS@": points,
        "@FILM@": video,
        "@CODE@": "\n".join(f"<script>{code}</script>" for code in scripts),
    }
    page = _read("view.html")
    for name, content in parts.items():
        page = page.replace(name, content)
    return page


def _read_trajectory(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Poses [N, 3, 4] world_from_camera and seconds [N]."""
    path = folder / _TRAJECTORY
    if not path.is_file() or not (folder / _TIMES).is_file():
        raise ValueError(
            f"{folder} has no trajectory; run `scdepth predict` with --write"
            " video trajectory cloud"
        )
    try:
        poses = np.loadtxt(path, ndmin=2).reshape(-1, 3, 4)
        times = np.loadtxt(folder / _TIMES, ndmin=2)[:, 0]
    except ValueError as error:
        raise ValueError(f"{path} or {_TIMES} is damaged: {error}") from error
    if len(poses) != len(times):
        raise ValueError(
            f"{path} has {len(poses)} poses, {_TIMES} beside it {len(times)}"
        )
    return poses, times


def _read_video(folder: Path) -> str:
    """Base64; empty where there is none."""
    path = folder / _VIDEO
    if not path.is_file():
        return ""
    if path.stat().st_size > _LARGEST_VIDEO:
        raise ValueError(
            f"{path} has {path.stat().st_size / 1e6:.0f} MB, more than browsers"
            f" open in a page ({_LARGEST_VIDEO / 1e6:.0f}); move it away to see"
            " path and points alone"
        )
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _read_cloud(folder: Path) -> tuple[str, dict[str, Any]]:
    """Packed points (positions as uint16 in a box, then colours) and the
    box.
    """
    path = folder / _CLOUD
    if not path.is_file():
        return "", {"points": 0, "points_in_file": 0}
    points = _read_ply(path)
    chosen = points
    if len(points) > _MOST_POINTS:
        rng = np.random.default_rng(0)
        chosen = points[np.sort(rng.choice(len(points), _MOST_POINTS, False))]
    positions = chosen["position"].astype(np.float64)
    low, high = np.zeros(3), np.ones(3)
    if len(chosen):
        low, high = positions.min(axis=0), positions.max(axis=0)
    codes = np.rint(65535 * (positions - low) / np.maximum(high - low, 1e-9))
    content = codes.astype("<u2").tobytes() + chosen["color"].tobytes()
    return packed(content), {
        "points": len(chosen),
        "points_in_file": len(points),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def _read_ply(path: Path) -> np.ndarray:
    """The points of a cloud of `scdepth predict`."""
    with path.open("rb") as file:
        header = []
        for line in file:
            header.append(line.decode("ascii", "replace").strip())
            if header[-1] == "end_header" or len(header) > 50:
                break
        start = file.tell()
    properties = [line for line in header if line.startswith("property")]
    kinds = ["float"] * 3 + ["uchar"] * 3
    if (
        header[:1] != ["ply"]
        or "format binary_little_endian 1.0" not in header
        or [line.split()[1] for line in properties] != kinds
    ):
        raise ValueError(
            f"{path} is no point cloud of `scdepth predict`; delete it and"
            " write it again with --write cloud"
        )
    count = next(
        int(line.split()[2]) for line in header if line.startswith("element")
    )
    if path.stat().st_size < start + count * _POINT.itemsize:
        raise ValueError(f"{path} is cut short; delete it and write it again")
    return np.fromfile(path, _POINT, count, offset=start)


def _source_of(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _read(name: str) -> str:
    page = resources.files("scdepth_tf.web") / "page" / name
    return page.read_text("utf-8")

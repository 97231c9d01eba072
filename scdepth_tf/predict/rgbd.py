"""A folder for RGB-D SLAM: TUM's layout, with cameras for ORB-SLAM3 and
Open3D (the pseudo-RGBD SLAM of Bian et al., IJCV 2021).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from scdepth_tf.files import replace_file, write_whole
from scdepth_tf.predict.sequence import (
    PredictedFrame,
    Sequence,
    encode_depth,
    resize_depth,
)

FOLDER = "rgbd"
ASSOCIATIONS = "associations.txt"

_CLOSE = 40.0
"""ORB-SLAM's Stereo.ThDepth: points nearer than so many baselines count as
close, and are taken as they are."""


@contextlib.contextmanager
def write_rgbd(
    sequence: Sequence,
) -> Iterator[Callable[[PredictedFrame], None]]:
    """rgbd/: rgb/TIME.jpg as the frames, depth/TIME.png of the same size
    (uint16, depth · `codes_per_unit`, 0 too far), rgb.txt, depth.txt,
    associations.txt, orbslam3.yaml, open3d_intrinsic.json and open3d.json.

    associations.txt is written last; images that are there are kept.

    Raises:
        ValueError: a file cannot be written.
    """
    folder = sequence.folder / FOLDER
    times: list[str] = []

    def add(frame: PredictedFrame) -> None:
        time = f"{frame.time:.6f}"
        if times and float(time) <= float(times[-1]):
            raise ValueError(
                f"{sequence.name}, frame {frame.name}: its time {time} s is "
                "not after the frame before; RGB-D folders need growing times"
            )
        times.append(time)
        color = folder / "rgb" / f"{time}.jpg"
        depth = folder / "depth" / f"{time}.png"
        if not color.exists():
            with replace_file(color) as unfinished:
                Image.fromarray(frame.image).save(
                    unfinished, format="JPEG", quality=95, subsampling=0
                )
        if not depth.exists():
            resized = resize_depth(frame.depth, sequence.image_size)
            codes = encode_depth(resized, sequence.codes_per_unit)
            with replace_file(depth) as unfinished:
                Image.fromarray(codes).save(unfinished, format="PNG")

    yield add
    write_whole(folder / "orbslam3.yaml", orbslam3_settings(sequence))
    _write_json(folder / "open3d_intrinsic.json", open3d_camera(sequence))
    _write_json(folder / "open3d.json", _open3d_system(sequence, folder))
    for name, suffix in (("rgb", "jpg"), ("depth", "png")):
        rows = [f"{time} {name}/{time}.{suffix}\n" for time in times]
        if name == "depth":
            codes = f"{sequence.codes_per_unit:g} codes"
            rows.insert(0, f"# depth in {sequence.unit}, {codes} each\n")
        write_whole(folder / f"{name}.txt", "".join(rows))
    rows = [f"{t} rgb/{t}.jpg {t} depth/{t}.png\n" for t in times]
    write_whole(folder / ASSOCIATIONS, "".join(rows))


def orbslam3_settings(sequence: Sequence) -> str:
    """Settings of `rgbd_tum`, in format 1.0, whose reader tells 1 from 1.0.

    Twice the median depth still counts as close.
    """
    camera = sequence.intrinsics
    height, width = sequence.image_size
    values = {
        "File.version": '"1.0"',
        "Camera.type": '"PinHole"',
        "Camera1.fx": camera[0, 0],
        "Camera1.fy": camera[1, 1],
        "Camera1.cx": camera[0, 2],
        "Camera1.cy": camera[1, 2],
        "Camera1.k1": 0.0,
        "Camera1.k2": 0.0,
        "Camera1.p1": 0.0,
        "Camera1.p2": 0.0,
        "Camera.width": width,
        "Camera.height": height,
        "Camera.fps": max(1, round(sequence.frame_rate)),
        "Camera.RGB": 0,
        "Stereo.ThDepth": _CLOSE,
        "Stereo.b": 2 * sequence.depth.median / _CLOSE,
        "RGBD.DepthMapFactor": sequence.codes_per_unit,
        "ORBextractor.nFeatures": 2000,
        "ORBextractor.scaleFactor": 1.2,
        "ORBextractor.nLevels": 8,
        "ORBextractor.iniThFAST": 20,
        "ORBextractor.minThFAST": 7,
        "Viewer.KeyFrameSize": 0.05,
        "Viewer.KeyFrameLineWidth": 1.0,
        "Viewer.GraphLineWidth": 0.9,
        "Viewer.PointSize": 2.0,
        "Viewer.CameraSize": 0.08,
        "Viewer.CameraLineWidth": 3.0,
        "Viewer.ViewpointX": 0.0,
        "Viewer.ViewpointY": -0.7,
        "Viewer.ViewpointZ": -1.8,
        "Viewer.ViewpointF": 500.0,
    }
    lines = [
        f"{key}: {_real(value) if isinstance(value, float) else value}\n"
        for key, value in values.items()
    ]
    return f"%YAML:1.0\n# Lengths in {sequence.unit}.\n" + "".join(lines)


def open3d_camera(sequence: Sequence) -> dict[str, object]:
    """What `open3d.io.read_pinhole_camera_intrinsic` reads."""
    height, width = sequence.image_size
    return {
        "width": width,
        "height": height,
        # Column by column.
        "intrinsic_matrix": sequence.intrinsics.T.ravel().tolist(),
    }


def _open3d_system(sequence: Sequence, folder: Path) -> dict[str, object]:
    """Config of Open3D's reconstruction system (`run_system.py`)."""
    return {
        "name": sequence.name,
        "path_dataset": str(folder.absolute()),
        "path_intrinsic": str((folder / "open3d_intrinsic.json").absolute()),
        "depth_scale": sequence.codes_per_unit,
        "depth_min": 0.0,
        "depth_max": sequence.farthest,
        "voxel_size": sequence.voxel,
        "depth_diff_max": 5 * sequence.voxel,
        "preference_loop_closure_odometry": 0.1,
        "preference_loop_closure_registration": 5.0,
        "tsdf_cubic_size": 512 * sequence.voxel,
        "icp_method": "color",
        "global_registration": "ransac",
        "python_multi_threading": True,
    }


def _real(value: float) -> str:
    """A decimal number with a point, without exponent."""
    return np.format_float_positional(value, trim="0")


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=2) + "\n")

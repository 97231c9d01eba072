"""KITTI raw drives, read as they are unpacked.

    ROOT/DATE/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt
    ROOT/DATE/DRIVE_sync/image_02/data/*.png    or .jpg; image_03 likewise
    ROOT/DATE/DRIVE_sync/oxts/data/*.txt        optional: poses
    ROOT/DATE/DRIVE_sync/proj_depth/velodyne/image_02/*.npz   optional: depth
    ROOT/DATE/DRIVE_sync/velodyne_points/data/*.bin           optional: depth

Formats and frames: Geiger et al., Vision meets Robotics: The KITTI Dataset,
IJRR 2013. All geometry is float64.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from scdepth_tf.data import folder, images
from scdepth_tf.data.scene import MINIMUM_FRAMES, Scene

CAMERAS = ("02", "03")
"""The colour cameras."""

Rounding = Literal["eigen", "exact"]
"""Which pixel a lidar return falls on, from its projection (u, v).

`eigen`: round(u) − 1, round(v) − 1, as the published Eigen evaluation has it,
which took the devkit's pixels for 1-based ones. `exact`: round(u), round(v),
where the intrinsics say that the return is seen.
"""

_EARTH_RADIUS = 6378137.0
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """One camera of one recording day."""

    projection: np.ndarray
    """P_rect_0X [3, 4]: rectified reference camera to pixels."""

    rectified_from_velodyne: np.ndarray
    """[4, 4], metres: scanner to rectified reference camera (camera 0)."""

    velodyne_from_imu: np.ndarray | None
    """[4, 4], metres; None where the day has no calib_imu_to_velo.txt."""

    image_size: tuple[int, int]
    """Height and width of the rectified images (S_rect_0X)."""

    @property
    def intrinsics(self) -> np.ndarray:
        """K [3, 3] of the rectified camera, pixels."""
        return self.projection[:, :3]

    @property
    def camera_from_velodyne(self) -> np.ndarray:
        """[4, 4], metres: scanner to this camera, P = K·[I | offset]."""
        return (
            camera_from_rectified(self.projection)
            @ self.rectified_from_velodyne
        )


def find_drives(root: Path) -> list[Path]:
    """Drive folders (`*_sync` with images) under a KITTI raw root, under one
    day of it, or `root` itself.
    """
    if root.name.endswith("_sync"):
        candidates = [root]
    else:
        candidates = [*root.glob("*_sync"), *root.glob("*/*_sync")]
    return sorted(
        drive
        for drive in candidates
        if any((drive / f"image_{camera}").is_dir() for camera in CAMERAS)
    )


def camera_folders(root: Path) -> dict[str, Path]:
    """Image folders under `root` by scene name, DATE/DRIVE_sync/image_0X."""
    return {
        f"{drive.parent.name}/{drive.name}/image_{camera}": path
        for drive in find_drives(root.absolute())
        for camera in CAMERAS
        if (path := drive / f"image_{camera}").is_dir()
    }


def open_camera(
    path: Path,
    name: str,
    rounding: Rounding = "eigen",
    check_frames: bool = True,
) -> Scene:
    """One camera of one drive.

    Poses come from oxts, with the first frame's camera as the world.

    Args:
        path: DATE/DRIVE_sync/image_0X.
        name: what to call the scene.
        rounding: of the lidar depth.
        check_frames: look into every frame now; without, the caller checks
            what it reads.

    Raises:
        FileNotFoundError: the calibration or the images are missing.
        ValueError: a file is unusable; the line says what.
    """
    drive, camera = path.parent, path.name.removeprefix("image_")
    calibration = read_calibration(drive.parent, camera)
    frames = (
        tuple(folder.find_frames(path / "data"))
        if (path / "data").is_dir()
        else ()
    )
    if len(frames) < MINIMUM_FRAMES:
        raise ValueError(
            f"{path / 'data'}: {len(frames)} frames, a scene needs at least "
            f"{MINIMUM_FRAMES}; unpack the drive again or leave it out"
        )
    numbers = tuple(frame_number(frame) for frame in frames)
    image_size = (
        images.common_size(frames) if check_frames else calibration.image_size
    )
    if image_size != calibration.image_size:
        raise ValueError(
            f"{path / 'data'}: frames of {image_size[1]}x{image_size[0]} "
            "pixels, but the calibration is for "
            f"{calibration.image_size[1]}x{calibration.image_size[0]} "
            f"(S_rect_{camera}); use the images as KITTI publishes them"
        )
    depths, reader = _find_depths(drive, camera, numbers, calibration, rounding)
    return Scene(
        name=name,
        frames=frames,
        intrinsics=calibration.intrinsics,
        image_size=image_size,
        depths=depths,
        poses=_find_poses(drive / "oxts" / "data", numbers, calibration),
        frame_numbers=numbers,
        depth_reader=reader,
        timestamps=_find_timestamps(path / "timestamps.txt", numbers),
    )


def read_calibration(day: Path, camera: str) -> Calibration:
    """Calibration of camera "02" or "03" from a DATE folder.

    Raises:
        FileNotFoundError: a calibration file is missing.
        ValueError: a file lacks an entry or holds an impossible one.
    """
    path = day / "calib_cam_to_cam.txt"
    projection = read_projection(path, f"P_rect_{camera}")
    cameras = _read_entries(path)
    width, height = _entry(cameras, f"S_rect_{camera}", (2,), path)
    rectification = np.eye(4)
    rectification[:3, :3] = _entry(cameras, "R_rect_00", (3, 3), path)
    camera_from_velodyne = _read_rigid(day / "calib_velo_to_cam.txt")
    imu_path = day / "calib_imu_to_velo.txt"
    return Calibration(
        projection=projection,
        rectified_from_velodyne=rectification @ camera_from_velodyne,
        velodyne_from_imu=_read_rigid(imu_path) if imu_path.is_file() else None,
        image_size=(int(height), int(width)),
    )


def read_projection(path: Path, key: str) -> np.ndarray:
    """A projection matrix P [3, 4] of a KITTI calibration file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks the entry or holds an impossible one.
    """
    projection = _entry(_read_entries(path), key, (3, 4), path)
    folder.check_intrinsics(projection[:, :3], path)
    return projection


def camera_from_rectified(projection: np.ndarray) -> np.ndarray:
    """[4, 4], metres: from rectified camera 0 to the camera of the projection
    P = K·[I | offset].
    """
    pose = np.eye(4)
    pose[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    return pose


def project_scan(
    scan: np.ndarray, calibration: Calibration, rounding: Rounding = "eigen"
) -> np.ndarray:
    """Lidar scan to a depth map.

    Points behind the scanner are dropped, and the nearest return wins, as in
    the published Eigen evaluation.

    Args:
        scan: [N, 3 or 4] points in the scanner's frame, metres (X forward).
        calibration: of the camera to project into.
        rounding: from projection to pixel.

    Returns:
        float32 [H, W] metres along the camera's Z, 0 = no return.
    """
    height, width = calibration.image_size
    points = np.asarray(scan, np.float64)[:, :3]
    points = points[points[:, 0] >= 0]
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    pixels_from_velodyne = (
        calibration.projection @ calibration.rectified_from_velodyne
    )
    u_z, v_z, z = pixels_from_velodyne @ homogeneous.T
    u_z, v_z, z = u_z[z > 0], v_z[z > 0], z[z > 0]
    shift = 1 if rounding == "eigen" else 0
    column = np.round(u_z / z).astype(np.int64) - shift
    row = np.round(v_z / z).astype(np.int64) - shift
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    depth = np.full((height, width), np.inf)
    np.minimum.at(depth, (row[inside], column[inside]), z[inside])
    return np.where(np.isinf(depth), 0, depth).astype(np.float32)


def load_scan(path: Path) -> np.ndarray:
    """velodyne_points/data/*.bin as float32 [N, 4]: X, Y, Z (metres, X
    forward, Z up) and reflectance.
    """
    content = path.read_bytes()
    if len(content) == 0 or len(content) % 16:
        raise ValueError(
            f"{path}: expected points of four float32 values, got "
            f"{len(content)} bytes; it may be truncated: unpack it again"
        )
    return np.frombuffer(content, np.float32).reshape(-1, 4)


def read_oxts(path: Path) -> np.ndarray:
    """One oxts record: float64 [30] in the order of dataformat.txt (lat, lon,
    alt, roll, pitch, yaw, vn, ve, vf, …; degrees, metres, radians, m/s).
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; unpack oxts again")
    try:
        record = np.array([float(word) for word in path.read_text().split()])
    except ValueError as error:
        raise ValueError(f"{path}: expected numbers ({error})") from None
    if len(record) != 30:
        raise ValueError(
            f"{path}: expected the 30 numbers of a KITTI oxts record, got "
            f"{len(record)}; unpack it again"
        )
    return record


def mercator_from_imu(record: np.ndarray, latitude: float) -> np.ndarray:
    """Pose [4, 4] of the GPS/IMU unit on a Mercator map, metres.

    The map has X east, Y north, Z up and is true to scale at `latitude`
    (degrees); the unit has X forward, Y left, Z up. R = Rz(yaw)·Ry(pitch)·
    Rx(roll), as KITTI's raw data is described (Geiger et al., IJRR 2013).
    """
    lat, lon, alt, roll, pitch, yaw = record[:6]
    radius = _EARTH_RADIUS * np.cos(np.radians(latitude))
    pose = np.eye(4)
    pose[:3, 3] = (
        radius * np.radians(lon),
        radius * np.log(np.tan(np.radians(90 + lat) / 2)),
        alt,
    )
    cos, sin = np.cos, np.sin
    about_x = np.array(
        [[1, 0, 0], [0, cos(roll), -sin(roll)], [0, sin(roll), cos(roll)]]
    )
    about_y = np.array(
        [[cos(pitch), 0, sin(pitch)], [0, 1, 0], [-sin(pitch), 0, cos(pitch)]]
    )
    about_z = np.array(
        [[cos(yaw), -sin(yaw), 0], [sin(yaw), cos(yaw), 0], [0, 0, 1]]
    )
    pose[:3, :3] = about_z @ about_y @ about_x
    return pose


def camera_poses(
    records: list[np.ndarray], calibration: Calibration
) -> np.ndarray:
    """[N, 4, 4] world_from_camera in metres; the world is the first camera.

    The Mercator scale is the first record's, so metres are true nearby.
    """
    camera_from_imu = (
        calibration.camera_from_velodyne @ calibration.velodyne_from_imu
    )
    imu_from_camera = np.linalg.inv(camera_from_imu)
    latitude = records[0][0]
    map_from_camera = np.stack(
        [
            mercator_from_imu(record, latitude) @ imu_from_camera
            for record in records
        ]
    )
    return np.linalg.inv(map_from_camera[0]) @ map_from_camera


def with_annotated_depth(scene: Scene) -> Scene:
    """The scene with KITTI's annotated depth in place of its lidar scans.

    Uhrig et al., *Sparsity Invariant CNNs*, 3DV 2017: what the KITTI Eigen
    evaluation calls improved ground truth, in
    DRIVE_sync/proj_depth/groundtruth/image_0X/*.png. Not every frame has it.

    Raises:
        ValueError: the scene is not of a KITTI drive.
    """
    if scene.frame_numbers is None:
        raise ValueError(
            f"{scene.name}: annotated depth is KITTI's, and this is no KITTI "
            "drive; choose another protocol"
        )
    camera = scene.frames[0].parent.parent
    source = camera.parent / "proj_depth" / "groundtruth" / camera.name
    files = _numbered(source, ".png")
    depths = tuple(files.get(number) for number in scene.frame_numbers)
    return dataclasses.replace(
        scene, depths=depths, depth_reader=images.load_kitti_depth
    )


def _find_depths(
    drive: Path,
    camera: str,
    numbers: tuple[int, ...],
    calibration: Calibration,
    rounding: Rounding,
) -> tuple[tuple[Path | None, ...] | None, Callable[[Path], np.ndarray]]:
    """Depth files of the frames, and what reads them.

    The first of: projected scans, raw scans, KITTI's annotated maps; scans
    first because the Eigen protocol is defined on them.
    """
    project = functools.partial(
        _load_projected, calibration=calibration, rounding=rounding
    )
    sources = (
        (
            drive / f"proj_depth/velodyne/image_{camera}",
            ".npz",
            images.load_depth if rounding == "eigen" else _load_exact,
        ),
        (drive / "velodyne_points/data", ".bin", project),
        (
            drive / f"proj_depth/groundtruth/image_{camera}",
            ".png",
            images.load_kitti_depth,
        ),
    )
    for source, suffix, reader in sources:
        files = _numbered(source, suffix)
        depths = tuple(files.get(number) for number in numbers)
        if any(depths):
            return depths, reader
    return None, images.load_depth


def _load_projected(
    path: Path, calibration: Calibration, rounding: Rounding
) -> np.ndarray:
    return project_scan(load_scan(path), calibration, rounding)


def _load_exact(path: Path) -> np.ndarray:
    """Projected scans are stored as the Eigen evaluation rounds them: one
    pixel up and left of where the camera sees the returns.
    """
    depth = images.load_depth(path)
    shifted = np.zeros_like(depth)
    shifted[1:, 1:] = depth[:-1, :-1]
    return shifted


def _find_timestamps(path: Path, numbers: tuple[int, ...]) -> np.ndarray | None:
    """Line n of timestamps.txt is the time of frame n (UTC offset unknown)."""
    if not path.is_file():
        return None
    lines = path.read_text().splitlines()
    try:
        return np.array(
            [lines[number].strip() for number in numbers], "datetime64[ns]"
        ).astype(np.int64)
    except (IndexError, ValueError):
        raise ValueError(
            f"{path}: expected a time such as 2011-09-26 13:02:25.964389445 "
            f"for each of the frames up to {numbers[-1]}, got {len(lines)} "
            "lines; unpack it again"
        ) from None


def _find_poses(
    oxts: Path, numbers: tuple[int, ...], calibration: Calibration
) -> np.ndarray | None:
    files = _numbered(oxts, ".txt")
    if not files or calibration.velodyne_from_imu is None:
        return None
    missing = [number for number in numbers if number not in files]
    if missing:
        _log.warning(
            "%s: no record for frame %d (%d in all); this drive has no poses",
            oxts,
            missing[0],
            len(missing),
        )
        return None
    return camera_poses(
        [read_oxts(files[number]) for number in numbers], calibration
    )


def _numbered(source: Path, suffix: str) -> dict[int, Path]:
    """Files named after frames, by frame number."""
    return {
        int(file.stem): file
        for file in source.glob(f"*{suffix}")
        if file.stem.isdigit()
    }


def frame_number(path: Path) -> int:
    """The number that a frame of KITTI is named after."""
    if not path.stem.isdigit():
        raise ValueError(
            f"{path}: expected KITTI's frame numbers as names (0000000000), "
            "got something else; remove the file"
        )
    return int(path.stem)


def _read_entries(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; unpack the calibration "
            f"({path.parent.name}_calib.zip) there"
        )
    lines = path.read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value for key, value in pairs}


def _entry(
    entries: dict[str, str], key: str, shape: tuple[int, ...], path: Path
) -> np.ndarray:
    try:
        numbers = [float(word) for word in entries[key].split()]
        return np.array(numbers, np.float64).reshape(shape)
    except (KeyError, ValueError):
        raise ValueError(
            f"{path}: expected {np.prod(shape)} numbers after {key}:, got "
            f"{entries.get(key, 'no such line').strip()!r}; unpack it again"
        ) from None


def _read_rigid(path: Path) -> np.ndarray:
    entries = _read_entries(path)
    matrix = np.eye(4)
    matrix[:3, :3] = _entry(entries, "R", (3, 3), path)
    matrix[:3, 3] = _entry(entries, "T", (3,), path)
    return matrix

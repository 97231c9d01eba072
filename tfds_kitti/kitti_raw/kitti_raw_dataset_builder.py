"""kitti_raw: colour video of the KITTI raw recordings."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable

import tensorflow_datasets as tfds
from etils import epath

from scdepth_tf.data import kitti
from scdepth_tf.data.scene import Scene
from scdepth_tf.data.scenes import held_out
from tfds_kitti import sequences, splits

_LOG = logging.getLogger(__name__)
_VALIDATION_FRACTION = 0.1


@dataclasses.dataclass(eq=False)
class KittiRawConfig(sequences.SequenceConfig):
    """What is built, from which frames."""

    cameras: tuple[str, ...] = kitti.CAMERAS
    """Colour cameras that train and validate: 02 left, 03 right."""

    train_files: str | None = None
    """Split file of the targets to train on; None: all drives left over."""

    val_files: str | None = None
    """Split file of the targets to validate on; None: a tenth of the drives
    left over."""

    test_files: str | None = None
    """Split file of the test frames; None: the 697 of Eigen."""

    train_rounding: kitti.Rounding = "exact"
    """Of lidar depth in train and val."""

    test_rounding: kitti.Rounding = "eigen"
    """Of lidar depth in test: that of the published numbers."""

    def __post_init__(self):
        super().__post_init__()
        self.cameras = tuple(self.cameras)


class Builder(sequences.SequenceBuilder):
    """TFDS builder of kitti_raw."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  as TFDS has it
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/raw_data.php"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Unpack the drives [synced+rectified] that you want and the calibration of their
days into manual_dir: DATE/DATE_drive_NNNN_sync/image_02/data/*.png (or .jpg)
and DATE/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt.
oxts, velodyne_points and proj_depth are used where they are.
"""
    BUILDER_CONFIGS = [  # noqa: RUF012
        KittiRawConfig(
            name=sequences.size_name(size),
            description=f"Frames: {sequences.size_description(size)}.",
            image_size=size,
        )
        for size in (None, *sequences.TRAINING_SIZES)
    ]

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        config = self.builder_config
        cameras = _Cameras(epath.Path(dl_manager.manual_dir))
        test_frames = _frames(config.test_files) or splits.eigen_test_frames()
        test_drives = splits.eigen_test_drives() | {
            frame.drive for frame in test_frames
        }
        train = _frames(config.train_files)
        val = _frames(config.val_files)
        for path, frames in (
            (config.train_files, train),
            (config.val_files, val),
        ):
            _refuse_test_drives(frames, test_drives, path)
        listed = {frame.drive for frame in (*train, *val)}
        rest = sorted(cameras.drives() - test_drives - listed)
        # With a list of training frames, what validates is listed too.
        val_drives = held_out(rest, _VALIDATION_FRACTION) if not listed else ()
        train_drives = [drive for drive in rest if drive not in val_drives]
        rounding = config.train_rounding
        return self._splits(
            {
                "train": (
                    _open_targets(cameras, train, rounding, config.train_files)
                    if train
                    else cameras.open_all(
                        train_drives, config.cameras, rounding
                    )
                ),
                "val": (
                    _open_targets(cameras, val, rounding, config.val_files)
                    if val
                    else cameras.open_all(val_drives, config.cameras, rounding)
                ),
                "test": _open_tests(cameras, test_frames, config.test_rounding),
            }
        )

    def _chunks(self, scenes: Iterable[Scene], split: str):
        """Test frames keep their size in every configuration."""
        config = self.builder_config
        for chunk in super()._chunks(scenes, split):
            if split == "test":
                yield dataclasses.replace(
                    chunk,
                    image_size=None,
                    depth_rounding=config.test_rounding,
                )
            else:
                yield dataclasses.replace(
                    chunk, depth_rounding=config.train_rounding
                )


class _Cameras:
    """The cameras under a KITTI raw root."""

    def __init__(self, root: epath.Path):
        self._folders = kitti.camera_folders(root)

    def drives(self) -> set[str]:
        return {name.rpartition("/")[0] for name in self._folders}

    def has(self, drive: str, camera: str) -> bool:
        return f"{drive}/image_{camera}" in self._folders

    def open(self, drive: str, camera: str, rounding: kitti.Rounding) -> Scene:
        name = f"{drive}/image_{camera}"
        return kitti.open_camera(
            self._folders[name], name, rounding, check_frames=False
        )

    def open_all(
        self,
        drives: Iterable[str],
        cameras: Iterable[str],
        rounding: kitti.Rounding,
    ) -> list[Scene]:
        return [
            self.open(drive, camera, rounding)
            for drive in drives
            for camera in cameras
            if self.has(drive, camera)
        ]


def _frames(path: str | None) -> tuple[splits.Frame, ...]:
    return splits.read_frames(epath.Path(path)) if path else ()


def _refuse_test_drives(
    frames: tuple[splits.Frame, ...], test_drives: set[str], path: str | None
) -> None:
    for frame in frames:
        if frame.drive in test_drives:
            raise ValueError(
                f"{path}: names {frame.drive}, a drive of the test split; "
                "delete its lines"
            )


def _open_targets(
    cameras: _Cameras,
    frames: tuple[splits.Frame, ...],
    rounding: kitti.Rounding,
    path: str,
) -> list[Scene]:
    """The listed frames as targets, and their neighbours."""
    scenes = []
    for scene, numbers in _open_listed(cameras, frames, rounding, path):
        neighbours = {n + step for n in numbers for step in (-1, 0, 1)}
        targets = tuple(number in numbers for number in scene.frame_numbers)
        scene = dataclasses.replace(scene, targets=targets)
        scenes.append(_with_numbers(scene, neighbours))
    return scenes


def _open_tests(
    cameras: _Cameras,
    frames: tuple[splits.Frame, ...],
    rounding: kitti.Rounding,
) -> list[Scene]:
    """The listed frames alone."""
    return [
        _with_numbers(scene, numbers)
        for scene, numbers in _open_listed(
            cameras, frames, rounding, "the test split"
        )
    ]


def _open_listed(
    cameras: _Cameras,
    frames: tuple[splits.Frame, ...],
    rounding: kitti.Rounding,
    origin: str,
) -> list[tuple[Scene, set[int]]]:
    """Cameras that have some of the listed frames, with those they have."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for frame in frames:
        wanted.setdefault((frame.drive, frame.camera), set()).add(frame.number)
    opened = []
    for (drive, camera), numbers in sorted(wanted.items()):
        if cameras.has(drive, camera):
            scene = cameras.open(drive, camera, rounding)
            there = numbers & set(scene.frame_numbers)
            if there:
                opened.append((scene, there))
    missing = len(frames) - sum(len(numbers) for _, numbers in opened)
    if missing:
        _LOG.warning(
            "%d of the %d frames of %s are not in manual_dir",
            missing,
            len(frames),
            origin,
        )
    return opened


def _with_numbers(scene: Scene, numbers: set[int]) -> Scene:
    return scene.select(
        [
            index
            for index, number in enumerate(scene.frame_numbers)
            if number in numbers
        ]
    )

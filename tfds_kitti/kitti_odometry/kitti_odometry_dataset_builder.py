"""kitti_odometry: the sequences of the KITTI odometry benchmark."""

from __future__ import annotations

import dataclasses

import tensorflow_datasets as tfds
from etils import epath

from scdepth_tf.data import kitti_odometry
from scdepth_tf.data.scene import Scene
from tfds_kitti import sequences

_CAMERAS = {"color": (2, 3), "gray": (0, 1)}
_SEQUENCES = {
    "train": [f"{number:02d}" for number in range(9)],
    "test": ["09", "10"],
    "benchmark": [f"{number:02d}" for number in range(11, 22)],
}


@dataclasses.dataclass(eq=False)
class KittiOdometryConfig(sequences.SequenceConfig):
    """What is built, from which cameras."""

    cameras: tuple[int, ...] = (2, 3)
    """Of 0, 1 (grey, left and right), 2, 3 (colour)."""

    def __post_init__(self):
        super().__post_init__()
        self.cameras = tuple(self.cameras)


class Builder(sequences.SequenceBuilder):
    """TFDS builder of kitti_odometry."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  as TFDS has it
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/eval_odometry.php"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Unpack data_odometry_color.zip or data_odometry_gray.zip, _calib.zip and
_poses.zip into manual_dir: sequences/NN/image_2/*.png, sequences/NN/calib.txt
and poses/NN.txt (a folder `dataset` around them is fine).
"""
    BUILDER_CONFIGS = [  # noqa: RUF012
        KittiOdometryConfig(
            name=f"{kind}-{sequences.size_name(size)}",
            description=(
                f"{kind.capitalize()} cameras {cameras[0]} and {cameras[1]}; "
                f"frames: {sequences.size_description(size)}."
            ),
            image_size=size,
            cameras=cameras,
        )
        for kind, cameras in _CAMERAS.items()
        for size in (None, *sequences.TRAINING_SIZES)
    ]

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folders = kitti_odometry.sequence_folders(
            epath.Path(dl_manager.manual_dir)
        )
        return self._splits(
            {
                split: self._open(names, folders)
                for split, names in _SEQUENCES.items()
            }
        )

    def _open(
        self, names: list[str], folders: dict[str, epath.Path]
    ) -> list[Scene]:
        return [
            kitti_odometry.open_sequence(
                folders[name],
                camera,
                f"{name}/image_{camera}",
                check_frames=False,
            )
            for name in names
            if name in folders
            for camera in self.builder_config.cameras
            if (folders[name] / f"image_{camera}").is_dir()
        ]

"""KITTI and own footage as TensorFlow Datasets.

    import tensorflow_datasets as tfds, tfds_kitti
    drives = tfds.load("kitti_raw/256x832", split="train")

Importing registers `kitti_raw`, `kitti_odometry` and `video_sequences`.
`python -m tfds_kitti NAME/CONFIG --manual-dir FOLDER` builds one; so does
`tfds build NAME/CONFIG --imports tfds_kitti --manual_dir FOLDER`.
"""

from tfds_kitti.kitti_odometry.kitti_odometry_dataset_builder import (
    Builder as KittiOdometry,
)
from tfds_kitti.kitti_raw.kitti_raw_dataset_builder import Builder as KittiRaw
from tfds_kitti.video_sequences.video_sequences_dataset_builder import (
    Builder as VideoSequences,
)

__all__ = ["KittiRaw", "KittiOdometry", "VideoSequences"]

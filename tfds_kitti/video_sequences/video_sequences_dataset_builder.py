"""video_sequences: own footage in the folder layout of scdepth_tf."""

from __future__ import annotations

import tensorflow_datasets as tfds
from etils import epath

from scdepth_tf.data import folder
from scdepth_tf.data.scenes import held_out
from tfds_kitti import sequences


class Builder(sequences.SequenceBuilder):
    """TFDS builder of video_sequences."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  as TFDS has it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
manual_dir holds one folder for each scene: SCENE/*.jpg or *.png in time order,
SCENE/cam.txt (3x3 intrinsics in pixels), optionally SCENE/depth/, poses.txt;
and optionally train.txt and val.txt with the names of the scenes.
"""
    BUILDER_CONFIGS = [  # noqa: RUF012
        sequences.SequenceConfig(
            name=sequences.size_name(size),
            description=f"Frames: {sequences.size_description(size)}.",
            image_size=size,
        )
        for size in (None, *sequences.TRAINING_SIZES)
    ]

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        root = epath.Path(dl_manager.manual_dir)
        folders = folder.scene_folders(root)
        train = folder.read_list(root / "train.txt")
        val = folder.read_list(root / "val.txt")
        if val is None:
            val = held_out(train or folders)
        if train is None:
            train = tuple(name for name in folders if name not in val)
        if both := set(train) & set(val):
            raise ValueError(
                f"{root / 'val.txt'}: the scene {min(both)} is in train.txt "
                "too; delete one of the lines"
            )
        return self._splits(
            {
                split: [
                    folder.open_scene(folders[name], name, check_frames=False)
                    for name in names
                ]
                for split, names in (("train", train), ("val", val))
            }
        )

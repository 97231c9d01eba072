"""What a training reads: scenes, cameras and batches, on any devices."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from scdepth_tf import data, distribution
from scdepth_tf.config import TrainConfig
from scdepth_tf.data import pipeline

_LOG = logging.getLogger(__name__)

_VALIDATION_BATCHES = 25
"""Enough to choose an epoch by, few enough to do after each."""


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Scenes to train on and to validate on, tabulated as triplets."""

    config: TrainConfig
    devices: tf.distribute.Strategy
    train_scenes: Sequence[data.Scene]
    val_scenes: Sequence[data.Scene]
    cameras: Sequence[data.Camera]
    """Whose focal lengths are learnt; none where the option is off."""

    val_camera_indices: Sequence[int] | None
    """Each validation scene's camera among them."""

    train_table: pipeline.TripletTable
    val_table: pipeline.TripletTable

    def train_batches(self, first_batch: int) -> tf.data.Dataset:
        """Endless batches from the given one on, shared among the devices."""
        return self.devices.distribute_datasets_from_function(
            lambda context: pipeline.training_batches(
                self.train_table,
                self.config.data,
                self._share,
                self.config.seed,
                first_batch * self._replicas_here,
                context,
            )
        )

    def val_batches(self) -> tuple[tf.data.Dataset, int | None]:
        """The first batches to validate on, and how many there are: None
        where Keras can tell. Of distributed ones it counts each replica's by
        itself, so that they come endlessly.
        """

        def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return pipeline.validation_batches(
                self.val_table, self.config.data, self._share, context
            ).take(_VALIDATION_BATCHES * self._replicas_here)

        if self.devices.num_replicas_in_sync == 1:
            return batches(tf.distribute.InputContext()), None
        full = max(1, len(self.val_table.frames) // self.config.batch_size)
        return (
            self.devices.distribute_datasets_from_function(
                lambda context: batches(context).repeat()
            ),
            min(full, _VALIDATION_BATCHES),
        )

    def fingerprint(self) -> str:
        """Changes with anything that decides which triplet comes when."""
        digest = hashlib.sha256()
        for scene in self._all_scenes:
            names = [scene.name, *(frame.name for frame in scene.frames)]
            digest.update(
                "\n".join(names).encode() + scene.intrinsics.tobytes()
            )
        return digest.hexdigest()

    def unreadable_frames(self) -> str | None:
        """The first frame that cannot be read and why, and how many there
        are; None where all can.
        """
        frames = [frame for scene in self._all_scenes for frame in scene.frames]
        unreadable = data.find_unreadable(frames)
        if not unreadable:
            return None
        return (
            f"{unreadable[0]} ({len(unreadable)} unreadable of {len(frames)} "
            "frames)"
        )

    @property
    def _all_scenes(self) -> list[data.Scene]:
        return [*self.train_scenes, *self.val_scenes]

    @property
    def _share(self) -> int:
        return distribution.part_of_batch(self.devices, self.config.batch_size)

    @property
    def _replicas_here(self) -> int:
        return distribution.replicas_per_worker(self.devices)


def open_training_data(
    folder: str | Path,
    scenes: Sequence[str],
    config: TrainConfig,
    devices: tf.distribute.Strategy,
) -> TrainingData:
    """Find scenes and cameras, and tabulate the triplets.

    Args:
        folder: what `scdepth_tf.data.open_scenes` reads.
        scenes: names or patterns of scenes; empty takes all.
        config: size, stride, validation fraction, seed and so on.
        devices: which share the batches.

    Raises:
        FileNotFoundError, ValueError: as `open_scenes` and the triplets do.
    """
    train_scenes, val_scenes = (
        data.open_scenes(
            folder,
            split,
            scenes,
            validation_fraction=config.data.validation_fraction,
            seed=config.seed,
        )
        for split in ("train", "val")
    )
    cameras, train_indices, val_indices = _cameras(
        config, train_scenes, val_scenes
    )
    train_table = pipeline.tabulate(train_scenes, config.data, train_indices)
    val_table = pipeline.tabulate(val_scenes, config.data, val_indices)
    _LOG.info(
        "%d training %s in %d scenes, %d scenes to validate on",
        len(train_table.frames),
        "pairs" if train_scenes[0].is_pair else "triplets",
        _count(train_scenes),
        _count(val_scenes),
    )
    if data.intrinsics_are_a_guess(folder) and not cameras:
        _LOG.warning(
            "%s was prepared with a guessed field of view: depth and motion "
            "will be as wrong as the guess. Calibrate the camera, or learn "
            "the focal length: --model.learn-focal-length camera",
            folder,
        )
    return TrainingData(
        config,
        devices,
        train_scenes,
        val_scenes,
        cameras,
        val_indices,
        train_table,
        val_table,
    )


def _cameras(
    config: TrainConfig,
    train_scenes: Sequence[data.Scene],
    val_scenes: Sequence[data.Scene],
) -> tuple[list[data.Camera], list[int] | None, list[int] | None]:
    """Cameras whose focal lengths are learnt, and each scene's index among
    them; none where the option is off.
    """
    by = config.model.learn_focal_length
    if by == "off":
        return [], None, None
    for scene in (*train_scenes, *val_scenes):
        if scene.is_pair:
            raise ValueError(
                f"learn_focal_length is {by}, but {scene.name} holds pairs of "
                "images, each with a camera of its own; turn it off"
            )
    cameras = data.group_cameras([*train_scenes, *val_scenes], by)
    return (
        cameras,
        data.camera_indices(cameras, train_scenes),
        data.camera_indices(cameras, val_scenes),
    )


def _count(scenes: Sequence[data.Scene]) -> int:
    """How many scenes: the pairs of one share its name."""
    return len({scene.name for scene in scenes})

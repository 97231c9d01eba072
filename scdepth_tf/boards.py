"""What TensorBoard shows of a training.

The event files are written with `tf.summary.write`, which TensorFlow brings
along; `tf.summary.scalar` and `image` would need TensorBoard installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from scdepth_tf import data, snippets, stack
from scdepth_tf.config import DataConfig

_LOG = logging.getLogger(__name__)

_EVERY = 100
"""Steps between the points of a curve within an epoch."""

_PICTURES = 4
"""Frames that are drawn after each epoch."""

_FRAMING = 16
"""Bytes around each record of an event file: its length and two checksums."""

_TAGS = {
    "loss": "loss/total",
    "photometric": "loss/photometric",
    "geometry": "loss/geometry",
    "smoothness": "loss/smoothness",
    "view_synthesis": "loss/view_synthesis",
    "abs_rel": "depth_error/abs_rel",
    "abs_rel_global": "depth_error/abs_rel_global",
    "delta1": "depth_error/delta1",
    "scale_spread": "depth_error/scale_spread",
    "valid": "masks/valid",
    "auto_mask": "masks/auto_mask",
    "self_mask": "masks/self_mask",
    "dropped": "masks/dropped",
    "depth_mean": "predicted/depth_mean",
    "depth_spread": "predicted/depth_spread",
    "translation": "predicted/translation",
    "rotation": "predicted/rotation",
    "motion_spread": "predicted/motion_spread",
    "focal_scale": "predicted/focal_scale",
    "skipped": "steps/skipped",
    "bad_input": "steps/bad_input",
    "learning_rate": "steps/learning_rate",
}
"""Name in the logs: name in TensorBoard, where equal beginnings are shown
together and the first two, errors and frames, are open at the start. Training
and validation have the same names, so that each chart has both."""

_COUNTS = ("skipped", "bad_input")


class Board(keras.callbacks.Callback):
    """Curves and pictures for TensorBoard, at each step once.

    Curves of training are means of the epoch so far, every 100 steps and at
    its end; those of validation and the pictures come with each epoch, the
    first ones before the first step. Pictures need Matplotlib.

    Goes before the callback that takes snapshots: what lies before a snapshot
    is then on the disk, and what comes after it is cut off when a killed
    training goes on.

    Args:
        folder: for the event files; TensorBoard's `--logdir`.
        step: steps taken so far; −1 starts anew.
        steps_per_epoch: steps in a whole epoch.
        scenes: what to draw frames of.
        config: how their frames become triplets.
        cameras: index of each scene's camera, where focal lengths are learnt.
        weights: within its block the model has the weights to draw.
    """

    def __init__(
        self,
        folder: str | Path,
        step: int,
        steps_per_epoch: int,
        scenes: Sequence[data.Scene],
        config: DataConfig,
        cameras: Sequence[int] | None = None,
        weights: Callable[[], AbstractContextManager] = contextlib.nullcontext,
    ):
        super().__init__()
        folder = Path(folder)
        cut_after(folder, step)
        self._train, self._validation = (
            tf.summary.create_file_writer(str(folder / name))
            for name in ("train", "validation")
        )
        self._step = max(step, 0)
        self._steps_per_epoch = steps_per_epoch
        self._scenes = scenes
        self._config = config
        self._cameras = cameras
        self._weights = weights
        self._triplets = snippets.spread_triplets(
            scenes, config.stride, _PICTURES
        )
        if importlib.util.find_spec("matplotlib") is None:
            self._triplets = []
            _LOG.info(
                "no pictures in TensorBoard without Matplotlib: pip install "
                "'scdepth-tf[viz]'"
            )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A point now and then; the end of an epoch has its own."""
        self._step += 1
        done = self._step % self._steps_per_epoch
        if done and done % _EVERY == 0:
            self._write_training(logs or {}, done)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Everything; epoch −1 is before the first step."""
        logs = logs or {}
        training = {n: v for n, v in logs.items() if not n.startswith("val_")}
        if training:
            self._write_training(training, self._steps_per_epoch)
        with self._validation.as_default(self._step):
            for name, value in logs.items():
                if name.startswith("val_"):
                    _write_scalar(name.removeprefix("val_"), float(value))
            with self._weights():
                self._draw()
        self._validation.flush()

    def _write_training(self, logs: Mapping[str, float], steps: int) -> None:
        with self._train.as_default(self._step):
            for name, value in logs.items():
                share = 1 / steps if name in _COUNTS else 1
                _write_scalar(name, share * float(value))
            # A constant one is a variable, on several replicas a mirrored one.
            rate = stack.learning_rate(self.model.optimizer)
            _write_scalar("learning_rate", float(tf.convert_to_tensor(rate)))
        self._train.flush()

    def _draw(self) -> None:
        for number, triplet in enumerate(self._triplets, 1):
            scene = self._scenes[triplet.scene]
            try:
                sheet = snippets.draw_triplet(
                    self.model,
                    scene,
                    triplet,
                    self._config.image_size,
                    self._intrinsics(triplet.scene),
                )
            except ValueError as error:  # a diverged network
                _LOG.warning("no pictures in TensorBoard: %s", error)
                return
            _write_picture(f"frames/{number}", sheet)

    def _intrinsics(self, scene: int) -> np.ndarray:
        """Of a scene, with the focal lengths as they are now."""
        intrinsics = self._scenes[scene].intrinsics.copy()
        if self._cameras is not None:
            factors = self.model.focal_length_scale.factors()
            intrinsics[:2, :2] *= factors[self._cameras[scene]]
        return intrinsics


def cut_after(folder: str | Path, step: int) -> None:
    """Drop what event files say about later steps, and what a kill tore.

    Args:
        folder: with event files, in folders of their own too, each in the
            order of the steps.
        step: the last one to keep; −1 keeps none.
    """
    for path in Path(folder).glob("**/*.tfevents.*"):
        kept = 0
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        # A torn record ends the file, as one of a later step does.
        with contextlib.suppress(tf.errors.DataLossError):
            for record in records:
                if tf.compat.v1.Event.FromString(record).step > step:
                    break
                kept += len(record) + _FRAMING
        if kept:
            os.truncate(path, kept)
        else:
            path.unlink()


def _write_scalar(name: str, value: float) -> None:
    tag = _TAGS.get(name, name)
    tf.summary.write(tag, tf.constant(value), metadata=_metadata("scalars"))


def _write_picture(tag: str, picture: np.ndarray) -> None:
    buffer = io.BytesIO()
    # A third of a PNG; colours at full resolution, or the maps would smear.
    Image.fromarray(picture).save(buffer, "JPEG", quality=85, subsampling=0)
    height, width, _ = picture.shape
    tf.summary.write(
        tag,
        tf.constant([str(width), str(height), buffer.getvalue()]),
        metadata=_metadata("images"),
    )


def _metadata(plugin: str) -> tf.compat.v1.SummaryMetadata:
    """Which of TensorBoard's plugins shows it."""
    return tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    )

"""Train SC-Depth on a folder of video: data, model, `fit`, run directory."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from scdepth_tf import data, evaluate, metrics, predict, runs
from scdepth_tf.config import TrainConfig

_LOG = logging.getLogger(__name__)

_VALIDATION_BATCHES = 25
_VALIDATION_IMAGES = 40
"""Enough to choose an epoch by, few enough to do after each."""


def train(
    folder: str | Path,
    out: str | Path,
    config: TrainConfig,
    scenes: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool = True,
) -> runs.Run:
    """Train on video and leave a run directory.

    Everything that can be wrong with the data is found before the run
    directory is made. The best epoch is chosen by AbsRel where the
    validation scenes have depth, else by the validation loss, a poor judge:
    it can fall while depth gets worse.

    Args:
        folder: what `scdepth_tf.data.open_scenes` reads.
        out: the run directory to make.
        config: every choice.
        scenes: names or patterns of scenes; empty takes all.
        callbacks: more Keras callbacks.
        progress: show a bar, and a line for each epoch.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError, ValueError: data, configuration or output folder
            cannot be used.
    """
    keras.utils.set_random_seed(config.seed)
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
    cameras, train_cameras, val_cameras = _cameras(
        config, train_scenes, val_scenes
    )
    train_set = data.training_dataset(
        train_scenes,
        config.data,
        config.batch_size,
        config.seed,
        cameras=train_cameras,
    )
    val_set = data.validation_dataset(
        val_scenes, config.data, config.batch_size, cameras=val_cameras
    ).take(_VALIDATION_BATCHES)
    count = len(data.triplets(train_scenes, config.data.stride))
    _LOG.info(
        "%d training triplets in %d scenes, %d scenes to validate on",
        count,
        len(train_scenes),
        len(val_scenes),
    )

    model = runs.build_model(config.model, config.loss, len(cameras))
    model.compile(
        keras.optimizers.Adam(
            _learning_rate(config), global_clipnorm=config.clip_norm
        )
    )
    run = runs.create_run(out, config, folder, scenes)
    history = keras.callbacks.CSVLogger(run.folder / runs.HISTORY)
    try:
        model.fit(
            train_set,
            validation_data=val_set,
            epochs=config.epochs,
            steps_per_epoch=config.steps_per_epoch,
            verbose=0,  # Keras would print sixteen figures at every step
            shuffle=False,  # the data shuffles itself
            callbacks=[
                # Before the others: it adds what they record and choose by.
                DepthValidation(val_scenes, config.data.image_size),
                history,
                KeepWeights(run, cameras),
                *([Progress(config)] if progress else []),
                *callbacks,
            ],
        )
    except tf.errors.InvalidArgumentError as error:
        # It is buried in a trace, and perhaps not the only one.
        frames = [
            frame
            for scene in train_scenes + val_scenes
            for frame in scene.frames
        ]
        unreadable = data.find_unreadable(frames)
        if not unreadable:
            raise
        raise ValueError(
            f"{unreadable[0]} ({len(unreadable)} unreadable of {len(frames)} "
            "frames)"
        ) from error
    finally:
        if history.csv_file:  # Keras closes it only when all went well
            history.csv_file.close()
    return run


class DepthValidation(keras.callbacks.Callback):
    """Adds depth errors on the validation scenes to the logs of each epoch.

    `val_abs_rel` and `val_delta1` are median-scaled, `val_scale_spread` is
    std / median of the per-image scale. Without ground truth it adds nothing.

    Args:
        scenes: validation scenes.
        image_size: height and width the network works at.
    """

    def __init__(
        self, scenes: Sequence[data.Scene], image_size: tuple[int, int]
    ):
        super().__init__()
        self._samples = _spread_out(
            evaluate.depth_samples(scenes), _VALIDATION_IMAGES
        )
        self._image_size = image_size
        self._predict = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """One predictor for all epochs: it is traced only once."""
        self._predict = predict.depth_predictor(self.model, self._image_size)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Evaluate, where there is something to evaluate on."""
        if not self._samples or logs is None:
            return
        try:
            report = evaluate.evaluate_depth(
                self._predict,
                (sample() for sample in self._samples),
                metrics.GENERIC,
            )
        except ValueError as error:  # a diverged network predicts no depth
            _LOG.warning("no depth validation: %s", error)
            return
        logs["val_abs_rel"] = report.median_scaled.abs_rel
        logs["val_delta1"] = report.median_scaled.delta1
        logs["val_scale_spread"] = report.scale_spread


class Progress(keras.callbacks.Callback):
    """One bar for the whole training, and a line for each epoch.

    Args:
        config: for the number of steps.
    """

    _IN_BAR = ("loss", "auto_mask")
    _IN_LINE = ("loss", "photometric", "geometry", "val_loss", "val_abs_rel")

    def __init__(self, config: TrainConfig):
        super().__init__()
        self._epochs = config.epochs
        self._steps = config.steps_per_epoch
        self._bar = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """The first step takes longer than all others: it compiles."""
        self._bar = tqdm(
            total=self._epochs * self._steps,
            desc="training",
            unit="step",
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """One step on."""
        shown = {name: logs[name] for name in self._IN_BAR if name in logs}
        self._bar.set_postfix(
            {name: f"{value:.3f}" for name, value in shown.items()},
            refresh=False,
        )
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """The figures that say how it goes."""
        figures = ", ".join(
            f"{name} {logs[name]:.3f}" for name in self._IN_LINE if name in logs
        )
        self._bar.write(f"epoch {epoch + 1}/{self._epochs}: {figures}")

    def on_train_end(self, logs: dict | None = None) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class KeepWeights(keras.callbacks.Callback):
    """Saves the last and the best weights after each epoch, whole or not,
    and the focal lengths where they are learnt.

    Args:
        run: whose directory they go to.
        cameras: those whose focal lengths are learnt.
    """

    def __init__(self, run: runs.Run, cameras: Sequence[data.Camera] = ()):
        super().__init__()
        self._run = run
        self._folder = run.folder
        self._cameras = cameras
        self._factors = {}
        self._best = np.inf

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save; the first epoch is the best so far."""
        logs = logs or {}
        score = logs.get("val_abs_rel", logs.get("val_loss", np.inf))
        last = self._folder / runs.LAST_WEIGHTS
        partial = self._folder / "partial.weights.h5"
        self.model.save_weights(partial)
        partial.replace(last)
        best = self._folder / runs.BEST_WEIGHTS
        is_best = score < self._best or not best.exists()
        if is_best:
            self._best = score
            shutil.copyfile(last, partial)
            partial.replace(best)
        if self._cameras:
            self._keep_focal_lengths(is_best)

    def _keep_focal_lengths(self, is_best: bool) -> None:
        factors = self.model.focal_length_scale.factors()
        self._factors["last"] = factors
        if is_best:
            self._factors["best"] = factors
        runs.write_cameras(self._run, self._cameras, self._factors)


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
    cameras = data.group_cameras([*train_scenes, *val_scenes], by)
    return (
        cameras,
        data.camera_indices(cameras, train_scenes),
        data.camera_indices(cameras, val_scenes),
    )


def _learning_rate(
    config: TrainConfig,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule == "constant":
        return config.learning_rate
    steps = config.epochs * config.steps_per_epoch
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        config.learning_rate / 10,
        decay_steps=max(1, steps - warmup),
        alpha=0.05,
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
    )


def _spread_out(samples: list[Callable], count: int) -> list[Callable]:
    """At most `count` of the samples, evenly spaced."""
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples)))
    return [samples[i] for i in chosen.round().astype(int)]

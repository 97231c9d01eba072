"""Train SC-Depth on a folder of video: data, model, `fit`, run directory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from scdepth_tf import data, distribution, replicas, resume, runs, stack
from scdepth_tf.averaging import WeightAverage
from scdepth_tf.boards import Board
from scdepth_tf.callbacks import DepthValidation, KeepRun, Progress, Watch
from scdepth_tf.config import TrainConfig
from scdepth_tf.schedules import learning_rate
from scdepth_tf.training_data import TrainingData, open_training_data

_LOG = logging.getLogger(__name__)


@distribution.clear_about_lost_workers()
def train(
    folder: str | Path,
    out: str | Path,
    config: TrainConfig,
    scenes: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool = True,
    snapshot_minutes: float = 10.0,
    tensorboard: bool = True,
    strategy: distribution.StrategyName = "none",
    replicas: int | None = None,
) -> runs.Run:
    """Train on video and leave a run directory.

    Everything that can be wrong with the data is found before the run
    directory is made. The best epoch is chosen by AbsRel where the
    validation scenes have depth, else by the view-synthesis error, a poor
    judge: it can fall while depth gets worse. A training that starts from
    weights validates them first, as epoch 0, the best one if training only
    makes it worse. One from scratch has nothing to lose and starts at once.

    After a kill at any moment, the same call goes on from the last snapshot.
    On a CPU the result is the same, bit for bit, as without the kill; what
    your own `callbacks` remember is not kept. A finished run stays as it is.

    Args:
        folder: what `scdepth_tf.data.open_scenes` reads.
        out: the run directory to make or to continue.
        config: every choice.
        scenes: names or patterns of scenes; empty takes all.
        callbacks: more Keras callbacks.
        progress: show a bar, and a line for each epoch.
        snapshot_minutes: time between snapshots within an epoch; each epoch
            ends with one, too.
        tensorboard: write curves and pictures into `out`/tensorboard.
        strategy: where it runs, see `distribution.make_strategy`. Workers on
            several machines have to see the same `folder` and `out`; the
            chief writes, all go on from what it has written.
        replicas: how many local devices, with the strategy `mirrored`.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError, ValueError: data, configuration or output folder
            cannot be used, or `out` holds a run with other choices.
        ConnectionError: another worker was lost.
    """
    _check(config)
    devices = distribution.make_strategy(strategy, replicas)
    _check_fits(config, devices)
    runs.check_same_run(out, config, folder, scenes)
    keras.utils.set_random_seed(config.seed)
    footage = open_training_data(folder, scenes, config, devices)
    with devices.scope():
        model = _compiled(config, len(footage.cameras))
        average = None
        if config.ema_momentum is not None:
            average = WeightAverage(model, config.ema_momentum)

    is_chief = distribution.is_chief(devices)
    run = runs.Run(Path(out), config, data.absolute(folder), tuple(scenes))
    if is_chief:
        run = runs.start_run(out, config, folder, scenes)
    distribution.wait_for_all(devices)
    state = _where_it_was(run, model, average, footage.fingerprint())
    _check_all_go_on_from(state.step, run, devices)

    kept_weights = average.in_model if average else contextlib.nullcontext
    validation = DepthValidation(
        footage.val_scenes, config.data.image_size, kept_weights
    )
    keep = KeepRun(
        run,
        state,
        snapshot_minutes,
        validation.score,
        footage.cameras,
        average,
        writes=is_chief,
    )
    keep.set_model(model)
    keep.publish()
    if _is_finished(run, state):
        return run
    if not validation.has_truth:
        _LOG.warning(
            "no depth to validate with: the best epoch is chosen by how well "
            "neighbours explain each other (val_view_synthesis), which can "
            "get better while depth gets worse"
        )
    # Each callback may use what those before it did.
    own_callbacks = [average] if average else []
    own_callbacks.append(validation)
    if tensorboard and is_chief:
        own_callbacks.append(_board(run, state, footage, kept_weights))
    own_callbacks.append(keep)
    bar = Progress(config, state.step)
    if is_chief:
        own_callbacks.append(Watch())
        if progress:
            own_callbacks.append(bar)
    try:
        if config.model.weights and not state.history:
            _validate_before_training(model, footage, own_callbacks)
        _fit(model, footage, state.step, [*own_callbacks, *callbacks])
    except tf.errors.InvalidArgumentError as error:
        # It is buried in a trace, and perhaps not the only one.
        unreadable = footage.unreadable_frames()
        if not unreadable:
            raise
        raise ValueError(unreadable) from error
    finally:
        bar.close()
    distribution.wait_for_all(devices)  # until the chief has written
    return run


def _board(
    run: runs.Run,
    state: resume.TrainingState,
    footage: TrainingData,
    kept_weights: Callable[[], contextlib.AbstractContextManager],
) -> Board:
    return Board(
        run.folder / runs.TENSORBOARD,
        state.step if state.step or state.history else -1,
        run.config.steps_per_epoch,
        footage.val_scenes,
        run.config.data,
        footage.val_camera_indices,
        kept_weights,
    )


def _compiled(config: TrainConfig, cameras: int) -> keras.Model:
    stack.check_precision(config.precision)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(config.precision)
    try:
        model = runs.build_model(config.model, config.loss, cameras)
    finally:
        keras.mixed_precision.set_global_policy(before)
    if config.synchronized_batch_norm:
        replicas.synchronize_batch_norm(model)
    clip_norm = config.clip_norm
    if clip_norm is not None:
        clip_norm = stack.clip_threshold(clip_norm, replicas.replica_count())
    # A float16 model wraps it in a LossScaleOptimizer.
    model.compile(
        stack.Adam(
            learning_rate(config),
            global_clipnorm=clip_norm,
            gradient_accumulation_steps=(
                config.gradient_accumulation
                if config.gradient_accumulation > 1
                else None
            ),
        )
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _check_all_go_on_from(
    step: int, run: runs.Run, devices: tf.distribute.Strategy
) -> None:
    steps = distribution.everyones(devices, step)
    if len(set(steps)) > 1:
        raise ValueError(
            f"the workers go on from different steps ({steps}); {run.folder} "
            "must be one folder that all of them see"
        )


def _where_it_was(
    run: runs.Run,
    model: keras.Model,
    average: WeightAverage | None,
    fingerprint: str,
) -> resume.TrainingState:
    """The state of the newest snapshot, whose variables `model` and `average`
    take over; that of the start where there is none.
    """
    state = resume.restore(
        run.folder / runs.RESUME, model, average.variables if average else ()
    )
    if state is None:
        return resume.TrainingState(data=fingerprint)
    if state.data != fingerprint:
        raise ValueError(
            f"{run.training_data} no longer holds the frames and cameras that "
            f"{run.folder} began with; restore them, or start again with "
            "another --out"
        )
    return state


def _is_finished(run: runs.Run, state: resume.TrainingState) -> bool:
    total = run.config.epochs * run.config.steps_per_epoch
    if state.step >= total or state.stopped:
        _LOG.info("%s is finished; nothing to do", run.folder)
        return True
    if state.step:
        _LOG.info(
            "going on with %s after step %d of %d",
            run.folder,
            state.step,
            total,
        )
    return False


def _validate_before_training(
    model: keras.Model,
    footage: TrainingData,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """As at the end of an epoch, of one before all others."""
    val_set, val_steps = footage.val_batches()
    figures = model.evaluate(
        val_set, steps=val_steps, return_dict=True, verbose=0
    )
    logs = {f"val_{name}": value for name, value in figures.items()}
    for callback in callbacks:
        callback.set_model(model)
        callback.on_epoch_end(-1, logs)


def _fit(
    model: keras.Model,
    footage: TrainingData,
    step: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """`fit` from a step on: what is left of its epoch, then the others."""
    config = footage.config
    val_set, val_steps = footage.val_batches()
    epoch, taken = divmod(step, config.steps_per_epoch)
    parts = [(epoch, config.epochs, 0)]
    if taken:
        parts = [(epoch, epoch + 1, taken), (epoch + 1, config.epochs, 0)]
    for first, end, taken in parts:
        if first >= end or model.stop_training:
            return
        model.fit(
            footage.train_batches(first * config.steps_per_epoch + taken),
            validation_data=val_set,
            validation_steps=val_steps,
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=config.steps_per_epoch - taken,
            verbose=0,  # Keras would print sixteen figures at every step
            shuffle=False,  # the data shuffles itself
            callbacks=list(callbacks),
        )


def _check_fits(config: TrainConfig, devices: tf.distribute.Strategy) -> None:
    distribution.part_of_batch(devices, config.batch_size)
    if devices.num_replicas_in_sync > 1 and config.gradient_accumulation > 1:
        raise ValueError(
            f"gradient_accumulation is {config.gradient_accumulation} on "
            f"{devices.num_replicas_in_sync} replicas, where Keras cannot add "
            "up gradients; raise batch_size instead"
        )


def _check(config: TrainConfig) -> None:
    """Refuse what Keras would accept, or refuse in many lines."""
    for name, least in (
        ("epochs", 1),
        ("steps_per_epoch", 1),
        ("gradient_accumulation", 1),
        ("decay_epochs", 1),
        ("warmup_steps", 0),
        ("patience", 1),
    ):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"{name} is {value}; give {least} or more")
    momentum = config.ema_momentum
    if momentum is not None and not 0 < momentum < 1:
        raise ValueError(
            f"ema_momentum is {momentum:g}; give a number between 0 and 1, "
            "for instance 0.999"
        )
    if config.learning_rate <= 0:
        raise ValueError(
            f"learning_rate is {config.learning_rate:g}; give more than 0"
        )

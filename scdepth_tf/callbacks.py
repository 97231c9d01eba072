"""What happens in a training besides the steps: Keras callbacks."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import keras
import numpy as np
from tqdm import tqdm

from scdepth_tf import data, evaluate, metrics, predict, resume, runs, stack
from scdepth_tf.averaging import WeightAverage
from scdepth_tf.config import TrainConfig
from scdepth_tf.progress import bar

_LOG = logging.getLogger(__name__)

_VALIDATION_IMAGES = 40
"""Enough to choose an epoch by, few enough to do after each."""


class DepthValidation(keras.callbacks.Callback):
    """Adds depth errors on the validation scenes to the logs of each epoch.

    `val_abs_rel` and `val_delta1` are median-scaled, `val_abs_rel_global` has
    one scale for all images, `val_scale_spread` is std / median of the
    per-image scale. Without ground truth it adds nothing.

    Args:
        scenes: validation scenes.
        image_size: height and width the network works at.
        weights: within its block the model has the weights to validate.
    """

    def __init__(
        self,
        scenes: Sequence[data.Scene],
        image_size: tuple[int, int],
        weights: Callable[[], AbstractContextManager] = contextlib.nullcontext,
    ):
        super().__init__()
        self._samples = _spread_out(
            evaluate.depth_samples(scenes), _VALIDATION_IMAGES
        )
        self._image_size = image_size
        self._weights = weights
        self._predict = None

    @property
    def has_truth(self) -> bool:
        """Whether any validation frame has depth."""
        return bool(self._samples)

    @property
    def score(self) -> str:
        """What to choose the best epoch by, in the logs; less is better."""
        return "val_abs_rel" if self.has_truth else "val_view_synthesis"

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Evaluate, where there is something to evaluate on."""
        if not self.has_truth or logs is None:
            return
        if self._predict is None:  # traced once for all epochs
            self._predict = predict.depth_predictor(
                self.model, self._image_size
            )
        try:
            with self._weights():
                report = evaluate.evaluate_depth(
                    self._predict,
                    (sample() for sample in self._samples),
                    metrics.GENERIC,
                )
        except ValueError as error:  # a diverged network predicts no depth
            _LOG.warning("no depth validation: %s", error)
            return
        logs["val_abs_rel"] = report.median_scaled.abs_rel
        logs["val_abs_rel_global"] = report.global_scaled.abs_rel
        logs["val_delta1"] = report.median_scaled.delta1
        logs["val_scale_spread"] = report.scale_spread


class KeepRun(keras.callbacks.Callback):
    """Keeps the run directory: snapshots, history and weights.

    The snapshot comes first and all other files follow from it, so that
    whatever a kill leaves is put right by the next `publish`.

    Args:
        run: whose directory it is.
        state: where the training is; counted on from there.
        snapshot_minutes: time between snapshots within an epoch.
        score: the figure in the logs that the best epoch has the least of.
        cameras: those whose focal lengths are learnt.
        average: the average of the weights, where that is what to keep.
        writes: whether this process is the one that writes.
    """

    def __init__(
        self,
        run: runs.Run,
        state: resume.TrainingState,
        snapshot_minutes: float,
        score: str,
        cameras: Sequence[data.Camera] = (),
        average: WeightAverage | None = None,
        writes: bool = True,
    ):
        super().__init__()
        self._run = run
        self._state = state
        self._steps = run.config.steps_per_epoch
        self._seconds = 60 * snapshot_minutes
        self._score = score
        self._cameras = cameras
        self._more = average.variables if average else ()
        self._weights = average.in_model if average else contextlib.nullcontext
        self._writes = writes
        self._running_means = None
        self._last_snapshot = time.monotonic()

    def set_model(self, model: keras.Model) -> None:
        """Keras resets the running means before each epoch; the ones of an
        epoch that a kill cut in two are put back.
        """
        super().set_model(model)
        if self._state.step % self._steps and self._running_means is None:
            variables = stack.metrics_variables(model)
            self._running_means = [v.numpy() for v in variables]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Go on with the means of the first part of a cut epoch."""
        if self._state.step % self._steps:
            for variable, value in zip(
                stack.metrics_variables(self.model),
                self._running_means,
                strict=True,
            ):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A snapshot, when it is time; the end of an epoch has its own."""
        self._state.step += 1
        waited = time.monotonic() - self._last_snapshot
        if waited >= self._seconds and self._state.step % self._steps:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """A row of history, a snapshot, and what follows from it.

        Keras counts epochs from 0; epoch −1 is before the first step, and the
        history has it as epoch 0.
        """
        row = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **row}
        is_best = self._judge(row)
        self._state.history.append(row)
        if self._cameras:
            with self._weights():
                factors = self.model.focal_length_scale.factors()
            factors = [float(factor) for factor in factors]
            self._state.focal_factors["last"] = factors
            if is_best:
                self._state.focal_factors["best"] = factors
        self._stop_early(row["epoch"])
        self._save()
        self.publish()

    def _judge(self, row: Mapping[str, float]) -> bool:
        """Whether an epoch is the best so far; the first one always is."""
        score = row.get(self._score, np.nan)
        is_better = score < self._state.best_score
        if not is_better and self._state.history:
            return False
        self._state.best_score = score if np.isfinite(score) else np.inf
        self._state.best_epoch = row["epoch"]
        return True

    def _stop_early(self, epoch: int) -> None:
        patience = self._run.config.patience
        waited = epoch - self._state.best_epoch
        if patience is None or waited < patience:
            return
        _LOG.info(
            "stopping after epoch %d: no better %s since epoch %d",
            epoch,
            self._score,
            self._state.best_epoch,
        )
        self._state.stopped = True
        self.model.stop_training = True

    def publish(self) -> None:
        """Write history, weights and focal lengths, as the state has them."""
        if not self._writes:
            return
        history = self._state.history
        runs.write_history(self._run, history)
        if not history or self._state.step % self._steps:
            return
        with self._weights():
            runs.write_weights(self._run, self.model, runs.LAST_WEIGHTS)
            if self._state.best_epoch == history[-1]["epoch"]:
                runs.write_weights(self._run, self.model, runs.BEST_WEIGHTS)
        if self._cameras:
            runs.write_cameras(
                self._run, self._cameras, self._state.focal_factors
            )

    def _save(self) -> None:
        if not self._writes:
            return
        folder = self._run.folder / runs.RESUME
        resume.save(folder, self.model, self._state, self._more)
        self._last_snapshot = time.monotonic()


class Progress(keras.callbacks.Callback):
    """One bar for the whole training, and a line for each epoch.

    Args:
        config: for the number of steps.
        first_step: steps that were taken before.
    """

    _IN_BAR = ("loss", "auto_mask")
    _IN_LINE = (
        "loss",
        "photometric",
        "geometry",
        "val_loss",
        "val_view_synthesis",
        "val_abs_rel",
    )

    def __init__(self, config: TrainConfig, first_step: int = 0):
        super().__init__()
        self._epochs = config.epochs
        self._steps = config.epochs * config.steps_per_epoch
        self._first_step = first_step
        self._bar = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """The first step takes longer than all others: it compiles."""
        if self._bar is None:
            self._bar = bar(
                total=self._steps,
                initial=self._first_step,
                desc="training",
                unit="step",
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
        when = f"epoch {epoch + 1}/{self._epochs}"
        tqdm.write(f"{when if epoch >= 0 else 'before training'}: {figures}")

    def close(self) -> None:
        """Leave the bar as it is; else it is drawn again after an error."""
        if self._bar is not None:
            self._bar.close()


@dataclasses.dataclass(frozen=True)
class Monitor:
    """One way to collapse, as the metrics of a training show it."""

    metric: str
    """Name in the logs."""

    below: float = -np.inf
    """Alarm where the metric is less than this,"""

    above: float = np.inf
    """or more than this."""

    per_step: bool = False
    """The metric is a count, to be taken as a share of the steps."""

    warning: str = ""
    """What it means, likely causes, remedies; {:.2g} is the figure."""

    def alarms(self, figure: float) -> bool:
        """Whether a figure is beyond the threshold."""
        return not self.below <= figure <= self.above


MONITORS = (
    Monitor(
        "bad_input",
        above=0.0,
        per_step=True,
        warning="NaN or infinity in frames or intrinsics ({:.2g} of the "
        "batches); these steps are skipped. Look for nan in cam.txt, and in "
        "what your own pipeline divides by",
    ),
    Monitor(
        "skipped",
        above=0.1,
        per_step=True,
        warning="{:.2g} of the steps are skipped, because their gradient is "
        "not finite. Training diverges: lower --learning-rate, or set "
        "--clip-norm 1",
    ),
    Monitor(
        "depth_mean",
        above=30.0,
        warning="depth explodes (mean {:.2g} scene units, of 100 at most). "
        "Likely a camera that stands still or only turns, wrong intrinsics, "
        "or a learning rate too high: check cam.txt, drop such frames "
        "(scdepth prepare), lower --learning-rate",
    ),
    Monitor(
        "depth_spread",
        below=0.02,
        warning="depth is nearly constant (std / mean {:.2g} in an image). "
        "Likely wrong intrinsics, too little motion, or too much smoothing: "
        "check cam.txt, raise --data.stride, lower --loss.smoothness-weight "
        "or --learning-rate",
    ),
    Monitor(
        "valid",
        below=0.1,
        warning="the masks are nearly empty: {:.2g} of the pixels are seen in "
        "both frames, the predicted motion moves the others out of the "
        "picture. Likely wrong intrinsics (of another image size?) or frames "
        "too far apart: check cam.txt, lower --data.stride or --learning-rate",
    ),
    Monitor(
        "motion_spread",
        below=2e-4,
        warning="the pose is frozen: the same motion, within {:.2g} radians or "
        "depths, for every pair of frames. Likely a camera that stands still, "
        "a frame gap too small, or a pose network that died of a learning "
        "rate too high: raise --data.stride, drop such frames (scdepth "
        "prepare), lower --learning-rate",
    ),
    Monitor(
        "auto_mask",
        below=0.02,
        warning="the masks are nearly empty: only {:.2g} of the pixels are "
        "explained better by the warped neighbour than by the neighbour as "
        "it is. Likely a static camera or a frame gap too small: raise "
        "--data.stride, drop such frames (scdepth prepare)",
    ),
)
"""Thresholds are far outside of what healthy trainings show. What comes later
often follows from what comes before, and keeps silent then."""


class Watch(keras.callbacks.Callback):
    """Warns when training collapses: once, until it recovers.

    Looks at the running means of the epoch every 100 steps and at its end.
    Works with `fit` of any script.

    Args:
        monitors: what to look for.
    """

    _EVERY = 100

    def __init__(self, monitors: Sequence[Monitor] = MONITORS):
        super().__init__()
        self._monitors = monitors
        self._steps = 0
        self._warned: set[str] = set()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Metrics start anew."""
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Do not wait for the end of a long epoch."""
        self._steps += 1
        if self._steps % self._EVERY == 0:
            self._look(f"step {self._steps}", logs or {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the means of the whole epoch."""
        self._look(f"epoch {epoch + 1}", logs or {})

    def _look(self, when: str, logs: Mapping[str, float]) -> None:
        silent = False
        for monitor in self._monitors:
            figure = self._figure(monitor, logs)
            if figure is None or not monitor.alarms(figure):
                self._warned.discard(monitor.metric)
                continue
            if monitor.metric not in self._warned and not silent:
                self._warned.add(monitor.metric)
                _LOG.warning(
                    "%s: %s [%s]",
                    when,
                    monitor.warning.format(figure),
                    monitor.metric,
                )
            silent = silent or not monitor.per_step

    def _figure(
        self, monitor: Monitor, logs: Mapping[str, float]
    ) -> float | None:
        """None where the logs cannot tell."""
        if monitor.metric not in logs or not self._steps:
            return None
        figure = float(logs[monitor.metric])
        if monitor.metric == "skipped":  # what NaN input explains is not news
            figure -= float(logs.get("bad_input", 0.0))
        if monitor.per_step:
            return figure / self._steps
        # Means over no step that counts are zero, and mean nothing.
        all_skipped = logs.get("skipped", 0.0) >= self._steps
        return None if all_skipped else figure


def _spread_out(samples: list[Callable], count: int) -> list[Callable]:
    """At most `count` of the samples, evenly spaced."""
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples)))
    return [samples[i] for i in chosen.round().astype(int)]

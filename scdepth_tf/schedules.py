"""Learning rates as functions of the step."""

from __future__ import annotations

import keras
import tensorflow as tf

from scdepth_tf.config import TrainConfig

_START = 0.1
"""Where a warm-up starts, as a share of the peak."""


@keras.saving.register_keras_serializable("scdepth_tf")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Climbs linearly from a tenth to the peak, then falls in steps.

    Args:
        peak: learning rate after the warm-up.
        warmup_steps: length of the climb; 0 starts at the peak.
        decay_steps: each time this many steps are over, counted from the
            start, the rate falls to a tenth; None: never.
    """

    def __init__(
        self, peak: float, warmup_steps: int = 0, decay_steps: int | None = None
    ):
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Learning rate of a step, counted from 0."""
        step = tf.cast(step, tf.int64)
        rate = tf.constant(self.peak, tf.float32)
        if self.warmup_steps:
            done = tf.cast(step, tf.float32) / self.warmup_steps
            rate *= tf.minimum(1.0, _START + (1.0 - _START) * done)
        if self.decay_steps:
            rate *= 0.1 ** tf.cast(step // self.decay_steps, tf.float32)
        return rate

    def get_config(self) -> dict:
        """The arguments."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
        }


def learning_rate(
    config: TrainConfig,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """What a training's optimizer takes for its learning rate.

    A step is a batch, whether or not it accumulates gradients; skipped steps
    do not count.
    """
    steps = config.epochs * config.steps_per_epoch
    warmup = config.warmup_steps
    if config.schedule == "cosine":
        warmup = max(1, steps // 10) if warmup is None else warmup
        return keras.optimizers.schedules.CosineDecay(
            config.learning_rate / (10 if warmup else 1),
            decay_steps=max(1, steps - warmup),
            alpha=0.05,
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    falls = config.schedule == "step"
    if not falls and not warmup:
        return config.learning_rate
    return StepDecay(
        config.learning_rate,
        warmup or 0,
        config.decay_epochs * config.steps_per_epoch if falls else None,
    )

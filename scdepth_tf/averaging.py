"""An exponential moving average of a model's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf


class WeightAverage(keras.callbacks.Callback):
    """Averages the weights while they are trained (EMA).

    After update number t of the weights, counted from 1:

        average ← m·average + (1 − m)·weights
        m = min(momentum, (1 + t) / (10 + t))

    from average = weights at t = 0; the second bound on m lets the average
    leave the untrained start behind. Steps that change no weights, because
    they are skipped or accumulate gradients, change no average either. The
    running statistics of BatchNorm are averaged as well, since they belong to
    the weights.

    Keras' own `use_ema` is not used: it replaces the weights at the end of
    each `fit`, counts accumulating steps as updates, and leaves BatchNorm's
    statistics those of the last step.

    As a callback it validates `fit` with the average.

    Args:
        model: compiled; its optimizer is built.
        momentum: largest m, in (0, 1).
    """

    def __init__(self, model: keras.Model, momentum: float):
        super().__init__()
        self._momentum = momentum
        self._weights = [
            v for v in model.variables if tf.as_dtype(v.dtype).is_floating
        ]
        self._averages = [
            tf.Variable(weight.numpy(), dtype=weight.dtype, trainable=False)
            for weight in self._weights
        ]
        self._updates = tf.Variable(0, dtype="int64", trainable=False)
        self._borrowed = contextlib.ExitStack()
        self._follow = tf.function(self._follow_update)

    @property
    def variables(self) -> list[tf.Variable]:
        """All there is to keep, for snapshots."""
        return [*self._averages, self._updates]

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Within the block, the model has the average for its weights."""
        own = [weight.numpy() for weight in self._weights]
        _assign(self._weights, self._averages)
        try:
            yield
        finally:
            _assign(self._weights, own)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Follow the weights."""
        self._follow()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Validate the average."""
        self._borrowed.enter_context(self.in_model())

    def on_test_end(self, logs: dict | None = None) -> None:
        """Go on with the weights."""
        self._borrowed.close()

    def _follow_update(self) -> None:
        updates = tf.cast(self.model.optimizer.iterations, tf.int64)

        def follow() -> None:
            self._updates.assign(updates)
            count = tf.cast(updates, tf.float32)
            momentum = tf.minimum(self._momentum, (1 + count) / (10 + count))
            for average, weight in zip(
                self._averages, self._weights, strict=True
            ):
                rest = tf.cast(1.0 - momentum, average.dtype)
                average.assign_add(rest * (weight - average))

        tf.cond(updates > self._updates, follow, lambda: None)


def _assign(variables: Sequence[tf.Variable], values: Sequence) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

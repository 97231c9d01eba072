"""Where the two sets of packages that we run on differ, all of it.

The default is TensorFlow 2.21 with Keras 3; the other is the newest that
tensorflow-addons runs on, TensorFlow 2.15 with Keras 2.15
(docs/named_stack.md). Every name in here means the same on both. Nowhere else
do we ask for a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from scdepth_tf import adam

KERAS = f"Keras {keras.__version__.split('.')[0]}"
IS_KERAS_2 = KERAS == "Keras 2"


class _Keras2Model(keras.Model):
    """A Keras 2 model that behaves as one of Keras 3 does."""

    @property
    def weights(self) -> list[tf.Variable]:
        """Keras 2 counts the variables of metrics among them."""
        metrics = {id(v) for m in self._metrics for v in m.variables}
        return [v for v in super().weights if id(v) not in metrics]

    def make_train_function(self, force: bool = False):
        """Keras 2 has no `_maybe_symbolic_build`, only this, to make variables
        before the first step is traced.
        """
        if hasattr(self, "_maybe_symbolic_build"):
            self._maybe_symbolic_build()
        return super().make_train_function(force)

    def save_weights(self, filepath: str | Path, *_: Any, **__: Any) -> None:
        """In the layout of Keras 3, which does not find all of these networks'
        weights in that of Keras 2.
        """
        import h5py

        with h5py.File(filepath, "w") as file:
            for place, layer in _places(self, ""):
                layer.save_own_variables(file.create_group(f"{place}vars"))

    def load_weights(self, filepath: str | Path, *_: Any, **__: Any) -> None:
        """From the layout of Keras 3."""
        import h5py

        with h5py.File(filepath, "r") as file:
            for place, layer in _places(self, ""):
                layer.load_own_variables(file.get(f"{place}vars", {}))


Model = _Keras2Model if IS_KERAS_2 else keras.Model
"""What our own models are derived from."""


def _places(
    layer: keras.layers.Layer, place: str, visited: set[int] | None = None
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Each layer once, with the group in which Keras 3 keeps its variables:
    attributes in the order of their names, lists of layers by class.
    """
    visited = set() if visited is None else visited
    if id(layer) in visited:
        return
    visited.add(id(layer))
    yield place, layer
    inner = dict(vars(layer))
    if isinstance(layer, keras.Model):
        inner["layers"] = layer.layers
    for name in sorted(inner):
        if isinstance(inner[name], keras.layers.Layer) and name[0] != "_":
            yield from _places(inner[name], f"{place}{name}/", visited)
        if name == "layers":
            named = _named_by_class(inner[name])
            for unique, child in named:
                yield from _places(child, f"{place}layers/{unique}/", visited)


def _named_by_class(
    layers: Iterable[keras.layers.Layer],
) -> Iterator[tuple[str, keras.layers.Layer]]:
    used: dict[str, int] = {}
    for layer in layers:
        name = _snake_case(type(layer).__name__)
        used[name] = used.get(name, -1) + 1
        yield f"{name}_{used[name]}" if used[name] else name, layer


def _snake_case(name: str) -> str:
    """As Keras names layers: SCDepth is sc_depth, Conv2D is conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def path(variable: Any) -> str:
    """Place of a variable in its model, such as stem/kernel."""
    # A Keras 2 variable is TensorFlow's: it has a name, with an output number.
    return variable.name.split(":")[0] if IS_KERAS_2 else variable.path


def tensorflow_variables(variables: Iterable[Any]) -> list[tf.Variable]:
    """What a `tf.Module` can hold on to."""
    # A Keras 3 variable wraps TensorFlow's, a Keras 2 variable is one.
    return list(variables) if IS_KERAS_2 else [v.value for v in variables]


def metrics_variables(model: keras.Model) -> list[Any]:
    """Those of a model's metrics, for which Keras 2 has no name."""
    return [v for metric in model.metrics for v in metric.variables]


# === Optimizers ===


class _Keras2Accumulates:
    """Lets an optimizer add up gradients, as those of Keras 3 can.

    Its `iterations` are updates of the weights, as in Keras 3.
    """

    def __init__(
        self,
        learning_rate: Any,
        *args: Any,
        gradient_accumulation_steps: int | None = None,
        **kwargs: Any,
    ):
        self.gradient_accumulation_steps = gradient_accumulation_steps
        if gradient_accumulation_steps and callable(learning_rate):
            learning_rate = _InBatches(
                learning_rate, gradient_accumulation_steps
            )
        super().__init__(learning_rate, *args, **kwargs)

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """The sums, too, where gradients are added up."""
        was_built = getattr(self, "_built", False)
        super().build(var_list)
        if was_built or not self.gradient_accumulation_steps:
            return
        self._sums = [
            self.add_variable_from_reference(variable, "sum")
            for variable in var_list
        ]
        self._count = tf.Variable(0, trainable=False, name="count")
        self._variables.append(self._count)

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple], *args: Any, **kwargs: Any
    ) -> None:
        """A step, or a part of one."""
        steps = self.gradient_accumulation_steps
        apply = super().apply_gradients
        if not steps:
            apply(grads_and_vars, *args, **kwargs)
            return
        gradients, variables = zip(*grads_and_vars, strict=True)
        sums = self._sums

        def update() -> None:
            means = [
                (total + gradient) / steps
                for total, gradient in zip(sums, gradients, strict=True)
            ]
            apply(zip(means, variables, strict=True), *args, **kwargs)
            for variable in (*sums, self._count):
                variable.assign(tf.zeros_like(variable))

        def add() -> None:
            for total, gradient in zip(sums, gradients, strict=True):
                total.assign_add(gradient)
            self._count.assign_add(1)

        tf.cond(self._count + 1 >= steps, update, add)


class _InBatches(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that counts batches, asked by updates of the weights."""

    def __init__(self, schedule: Any, batches: int):
        self._schedule = schedule
        self._batches = batches

    def __call__(self, updates: tf.Tensor) -> tf.Tensor:
        return self._schedule((updates + 1) * self._batches - 1)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self._schedule, "batches": self._batches}


class _Keras3Accumulates:
    """Keras 3 optimizers add gradients up by themselves."""


Accumulates = _Keras2Accumulates if IS_KERAS_2 else _Keras3Accumulates


class _Keras2Adam(Accumulates, keras.optimizers.Adam):
    """Adam with `gradient_accumulation_steps`."""


Adam = _Keras2Adam if IS_KERAS_2 else adam.Adam
"""What we train with. The one kernel of ours takes Keras 3's insides."""


def accumulation_steps(optimizer: Any) -> int | None:
    """Steps whose gradients it adds up."""
    # Keras 2's own optimizers do not know the word.
    return getattr(optimizer, "gradient_accumulation_steps", None)


def learning_rate(optimizer: Any) -> Any:
    """Of the next update of the weights."""
    # Keras 2 shows that of the last one that this process has done.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = inner._learning_rate if IS_KERAS_2 else optimizer.learning_rate
    return rate(optimizer.iterations) if callable(rate) else rate


LossScaleOptimizer = keras.mixed_precision.LossScaleOptimizer
"""Keras 2 has it under this name alone."""


def is_built(optimizer: Any) -> bool:
    """Whether it has its variables."""
    # Keras 2 keeps that to itself, and not in the LossScaleOptimizer.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "_built", False) if IS_KERAS_2 else optimizer.built


def optimizer_variables(optimizer: Any) -> list[Any]:
    """All that an optimizer remembers."""
    # A LossScaleOptimizer of Keras 2 leaves its own variables out.
    own = []
    if IS_KERAS_2 and isinstance(optimizer, LossScaleOptimizer):
        own = list(loss_scale_variables(optimizer))
    return [*optimizer.variables, *own]


def loss_scale_variables(optimizer: Any) -> tuple[Any, Any]:
    """Of a LossScaleOptimizer: the scale, and the steps since it changed."""
    if IS_KERAS_2:  # which shows the scale's value only
        state = optimizer._loss_scale
        return state.current_loss_scale, state.counter
    return optimizer.dynamic_scale, optimizer.step_counter


def scale_loss(optimizer: Any, loss: tf.Tensor) -> tf.Tensor:
    """The loss times the loss scale, where the optimizer has one."""
    if not IS_KERAS_2:
        return optimizer.scale_loss(loss)
    if isinstance(optimizer, LossScaleOptimizer):  # others know no scale
        return optimizer.get_scaled_loss(loss)
    return loss


def check_precision(policy: str) -> None:
    """Refuse to train in what this stack gets wrong.

    Raises:
        ValueError: mixed_bfloat16 under Keras 2.
    """
    # Its layers add biases with BiasAdd, whose gradient on a processor stops
    # growing at 256 in bfloat16; those of Keras 3 add them with a plain sum.
    if IS_KERAS_2 and policy == "mixed_bfloat16":
        raise ValueError(
            "precision mixed_bfloat16 needs Keras 3: Keras 2 loses most of "
            "the gradients of biases in it; use mixed_float16 or float32"
        )


# === Replicas ===


def check_strategy(name: str) -> None:
    """Refuse a strategy that this stack gets wrong.

    Raises:
        ValueError: multi_worker under Keras 2.
    """
    # Its `fit` hands callbacks a value of each worker in place of their mean.
    if IS_KERAS_2 and name == "multi_worker":
        raise ValueError(
            "strategy multi_worker needs Keras 3; under Keras 2 use mirrored"
        )


def clip_threshold(threshold: float, replicas: int) -> float:
    """What to give an optimizer as its clipping threshold, so that
    `replicas.apply_if` clips the gradient of the global batch at `threshold`.
    """
    # Keras 3 clips each replica's share and adds the shares up after that,
    # Keras 2 clips the sum.
    return threshold if IS_KERAS_2 else threshold / replicas


class SameEverywhere:
    """A metric that every replica updates with the same numbers: reading it
    needs no other replica.
    """

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["aggregation"] = "only_first_replica"
        return super().add_variable(*args, **kwargs)

    # Keras 2 has another name for it, and TensorFlow's for the aggregation.
    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        if IS_KERAS_2:
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            kwargs["aggregation"] = first
        return super().add_weight(*args, **kwargs)


def synchronize(layer: keras.layers.BatchNormalization) -> None:
    """Make a BatchNorm use the statistics of the global batch."""
    layer.synchronized = True
    if IS_KERAS_2:  # whose fused kernel knows no other replica
        layer.fused = False

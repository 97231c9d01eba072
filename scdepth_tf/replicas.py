"""What the replicas of a `tf.distribute.Strategy` have to agree on in a step.

Everything here is called in `train_step` or `test_step` and does nothing where
there is one replica. Numbers that a step leaves behind (metrics, running
statistics) are the same on every replica, so that each worker can save and
report them without asking the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from scdepth_tf import stack
from scdepth_tf.nets.layers import batch_norms


def replica_count() -> int:
    """Replicas that take each step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_alone_in_process() -> bool:
    """Whether this process has one replica, whatever other workers have."""
    if not tf.distribute.has_strategy():
        return True
    return len(tf.distribute.get_strategy().extended.worker_devices) == 1


def add_up(values: tf.Tensor | Sequence[tf.Tensor]):
    """Values summed over all replicas, the same on each."""
    if replica_count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def share_of_batch(batch_size: tf.Tensor) -> tf.Tensor:
    """Which part of the global batch this replica has, scalar in (0, 1]."""
    own = tf.cast(batch_size, tf.float32)
    return own / add_up(own)


def apply_if(
    finite: tf.Tensor,
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
) -> None:
    """An optimizer step on all replicas, or on none.

    Args:
        finite: bool scalar, the same on every replica.
        optimizer: built.
        gradients: this replica's share; all shares add up to the gradient.
        variables: that they belong to.
    """
    if replica_count() > 1 and _looks_at_the_whole(optimizer):
        # Keras 3 adds up after clipping and accumulating. Equal shares make
        # both right: the threshold, too, is one (`stack.clip_threshold`).
        gradients = [g / replica_count() for g in add_up(list(gradients))]

    def apply(gradients: list[tf.Tensor]) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def apply_on_all(
        strategy: tf.distribute.Strategy,
        finite: tf.Tensor,
        gradients: list[tf.Tensor],
    ) -> None:
        def step() -> None:
            strategy.extended.call_for_each_replica(apply, args=(gradients,))

        tf.cond(
            strategy.experimental_local_results(finite)[0], step, lambda: None
        )

    # A replica cannot branch into an update, which needs all of them: the
    # branch must be outside of the replicas.
    tf.distribute.get_replica_context().merge_call(
        apply_on_all, args=(finite, list(gradients))
    )


def average(variables: Sequence[keras.Variable]) -> None:
    """Make variables that each replica has updated by itself the same on all:
    their mean.
    """
    if replica_count() == 1 or not variables:
        return
    # A variable as it is read has no device, which add_up needs.
    sums = add_up([tf.identity(v) for v in variables])
    for variable, total in zip(variables, sums, strict=True):
        variable.assign(total / replica_count())


def synchronize_batch_norm(model: keras.Model) -> None:
    """Make all BatchNorm in a model use the statistics of the global batch.

    Call it before the first step.
    """
    for norm in batch_norms(model):
        stack.synchronize(norm)


class Mean(stack.SameEverywhere, keras.metrics.Mean):
    """`keras.metrics.Mean` of numbers that are the same on every replica."""


class Sum(stack.SameEverywhere, keras.metrics.Sum):
    """`keras.metrics.Sum` of numbers that are the same on every replica."""


def _looks_at_the_whole(optimizer: keras.optimizers.Optimizer) -> bool:
    return bool(
        optimizer.clipnorm
        or optimizer.global_clipnorm
        or optimizer.clipvalue
        or stack.accumulation_steps(optimizer)
    )

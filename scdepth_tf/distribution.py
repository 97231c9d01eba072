"""Where a training runs: on one device, on all of a machine, on several."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Literal, get_args

import tensorflow as tf

from scdepth_tf import stack

StrategyName = Literal["none", "mirrored", "multi_worker"]


def make_strategy(
    name: StrategyName, replicas: int | None = None
) -> tf.distribute.Strategy:
    """A strategy by its name; TensorFlow must not have done anything yet.

    Args:
        name: `none` is one device; `mirrored` all graphics cards of this
            machine; `multi_worker` the machines of the variable TF_CONFIG,
            each running the same program.
        replicas: with `mirrored`, how many devices: the first graphics cards,
            or where there is none, as many parts of the processor.

    Raises:
        ValueError: there is no such strategy, the Keras that is installed
            cannot have it, not enough devices, or TF_CONFIG says nothing of a
            cluster.
    """
    if name not in get_args(StrategyName):
        raise ValueError(
            f"no strategy {name!r}; there are "
            f"{', '.join(get_args(StrategyName))}"
        )
    stack.check_strategy(name)
    if replicas is not None and name != "mirrored":
        raise ValueError(
            f"replicas {replicas} goes with the strategy mirrored, not {name}"
        )
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_local_devices(replicas))
    if name == "multi_worker":
        _check_tf_config(os.environ.get("TF_CONFIG"))
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return not has_chief and resolver.task_id == 0


def replicas_per_worker(strategy: tf.distribute.Strategy) -> int:
    """Replicas in this process."""
    if strategy.num_replicas_in_sync == 1:
        return 1
    return len(strategy.extended.worker_devices)


def everyones(strategy: tf.distribute.Strategy, number: int) -> list[int]:
    """The number that each replica brings."""
    if strategy.num_replicas_in_sync == 1:
        return [number]

    @tf.function  # eagerly it works, too, with a warning
    def bring() -> tf.Tensor:
        brought = strategy.run(lambda: tf.constant([number], tf.int64))
        return strategy.gather(brought, axis=0)

    return bring().numpy().tolist()


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Return when all workers have come here."""
    everyones(strategy, 0)


@contextlib.contextmanager
def clear_about_lost_workers() -> Iterator[None]:
    """Say what to do where TensorFlow says that a collective was aborted."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise ConnectionError(
            "lost another worker; start all workers again with the same "
            "command, they go on from the last snapshot "
            f"({error.message.splitlines()[0]})"
        ) from error


def part_of_batch(strategy: tf.distribute.Strategy, batch_size: int) -> int:
    """Triplets of each step that one replica gets.

    Raises:
        ValueError: they cannot be shared evenly.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"batch_size is {batch_size}, to be shared by {replicas} replicas;"
            f" give a multiple of {replicas}"
        )
    return batch_size // replicas


def _local_devices(replicas: int | None) -> list[str]:
    cards = tf.config.list_physical_devices("GPU")
    if replicas is not None and replicas < 1:
        raise ValueError(f"replicas is {replicas}; give 1 or more")
    if cards:
        if replicas is not None and replicas > len(cards):
            raise ValueError(
                f"{replicas} replicas, but {len(cards)} graphics cards; give "
                "no more replicas than that"
            )
        return [f"GPU:{i}" for i in range(replicas or len(cards))]
    replicas = replicas or 1
    [processor] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * replicas
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < replicas:
            raise ValueError(
                f"the processor cannot be split in {replicas} once TensorFlow "
                "has started; make the strategy first, in a fresh process"
            ) from error
    return [f"CPU:{i}" for i in range(replicas)]


def _check_tf_config(text: str | None) -> None:
    example = (
        '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": '
        '{"type": "worker", "index": 0}}'
    )
    if not text:
        raise ValueError(
            f"multi_worker needs the environment variable TF_CONFIG: {example}"
        )
    try:
        config = json.loads(text)
        config["cluster"]["worker"][0]
        config["task"]["type"], config["task"]["index"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"TF_CONFIG is {text!r}; it should be like {example}"
        ) from error

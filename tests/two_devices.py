"""Training steps on one device and on two halves of the processor.

TensorFlow splits a processor only before it has done anything: `measure` runs
in a process of its own.
"""

import dataclasses
import functools
import multiprocessing
import pickle
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import distribution, replicas, stack
from tests import planes
from tests.tiny_model import TinyDepth, TinyPose, batch_of


@dataclasses.dataclass
class Trained:
    """What a few steps have left behind."""

    history: dict
    weights: list
    """Of the first replica."""
    other_weights: list
    """Of the last replica."""
    validation: dict


class NormalisedDepth(keras.Model):
    """A depth network with BatchNorm."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(
            [
                keras.Input((None, None, 3)),
                keras.layers.Conv2D(4, 3, padding="same"),
                keras.layers.BatchNormalization(momentum=0.5),
                keras.layers.Activation("tanh"),
                keras.layers.Conv2D(1, 3, padding="same"),
            ]
        )
        self.built = True

    def call(self, images, training=False):
        return 4.0 + 2.0 * tf.tanh(self.inner(images, training=training))


def uneven_batch():
    """Four triplets, the later two all but static: they keep few pixels."""
    batch = batch_of(4)
    frames = batch["frames"].numpy()
    static = planes.WIDTH * 7 // 8
    frames[2:, 1:, :, :static] = frames[2:, :1, :, :static]
    return batch | {
        "frames": tf.constant(frames),
        "jittered": tf.constant(frames * 0.9),
    }


def part(batch, start, stop):
    return {name: value[start:stop] for name, value in batch.items()}


def with_nan(batch, index):
    spoilt = batch["frames"].numpy()
    spoilt[index, 0, 3, 3] = np.nan
    return batch | {"frames": tf.constant(spoilt)}


def train(strategy, case):
    """Steps on global batches."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = sd.SCDepth(
            case.depth_net(),
            TinyPose(),
            loss=case.loss,
            reverse_pose=case.reverse_pose,
            jit_losses=False,
        )
        if case.synchronized:
            replicas.synchronize_batch_norm(model)
        optimizer = case.optimizer(strategy.num_replicas_in_sync)
        if case.scale:
            optimizer = stack.LossScaleOptimizer(
                optimizer, initial_scale=case.scale
            )
        model.compile(optimizer)
    first, *others = map(tf.data.Dataset.from_tensors, batches_of(case.batches))
    dataset = functools.reduce(tf.data.Dataset.concatenate, others, first)
    history = model.fit(dataset, verbose=0, shuffle=False).history
    validation = model.evaluate(dataset.take(1), verbose=0, return_dict=True)
    local = [
        strategy.experimental_local_results(v)
        for v in stack.tensorflow_variables(model.variables)
    ]
    return Trained(
        history,
        [values[0].numpy() for values in local],
        [values[-1].numpy() for values in local],
        validation,
    )


def sgd(replicas):
    return keras.optimizers.SGD(1.0)


def clipped(replicas):
    return keras.optimizers.SGD(
        0.3,
        momentum=0.9,
        global_clipnorm=stack.clip_threshold(0.05, replicas),
    )


def adam(replicas):
    return keras.optimizers.Adam(1e-2)


@dataclasses.dataclass(frozen=True)
class Case:
    """One training, to be done on one device and on two."""

    batches: str = "plain"
    optimizer: Callable = sgd
    depth_net: type = TinyDepth
    synchronized: bool = False
    scale: float | None = None
    loss: sd.LossConfig | None = None
    reverse_pose: str = "inverse"


def batches_of(name):
    """What each step gets, on all replicas together."""
    batch = uneven_batch()
    return {
        "plain": [batch, batch],
        # Only the second replica sees the NaN.
        "nan": [batch, with_nan(batch, 3), batch],
        # One replica gets two triplets, the other one.
        "odd": [part(batch, 0, 3)],
    }[name]


CASES = {
    "everything": Case("nan", clipped, NormalisedDepth, True, 1024.0),
    "lightning": Case("odd", loss=sd.LossConfig.lightning()),
    "own norm": Case(depth_net=NormalisedDepth),
}
SLOW_CASES = {
    "release": Case(),
    "network": Case(reverse_pose="network"),
    "clipped": Case(optimizer=clipped),
    "adam": Case(optimizer=adam),
    "scaled": Case(scale=1024.0),
    "overflow": Case(scale=1e39),
    "synchronized": Case(depth_net=NormalisedDepth, synchronized=True),
}


def _measure(path, cases):
    both = distribution.make_strategy("mirrored", 2)
    one = distribution.make_strategy("none")
    results = {
        (name, where): train(strategy, case)
        for name, case in cases.items()
        for where, strategy in (("one", one), ("both", both))
    }
    with path.open("wb") as file:
        pickle.dump(results, file)


def measure(path, cases):
    """What each case led to, by (name, "one" or "both")."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tiny_training"])
    process = context.Process(target=_measure, args=(path, cases))
    process.start()
    process.join()
    assert process.exitcode == 0
    with path.open("rb") as file:
        return pickle.load(file)

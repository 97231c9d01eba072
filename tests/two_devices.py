"""Training steps on one device and on two halves of the processor.

TensorFlow splits a processor only before it has done anything: `measure` runs
in a process of its own.
"""

import contextlib
import dataclasses
import multiprocessing
import pickle

import keras
import numpy as np
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf import distribution, replicas
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
    """Four triplets, the later two half static: they keep fewer pixels."""
    batch = batch_of(4)
    frames = batch["frames"].numpy()
    frames[2:, 1:, :, : planes.WIDTH // 2] = frames[
        2:, :1, :, : planes.WIDTH // 2
    ]
    frames[2:] *= 0.8
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


def train(
    strategy,
    batches,
    optimizer=lambda replicas: keras.optimizers.SGD(1.0),
    depth_net=TinyDepth,
    synchronized=False,
    scale=None,
    **options,
):
    """Steps on the batches, each given as global batch."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = sd.SCDepth(depth_net(), TinyPose(), **options)
        if synchronized:
            replicas.synchronize_batch_norm(model)
        inner = optimizer(strategy.num_replicas_in_sync)
        if scale:
            inner = keras.optimizers.LossScaleOptimizer(inner, scale)
        model.compile(inner)
    dataset = tf.data.Dataset.from_tensors(batches[0])
    for batch in batches[1:]:
        dataset = dataset.concatenate(tf.data.Dataset.from_tensors(batch))
    with _no_sharding(dataset) as dataset:
        history = model.fit(dataset, verbose=0, shuffle=False).history
        validation = model.evaluate(dataset, verbose=0, return_dict=True)
    variables = [v.value for v in model.variables]
    local = [strategy.experimental_local_results(v) for v in variables]
    return Trained(
        history,
        [values[0].numpy() for values in local],
        [values[-1].numpy() for values in local],
        validation,
    )


@contextlib.contextmanager
def _no_sharding(dataset):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    yield dataset.with_options(options)


def clipped(replicas):
    return keras.optimizers.SGD(
        0.3, momentum=0.9, global_clipnorm=0.05 / replicas
    )


def adam(replicas):
    return keras.optimizers.Adam(1e-2)


CASES = {
    "release": {},
    "lightning": {"loss": sd.LossConfig.lightning()},
    "network": {"reverse_pose": "network"},
    "clipped": {"optimizer": clipped},
    "adam": {"optimizer": adam},
    "scaled": {"scale": 1024.0},
    "normalised": {"depth_net": NormalisedDepth},
    "synchronized": {"depth_net": NormalisedDepth, "synchronized": True},
}


def _measure(path):
    both = distribution.make_strategy("mirrored", 2)
    one = distribution.make_strategy("none")
    batch = uneven_batch()
    plain = {"jit_losses": False}
    results = {}
    for name, options in CASES.items():
        for where, strategy in (("one", one), ("both", both)):
            results[name, where] = train(
                strategy, [batch] * 2, **plain, **options
            )
    for where, strategy in (("one", one), ("both", both)):
        # Three triplets: one replica gets two, the other one.
        results["odd", where] = train(strategy, [part(batch, 0, 3)], **plain)
        # Only the second replica sees the NaN.
        bad = [batch, with_nan(batch, 3)]
        results["nan", where] = train(strategy, bad, **plain)
        results["overflow", where] = train(
            strategy, [batch], scale=1e39, **plain
        )
    for half, (start, stop) in enumerate(((0, 2), (2, 4))):
        results["half", half] = train(one, [part(batch, start, stop)], **plain)
    with path.open("wb") as file:
        pickle.dump(results, file)


def measure(path):
    """All of it, by (case, where)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tiny_training"])
    process = context.Process(target=_measure, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    with path.open("rb") as file:
        return pickle.load(file)

"""`scdepth train` with networks of a few weights, in a process of its own.

They have what makes repeating hard: running statistics and random layers.
"""

import multiprocessing
import os
import pathlib
import subprocess
import sys

import keras
import tensorflow as tf

from scdepth_tf import cli, model, runs, stack
from scdepth_tf import train as _preloaded  # noqa: F401
from tests import planes

STEPS = 8
EPOCHS = 6
COMMAND = [
    "--data.image-size",
    str(planes.HEIGHT),
    str(planes.WIDTH),
    "--epochs",
    str(EPOCHS),
    "--steps-per-epoch",
    str(STEPS),
    "--batch-size",
    "2",
    "--learning-rate",
    "1e-3",
    "--schedule",
    "cosine",
    # They have a state of their own to lose.
    "--ema-momentum",
    "0.9",
    "--gradient-accumulation",
    "3",
]


def tiny_networks(config, loss, cameras=0):
    """Stands in for `runs.build_model`."""
    # Compiling the losses would take longer than everything else.
    return model.SCDepth(TinyDepth(), TinyPose(), loss=loss, jit_losses=False)


class TinyDepth(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(
            [
                keras.Input((None, None, 3)),
                keras.layers.Conv2D(8, 3, strides=2, padding="same"),
                keras.layers.BatchNormalization(),
                keras.layers.Activation("relu"),
                *_random_layers(),
                keras.layers.Conv2DTranspose(1, 4, strides=2, padding="same"),
            ]
        )
        self.built = True

    def call(self, images, training=False):
        return 4.0 + 2.0 * tf.tanh(self.inner(images, training=training))


def _random_layers():
    """Not promised to go on bit for bit with Keras 2."""
    return [] if stack.IS_KERAS_2 else [keras.layers.Dropout(0.2, seed=1)]


class TinyPose(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(
            [
                keras.Input((None, None, 6)),
                keras.layers.Conv2D(8, 3, strides=4, padding="same"),
                keras.layers.BatchNormalization(),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(6),
            ]
        )
        self.built = True

    def call(self, pairs, training=False):
        return 0.1 * self.inner(pairs, training=training)


def start(data, out, *options):
    """A process that trains; the caller joins or kills it."""
    # Forked from one that has imported TensorFlow and done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tiny_training"])
    arguments = ["train", str(data), "--out", str(out), *COMMAND, *options]
    process = context.Process(target=_train, args=(arguments, log_of(out)))
    process.start()
    return process


def finish(data, out, *options):
    """Train to the end; the exit code must be 0."""
    process = start(data, out, *options)
    process.join()
    assert process.exitcode == 0, log_of(out).read_text()


def start_fresh(data, out, *options, hash_seed):
    """As `start`, in an interpreter that shares nothing with any other."""
    arguments = ["train", str(data), "--out", str(out), *COMMAND, *options]
    code = (
        "import sys, pathlib; from tests import tiny_training;"
        "tiny_training._train(sys.argv[2:], pathlib.Path(sys.argv[1]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(log_of(out)), *arguments],
        cwd=pathlib.Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
    )


def log_of(out):
    """What all processes that trained `out` said."""
    return out.with_name(f"{out.name}.log")


def _train(arguments, log):
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    runs.build_model = tiny_networks
    os._exit(cli.main(arguments))

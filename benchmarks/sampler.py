"""The sampler of the warp: TensorFlow's own operations, plain and compiled,
and the kernel of tensorflow-addons where that is installed.

    python -m benchmarks.sampler --image-size 256 832

Each way takes its turn in every round, so that a noisy machine is noisy for
all. Medians in milliseconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import scdepth_tf as sd
from scdepth_tf.geometry import bilinear_sample, pixel_grid
from scdepth_tf.losses import loss_terms


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-size", type=int, nargs=2, default=(256, 832))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    _say(
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"{os.cpu_count()} cores ({platform.machine()}), "
        f"{tf.config.list_physical_devices('GPU') or 'no GPU'}"
    )
    tasks = {
        f"sample, {options.batch_size} images": _sampling,
        f"sample, {options.batch_size} images, with gradients": _gradients,
        f"whole loss with gradients, {options.batch_size} triplets": _loss,
    }
    for name, make in tasks.items():
        ways = _ways(make, options.batch_size, *options.image_size)
        times = _measure(ways, options.rounds)
        _say(f"\n{name}")
        for way, milliseconds in times.items():
            _say(f"  {way:<22}{milliseconds:8.1f} ms")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _ways(make: Callable, *size: int) -> dict[str, Callable]:
    ways = {
        "gather": tf.function(make("gather", *size)),
        "gather, XLA": tf.function(make("gather", *size), jit_compile=True),
    }
    if importlib.util.find_spec("tensorflow_addons"):
        ways["addons"] = tf.function(make("addons", *size))
    return ways


def _measure(ways: dict[str, Callable], rounds: int) -> dict[str, float]:
    times = {name: [] for name in ways}
    for index in range(rounds + 2):  # the first two trace and warm up
        for name, run in ways.items():
            start = time.perf_counter()
            tf.nest.map_structure(lambda t: t.numpy(), run())
            if index >= 2:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(taken)) for name, taken in times.items()}


def _inputs(batch: int, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Images with depth, and pixels as a small motion moves them."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(batch, height, width, 4))
    shift = 8 * rng.normal(size=(batch, 1, 1, 2))
    noise = 0.3 * rng.normal(size=(batch, height, width, 2))
    pixels = pixel_grid(height, width)[None].numpy() + shift + noise
    return tf.constant(image, tf.float32), tf.constant(pixels, tf.float32)


def _sampling(sampler: str, *size: int) -> Callable:
    image, pixels = map(tf.Variable, _inputs(*size))
    return lambda: tf.reduce_sum(bilinear_sample(image, pixels, sampler))


def _gradients(sampler: str, *size: int) -> Callable:
    image, pixels = map(tf.Variable, _inputs(*size))

    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            sampled = bilinear_sample(image, pixels, sampler)
            total = tf.reduce_sum(sampled * sampled)
        both = tape.gradient(total, [image, pixels])
        return [tf.reduce_sum(gradient) for gradient in both]

    return gradients


def _loss(sampler: str, batch: int, height: int, width: int) -> Callable:
    rng = np.random.default_rng(0)
    frames = tf.Variable(rng.random((batch, 3, height, width, 3), np.float32))
    depths = tf.Variable(
        5 + rng.random((batch, 3, height, width, 1), np.float32)
    )
    poses = tf.Variable(0.02 * rng.normal(size=(batch * 2, 6)), dtype="float32")
    focal = 0.6 * width
    intrinsics = tf.constant(
        [[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]] * batch
    )

    def loss() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            matrices = sd.geometry.pose_matrix(poses)
            forward = tf.reshape(matrices, [batch, 2, 4, 4])
            terms = loss_terms(
                frames[:, 0],
                frames[:, 1:],
                depths[:, 0],
                depths[:, 1:],
                forward,
                sd.geometry.inverse_pose(forward),
                intrinsics,
                sd.LossConfig(sampler=sampler),
            )
        both = tape.gradient(terms.total, [depths, poses])
        return [terms.total, *map(tf.reduce_sum, both)]

    return loss


if __name__ == "__main__":
    main()

"""Our side of `train_step.py` and `warp_and_losses.py`: a worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.turns import peak_memory, seconds, serve
from scdepth_tf import losses
from scdepth_tf.adam import Adam
from scdepth_tf.distribution import make_strategy
from scdepth_tf.geometry import pose_matrix
from scdepth_tf.model import SCDepth
from scdepth_tf.nets import DepthNet, PoseNet

MOTION = (2.0, 1.0, -5.0, 0.2, 0.5, 0.1)
"""Of the fresh pose network, before its factor of 0.01: without any, masks
would hang on the last bit."""


def training_step(job: Mapping[str, Any]) -> dict[str, Callable]:
    """Tasks around the training step of `scdepth train`."""
    if job["mirrored"]:
        strategy = make_strategy("mirrored", job["mirrored"])
    else:
        strategy = make_strategy("none")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(job["precision"])
    with strategy.scope():
        model = _model(job["encoder"], job["decoder"], job["reverse_pose"])
        model.compile(Adam(1e-4), jit_compile=job["xla"])
        # As `fit` does: within a replica no variables can be made.
        model.optimizer.build(model.trainable_variables)
    with np.load(job["inputs"]) as inputs:
        batch = {
            "frames": inputs["frames"],
            "jittered": inputs["frames"],
            "intrinsics": inputs["intrinsics"],
        }
    batches = tf.data.Dataset.from_tensors(batch).repeat().prefetch(1)
    batches = iter(strategy.experimental_distribute_dataset(batches))
    model.make_train_function()

    def take_step() -> dict[str, float]:
        model.reset_metrics()
        logs = model.train_function(batches)
        return {name: float(value) for name, value in logs.items()}

    def networks_only() -> None:
        _networks_step(model, batch)

    return {
        "step": take_step,
        "time": lambda count: seconds(take_step, count),
        "time_networks": lambda count: seconds(networks_only, count),
        "memory": lambda: _peak_memory(job),
    }


@tf.function(reduce_retracing=True)
def _networks_step(model: SCDepth, batch: Mapping[str, np.ndarray]) -> None:
    """A training step with a loss that costs nothing."""
    with tf.GradientTape() as tape:
        predictions = model._predict(batch, training=True)
        loss = sum(
            tf.reduce_mean(x)
            for x in tf.nest.flatten(predictions)
            if 0 not in x.shape
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply(gradients, model.trainable_variables)


def warp_and_losses(job: Mapping[str, Any]) -> dict[str, Callable]:
    """Tasks around the losses and their gradients to depth and pose."""
    with np.load(job["inputs"]) as inputs:
        frames, depths, poses, reverse_poses, intrinsics = (
            tf.constant(inputs[name])
            for name in (
                "frames",
                "depths",
                "poses",
                "reverse_poses",
                "intrinsics",
            )
        )

    @tf.function(jit_compile=job["xla"], autograph=False)
    def step(
        depths: tf.Tensor, poses: tf.Tensor, reverse_poses: tf.Tensor
    ) -> tuple:
        unknowns = depths, poses, reverse_poses
        with tf.GradientTape() as tape:
            tape.watch(unknowns)
            terms = losses.loss_terms(
                frames[:, 0],
                frames[:, 1:],
                depths[:, 0],
                depths[:, 1:],
                _matrices(poses),
                _matrices(reverse_poses),
                intrinsics,
            )
        return terms, tape.gradient(terms.total, unknowns)

    def take_step() -> dict[str, float]:
        terms, (depth_gradient, pose_gradient, _) = step(
            depths, poses, reverse_poses
        )
        return {
            "loss": float(terms.total),
            "photometric": float(terms.photometric),
            "geometry": float(terms.geometry),
            "smoothness": float(terms.smoothness),
            "depth_gradient": float(tf.norm(depth_gradient)),
            "pose_gradient": float(tf.norm(pose_gradient)),
        }

    return {
        "step": take_step,
        "time": lambda count: seconds(
            lambda: step(depths, poses, reverse_poses)[0].total.numpy(), count
        ),
        "memory": lambda: _peak_memory(job),
    }


def _peak_memory(job: Mapping[str, Any]) -> float:
    """MB, of the card where there is one."""
    if job["device"] == "gpu":
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return peak_memory()


def write_weights(job: Mapping[str, Any]) -> dict[str, Callable]:
    """The weights that every engine starts from, for PyTorch; no tasks."""
    from benchmarks.torch_weights import write_torch_weights

    keras.utils.set_random_seed(0)
    model = _model(job["encoder"], job["decoder"], "inverse")
    write_torch_weights(model, Path(job["weights"]))
    return {}


def _model(encoder: str, decoder: str, reverse_pose: str) -> SCDepth:
    model = SCDepth(
        DepthNet(encoder, decoder),
        PoseNet(encoder),
        reverse_pose=reverse_pose,
    )
    model.pose_net.network.get_layer("motion").bias.assign(MOTION)
    return model


def _matrices(poses: tf.Tensor) -> tf.Tensor:
    """[B, N, 6] to [B, N, 4, 4]."""
    matrices = pose_matrix(tf.reshape(poses, [-1, 6]))
    return tf.reshape(matrices, [-1, poses.shape[1], 4, 4])


if __name__ == "__main__":
    JOB = json.loads(sys.argv[1])
    WHAT = {
        "train_step": training_step,
        "warp_and_losses": warp_and_losses,
        "weights": write_weights,
    }
    serve(WHAT[JOB["what"]](JOB))

"""The published training in PyTorch on samples that are handed to it.

Networks called frame by frame, the pose network on both orders of each pair,
the whole published loss, Adam at a constant rate; no clipping, no averaging.
Needs torch and NumPy, and nothing of scdepth_tf.

    python -m benchmarks.reference.torch_training JOB

JOB is a JSON file: "encoder" of both networks, "decoder", "samples" and
"weights" (.npz of `our_side`), "learning_rate", "batched" (one call of each
network, so that BatchNorm sees what ours sees), and what is written: "trained"
(.npz of weights) and "training" (JSON: seconds, and the loss of each step).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import torch_engine, torch_losses


def train(job: Mapping[str, Any]) -> None:
    """Train, write weights and curve."""
    depth_net, pose_net = torch_engine.load_networks(
        job["weights"], job["encoder"], job["decoder"]
    )
    optimizer = torch.optim.Adam(
        [*depth_net.parameters(), *pose_net.parameters()],
        job["learning_rate"],
    )
    batches = samples(job["samples"])
    losses = []
    start, start_cpu = time.perf_counter(), time.process_time()
    for frames, intrinsics in batches:
        predictions = torch_engine.depths_and_poses(
            depth_net, pose_net, frames, batched=job["batched"], inverse=False
        )
        loss = torch_losses.losses(frames, *predictions, intrinsics)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    training = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - start_cpu,
        "losses": losses,
    }
    weights = {
        f"{name}/{key}": value.numpy()
        for name, network in (("depth_net", depth_net), ("pose_net", pose_net))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    np.savez(job["trained"], **weights)
    Path(job["training"]).write_text(json.dumps(training))


def samples(path: str) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
    """Frames, each [B, 3, H, W] in [0, 1], and intrinsics [B, 3, 3], for
    each step.
    """
    with np.load(path) as arrays:
        frames, intrinsics = arrays["frames"], arrays["intrinsics"]
    for batch, camera in zip(frames, intrinsics, strict=True):
        batch = torch.from_numpy(batch.astype(np.float32) / np.float32(255))
        batch = batch.permute(1, 0, 4, 2, 3)
        yield [x.contiguous() for x in batch], torch.from_numpy(camera)


if __name__ == "__main__":
    torch.manual_seed(0)
    train(json.loads(Path(sys.argv[1]).read_text()))

"""PyTorch's side of `train_step.py` and `warp_and_losses.py`: a worker.

Needs torch and NumPy, and nothing of scdepth_tf.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks import torch_losses, torch_networks
from benchmarks.turns import peak_memory, seconds, serve


def training_step(job: Mapping[str, Any]) -> dict[str, Callable]:
    """Tasks around the published training step."""
    device = _device(job)
    torch.backends.cudnn.benchmark = True
    depth_net, pose_net = load_networks(
        job["weights"], job["encoder"], job["decoder"]
    )
    for network in (depth_net, pose_net):
        network.to(device)
        if job["channels_last"]:
            network.to(memory_format=torch.channels_last)
    frames, intrinsics = _inputs(job, device)
    optimizer = torch.optim.Adam(
        [*depth_net.parameters(), *pose_net.parameters()], 1e-4
    )

    networks = depth_net, pose_net
    if job["bfloat16"]:
        networks = _in_bfloat16(depth_net), _in_bfloat16(pose_net)

    def take_step(batched: bool, inverse: bool) -> dict[str, float]:
        terms = torch_losses.losses(
            frames,
            *depths_and_poses(*networks, frames, batched, inverse),
            intrinsics,
        )
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        return {name: value.item() for name, value in terms.items()}

    def timed() -> None:
        take_step(job["batched"], job["inverse"])

    return {
        # BatchNorm's statistics are those of our batch, to compare.
        "step": lambda: take_step(True, job["inverse"]),
        "time": lambda count: seconds(timed, count),
        "memory": lambda: _peak_memory(device),
    }


def load_networks(
    weights: str, encoder: str, decoder: str
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Depth and pose network in training mode.

    Args:
        weights: .npz of `torch_weights.torch_state`, whose names begin with
            depth_net/ and pose_net/.
        encoder: a key of `torch_networks.ENCODERS`.
        decoder: of the depth network.
    """
    networks = {
        "depth_net": torch_networks.DepthNetwork(encoder, decoder),
        "pose_net": torch_networks.PoseNetwork(encoder),
    }
    with np.load(weights) as arrays:
        for name, network in networks.items():
            state = {
                key.removeprefix(f"{name}/"): arrays[key]
                for key in arrays.files
                if key.startswith(f"{name}/")
            }
            torch_networks.load_weights(network, state)
            network.train()
    return networks["depth_net"], networks["pose_net"]


def depths_and_poses(
    depth_net: torch.nn.Module,
    pose_net: torch.nn.Module,
    frames: Sequence[torch.Tensor],
    batched: bool,
    inverse: bool,
) -> tuple:
    """The networks on all frames and pairs.

    Args:
        depth_net: image to depth.
        pose_net: pair of images to pose vector.
        frames: the target and its sources, each [B, 3, H, W].
        batched: one call of each network, not one for each frame and pair.
        inverse: the SE(3) inverse for the way back, not the pose network.

    Returns:
        Depths of the frames, poses [B, 4, 4] `source_from_target` for each
        source, and the same for `target_from_source`.
    """
    call = _batched if batched else _one_by_one
    depths = call(depth_net)(frames)
    pairs = [torch.cat([frames[0], x], dim=1) for x in frames[1:]]
    if not inverse:
        pairs += [torch.cat([x, frames[0]], dim=1) for x in frames[1:]]
    poses = [torch_losses.pose_matrix(x) for x in call(pose_net)(pairs)]
    count = len(frames) - 1
    if inverse:
        poses += [torch_losses.inverse_pose(x) for x in poses]
    return depths, poses[:count], poses[count:]


def warp_and_losses(job: Mapping[str, Any]) -> dict[str, Callable]:
    """Tasks around the losses and their gradients to depth and pose."""
    device = _device(job)
    frames, intrinsics = _inputs(job, device)
    with np.load(job["inputs"]) as inputs:
        depths = _leaves(inputs["depths"].transpose(0, 1, 4, 2, 3), device)
        poses = _leaves(inputs["poses"], device)
        reverse_poses = _leaves(inputs["reverse_poses"], device)

    def take_step() -> torch.Tensor:
        terms = torch_losses.losses(
            frames,
            depths,
            [torch_losses.pose_matrix(x) for x in poses],
            [torch_losses.pose_matrix(x) for x in reverse_poses],
            intrinsics,
        )
        for leaf in (*depths, *poses, *reverse_poses):
            leaf.grad = None
        terms["loss"].backward()
        return terms

    def with_gradients() -> dict[str, float]:
        values = {k: value.item() for k, value in take_step().items()}
        for name, leaves in (("depth", depths), ("pose", poses)):
            gradient = torch.stack([leaf.grad for leaf in leaves])
            values[f"{name}_gradient"] = gradient.norm().item()
        return values

    return {
        "step": with_gradients,
        "time": lambda count: seconds(
            lambda: take_step()["loss"].item(), count
        ),
        "memory": lambda: _peak_memory(device),
    }


def _in_bfloat16(network: torch.nn.Module) -> Callable:
    """The network under autocast; geometry and losses stay float32."""

    def call(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            return network(images).float()

    return call


def _device(job: Mapping[str, Any]) -> torch.device:
    return torch.device("cuda" if job["device"] == "gpu" else "cpu")


def _peak_memory(device: torch.device) -> float:
    """MB, of the card where there is one."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_memory()


def _inputs(
    job: Mapping[str, Any], device: torch.device
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Frames, each [B, 3, H, W], and intrinsics [B, 3, 3]."""
    with np.load(job["inputs"]) as inputs:
        frames = torch.from_numpy(inputs["frames"]).permute(1, 0, 4, 2, 3)
        intrinsics = torch.from_numpy(inputs["intrinsics"]).to(device)
    memory_format = (
        torch.channels_last
        if job.get("channels_last")
        else torch.contiguous_format
    )
    frames = [
        x.to(device).contiguous(memory_format=memory_format) for x in frames
    ]
    return frames, intrinsics


def _leaves(values: np.ndarray, device: torch.device) -> list[torch.Tensor]:
    """[B, N, ...] as N tensors that gather gradients."""
    return [
        torch.from_numpy(np.ascontiguousarray(values[:, i]))
        .to(device)
        .requires_grad_()
        for i in range(values.shape[1])
    ]


def _one_by_one(network: torch.nn.Module) -> Callable:
    return lambda inputs: [network(x) for x in inputs]


def _batched(network: torch.nn.Module) -> Callable:
    return lambda inputs: network(torch.cat(inputs)).chunk(len(inputs))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    JOB = json.loads(sys.argv[1])
    WHAT = {"train_step": training_step, "warp_and_losses": warp_and_losses}
    serve(WHAT[JOB["what"]](JOB))

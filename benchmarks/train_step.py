r"""Seconds and memory of a training step: ours beside PyTorch.

The other side is the published structure in PyTorch, written here from the
paper: networks called frame by frame, the pose network on both orders of each
pair, `grid_sample`, the same losses, Adam. It takes our weights and the same
frames. Before anything is timed, each float32 engine of ours must agree with
PyTorch on every term of the loss.

    python -m benchmarks.train_step --torch-python PYTHON
    python -m benchmarks.train_step --torch-python PYTHON \
        --image-size 128 416 --encoder efficientnet_lite0

PYTHON is one with torch and NumPy; it may be another environment:

    python -m venv torchenv && torchenv/bin/pip install torch numpy

Engines:
    pytorch            as published
    pytorch_bfloat16   the same, its networks under torch.autocast
    pytorch_batched    PyTorch with our structure: one call of each network,
                       SE(3) inverse for the way back, channels last
    ours_published     ours with the published pose pairs
    ours               our default: SE(3) inverse for the way back
    ours_bfloat16      the same with the policy mixed_bfloat16
    ours_float16       the same with the policy mixed_float16, for cards
    ours_xla           the same with the networks compiled by XLA, too
    ours_onednn        the same with oneDNN where TensorFlow leaves it off
    ours_mirrored      the same under a MirroredStrategy of one
"""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import sys
from pathlib import Path
from typing import Literal

import tyro

from benchmarks import turns
from benchmarks.street_inputs import write_inputs

_OURS = {
    "precision": "float32",
    "reverse_pose": "inverse",
    "xla": False,
    "mirrored": 0,
}
_THEIRS = {
    "batched": False,
    "inverse": False,
    "channels_last": False,
    "bfloat16": False,
}
ENGINES = {
    "pytorch": _THEIRS,
    "pytorch_bfloat16": {**_THEIRS, "bfloat16": True},
    "pytorch_batched": {
        "batched": True,
        "inverse": True,
        "channels_last": True,
        "bfloat16": False,
    },
    "ours_published": {**_OURS, "reverse_pose": "network"},
    "ours": _OURS,
    "ours_bfloat16": {**_OURS, "precision": "mixed_bfloat16"},
    "ours_float16": {**_OURS, "precision": "mixed_float16"},
    "ours_xla": {**_OURS, "xla": True},
    "ours_onednn": _OURS,
    "ours_mirrored": {**_OURS, "mirrored": 1},
}
DECODERS = {"resnet18": "reference", "efficientnet_lite0": "mobile"}


@dataclasses.dataclass(frozen=True)
class Benchmark(turns.Comparison):
    """Compare training steps."""

    engines: tuple[Literal[tuple(ENGINES)], ...] = (
        "pytorch",
        "ours_published",
        "ours",
    )
    """Who takes turns: the reference first, one of ours last (it also times
    the networks alone)."""

    encoder: Literal["resnet18", "efficientnet_lite0"] = "resnet18"
    decoder: Literal["reference", "mobile", "slim"] | None = None
    """By default reference for resnet18, mobile for efficientnet_lite0."""

    def measure(self, folder: Path) -> dict:
        """All figures.

        Raises:
            ValueError: the last engine is not one of ours, or losses differ.
        """
        if not self.engines[-1].startswith("ours"):
            raise ValueError(
                "the last engine must be one of ours: it also times the "
                f"networks alone. Received: {self.engines[-1]}"
            )
        files = {n: str(folder / f"{n}.npz") for n in ("inputs", "weights")}
        write_inputs(
            Path(files["inputs"]),
            self.image_size,
            self.batch_size,
            self.sources,
        )
        decoder = self.decoder or DECODERS[self.encoder]
        job = {
            "what": "train_step",
            "encoder": self.encoder,
            "decoder": decoder,
            "device": self.device,
            **files,
        }
        # A process of its own: copies of weights are no memory of a step.
        self._start("weights", {**job, "what": "weights"}, folder).close()
        self._check(job, folder)
        engines = {
            name: self._start(name, job | ENGINES[name], folder)
            for name in self.engines
        }
        in_order = list(engines.values())
        times = turns.take_turns(in_order, self.rounds, self.steps)
        networks = in_order[-1].ask("time_networks", count=self.steps + 1)
        memory = {n: engine.ask("memory") for n, engine in engines.items()}
        for engine in in_order:
            engine.close()
        return {
            "cores": len(os.sched_getaffinity(0)),
            "image_size": self.image_size,
            "batch_size": self.batch_size,
            "encoder": self.encoder,
            "decoder": decoder,
            "engines": turns.summary(times, memory, self.engines[0]),
            "networks": statistics.median(networks[1:]),
            "times": times,
        }

    def _check(self, job: dict, folder: Path) -> None:
        """The losses of the first step, beside PyTorch with the same poses.

        In processes of their own: what they compute is not timed, and should
        not count as memory. Half precision is not held to float32's losses.
        """

        @functools.cache
        def first_losses(name: str) -> dict[str, float]:
            engine = self._start(name, job | ENGINES[name], folder)
            losses = engine.ask("step")
            engine.close()
            return losses

        for name in self.engines:
            choices = ENGINES[name]
            if choices.get("precision") == "float32":
                published = choices["reverse_pose"] == "network"
                theirs = "pytorch" if published else "pytorch_batched"
                turns.check_agreement(first_losses(name), first_losses(theirs))

    def _start(self, name: str, job: dict, folder: Path) -> turns.Engine:
        is_torch = name.startswith("pytorch")
        environment = self.environment()
        if name == "ours_onednn":
            environment["TF_ENABLE_ONEDNN_OPTS"] = "1"
        return turns.Engine(
            name,
            self.torch_python if is_torch else sys.executable,
            f"benchmarks.{'torch' if is_torch else 'our'}_engine",
            job,
            folder,
            environment,
        )


if __name__ == "__main__":
    tyro.cli(Benchmark).run()

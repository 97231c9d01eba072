r"""Projection, warp and losses, forward and backward: ours beside PyTorch.

No networks: depth and motion of a rendered street are given, and the
gradients go to them. Values and gradients must agree before anything is timed.

    python -m benchmarks.warp_and_losses --torch-python PYTHON

PYTHON is one with torch and NumPy, see `benchmarks.train_step`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import tyro

from benchmarks import turns
from benchmarks.street_inputs import write_inputs


@dataclasses.dataclass(frozen=True)
class Benchmark(turns.Comparison):
    """Compare warp and losses."""

    rounds: int = 5
    steps: int = 5
    """Steps in each turn, after one that does not count."""

    plain: bool = False
    """Ours without XLA, too."""

    def measure(self, folder: Path) -> dict:
        """All figures."""
        inputs = folder / "inputs.npz"
        write_inputs(inputs, self.image_size, self.batch_size, self.sources)
        job = {
            "what": "warp_and_losses",
            "inputs": str(inputs),
            "device": self.device,
        }
        environment = self.environment()

        def ours(name: str, xla: bool) -> turns.Engine:
            return turns.Engine(
                name,
                sys.executable,
                "benchmarks.our_engine",
                {**job, "xla": xla},
                folder,
                environment,
            )

        engines = [
            turns.Engine(
                "pytorch",
                self.torch_python,
                "benchmarks.torch_engine",
                job,
                folder,
                environment,
            ),
            ours("ours", True),
        ]
        if self.plain:
            engines.append(ours("ours_without_xla", False))
        theirs, *answers = (engine.ask("step") for engine in engines)
        for answer in answers:
            turns.check_agreement(answer, theirs)
        times = turns.take_turns(engines, self.rounds, self.steps)
        memory = {engine.name: engine.ask("memory") for engine in engines}
        for engine in engines:
            engine.close()
        return {
            "cores": len(os.sched_getaffinity(0)),
            "image_size": self.image_size,
            "batch_size": self.batch_size,
            "sources": self.sources,
            "engines": turns.summary(times, memory, "pytorch"),
            "times": times,
        }


if __name__ == "__main__":
    tyro.cli(Benchmark).run()

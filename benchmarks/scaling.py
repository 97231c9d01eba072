r"""Seconds of our training step against batch, image size, views and workers.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --encoder efficientnet_lite0 --sources 1 4

From `--image-size`, one triplet, one worker, one thing is changed at a time.
Each line is a process of its own, one after another. "networks": the share of
the step that the same step takes with a loss that costs nothing.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Literal

import tyro

from benchmarks import turns
from benchmarks.street_inputs import write_inputs
from benchmarks.train_step import DECODERS


@dataclasses.dataclass(frozen=True)
class Setting:
    """A line of the table."""

    image_size: tuple[int, int]
    batch_size: int = 1
    sources: int = 2
    workers: int = 1


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Our training step, one thing changed at a time."""

    encoder: Literal["resnet18", "efficientnet_lite0"] = "resnet18"
    image_size: tuple[int, int] = (128, 416)
    image_sizes: tuple[tuple[int, int], ...] = ((64, 192), (256, 832))
    batch_sizes: tuple[int, ...] = (2, 4)
    sources: tuple[int, ...] = (1, 4)
    workers: tuple[int, ...] = (2,)
    """Parts of the processor that share a batch of as many triplets
    (MirroredStrategy)."""

    steps: int = 4
    """Steps to take the median of, after two that do not count."""

    def run(self) -> None:
        """Measure, print a line as soon as it is there."""
        _say(
            "| image | triplets | neighbours | workers | s a step | range "
            "| s a triplet | networks | peak MB |"
        )
        _say("|---" * 9 + "|")
        for setting in self._settings():
            with tempfile.TemporaryDirectory() as folder:
                _say(self._line(setting, Path(folder)))

    def _settings(self) -> list[Setting]:
        first = Setting(self.image_size)
        changed = {
            "image_size": self.image_sizes,
            "batch_size": self.batch_sizes,
            "sources": self.sources,
        }
        return [
            first,
            *(
                dataclasses.replace(first, **{name: value})
                for name, values in changed.items()
                for value in values
            ),
            *(
                dataclasses.replace(first, batch_size=count, workers=count)
                for count in self.workers
            ),
        ]

    def _line(self, setting: Setting, folder: Path) -> str:
        inputs = folder / "inputs.npz"
        write_inputs(
            inputs, setting.image_size, setting.batch_size, setting.sources
        )
        job = {
            "what": "train_step",
            "encoder": self.encoder,
            "decoder": DECODERS[self.encoder],
            "precision": "float32",
            "reverse_pose": "inverse",
            "xla": False,
            "inputs": str(inputs),
            "device": "cpu",
            "mirrored": setting.workers if setting.workers > 1 else 0,
        }
        engine = turns.Engine(
            "ours",
            sys.executable,
            "benchmarks.our_engine",
            job,
            folder,
            {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""},
        )
        times = engine.ask("time", count=self.steps + 2)[2:]
        median = statistics.median(times)
        share = "–"
        if setting.workers == 1:
            networks = engine.ask("time_networks", count=self.steps + 1)[1:]
            share = f"{100 * statistics.median(networks) / median:.0f} %"
        memory = engine.ask("memory")
        engine.close()
        height, width = setting.image_size
        return (
            f"| {height}×{width} | {setting.batch_size} | {setting.sources} "
            f"| {setting.workers} | {median:.2f} "
            f"| {min(times):.2f}–{max(times):.2f} "
            f"| {median / setting.batch_size:.2f} | {share} | {memory:.0f} |"
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tyro.cli(Scaling, description=__doc__).run()

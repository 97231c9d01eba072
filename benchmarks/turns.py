"""Engines in processes of their own that take turns (stdlib only).

A parent starts `Engine`s; each runs a script that calls `serve`. Only one
works at a time, so that neither framework's threads disturb the other.
"""

from __future__ import annotations

import abc
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Comparison(abc.ABC):
    """What every comparison with PyTorch asks for and writes."""

    torch_python: str
    """A Python that has torch."""

    image_size: tuple[int, int] = (256, 832)
    batch_size: int = 1
    sources: int = 2
    """Neighbours of each target; each is compared both ways."""

    rounds: int = 3
    steps: int = 3
    """Steps in each turn, after one that does not count."""

    device: Literal["cpu", "gpu"] = "cpu"
    json: Path | None = None
    """Write the result here."""

    def run(self) -> None:
        """Check agreement, take turns, print medians and ratios."""
        with tempfile.TemporaryDirectory() as folder:
            result = self.measure(Path(folder))
        sys.stdout.write(table(result["engines"]))
        if "networks" in result:
            sys.stdout.write(f"networks alone: {result['networks']:.3f} s\n")
        if self.json:
            self.json.write_text(json.dumps(result, indent=2) + "\n")

    @abc.abstractmethod
    def measure(self, folder: Path) -> dict[str, Any]:
        """All figures; `folder` is for what the engines hand over."""

    def environment(self) -> dict[str, str]:
        """Variables of every engine."""
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
        if self.device == "cpu":
            quiet["CUDA_VISIBLE_DEVICES"] = ""
        return quiet


class Engine:
    """A worker process.

    Args:
        name: of the log and in the tables.
        python: interpreter.
        module: of this folder, called `python -m`.
        job: what it works on, handed over as JSON.
        folder: for its log.
        environment: variables to set.
    """

    def __init__(
        self,
        name: str,
        python: str,
        module: str,
        job: Mapping[str, Any],
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        started = time.perf_counter()
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", module, json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        self._answer()
        self.start_up = time.perf_counter() - started
        """Seconds until it answered for the first time."""

    def ask(self, task: str, **arguments: Any) -> Any:
        """The answer of one of the worker's tasks."""
        line = json.dumps({"task": task, **arguments})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return json.loads(line.removeprefix(_MARK))
        raise RuntimeError(
            f"{self.name} ended with exit code {self._process.wait()}:\n"
            + self.log.read_text()[-2000:]
        )


_MARK = "answer: "


def serve(tasks: Mapping[str, Callable[..., Any]]) -> None:
    """In the worker: answer requests until there are no more."""
    _say("ready")
    for line in sys.stdin:
        request = json.loads(line)
        _say(tasks[request.pop("task")](**request))


def _say(answer: Any) -> None:
    sys.stdout.write(f"{_MARK}{json.dumps(answer)}\n")
    sys.stdout.flush()


def peak_memory() -> float:
    """Most memory that this process ever had, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def seconds(step: Callable[[], Any], count: int) -> list[float]:
    """What each of `count` steps takes; a step ends when it has its answer."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times


def take_turns(
    engines: list[Engine], rounds: int, count: int
) -> dict[str, list[float]]:
    """Seconds of each step by engine, `count` in each of the rounds.

    The first step of each turn warms the caches up and does not count.
    """
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            times[engine.name] += engine.ask("time", count=count + 1)[1:]
    return times


def summary(
    times: Mapping[str, list[float]],
    memory: Mapping[str, float],
    reference: str,
) -> dict[str, dict[str, float]]:
    """Medians, ratios to the reference (more is faster, less is smaller)."""
    medians = {name: statistics.median(t) for name, t in times.items()}
    return {
        name: {
            "seconds": median,
            "fastest": min(times[name]),
            "slowest": max(times[name]),
            "times_faster": medians[reference] / median,
            "peak_mb": memory[name],
            "memory_ratio": memory[name] / memory[reference],
        }
        for name, median in medians.items()
    }


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The summary as Markdown."""
    lines = [
        "| engine | median s | range | times faster | peak MB | of reference |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['seconds']:.3f} | {row['fastest']:.3f}–"
            f"{row['slowest']:.3f} | {row['times_faster']:.2f} | "
            f"{row['peak_mb']:.0f} | {row['memory_ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def check_agreement(
    ours: Mapping[str, float], theirs: Mapping[str, float]
) -> None:
    """Refuse to time what computes something else.

    Raises:
        ValueError: a term of the loss differs by more than 1e-3, or the norm
            of a gradient by more than 1e-2, relatively. Rounding moves
            pixels across the kinks of the loss (docs/decisions.md).
    """
    for name, value in theirs.items():
        difference = abs(ours[name] - value) / abs(value)
        sys.stderr.write(
            f"{name}: ours {ours[name]:.6f}, PyTorch {value:.6f} "
            f"({difference:.1e})\n"
        )
        tolerance = 1e-2 if name.endswith("gradient") else 1e-3
        if not difference <= tolerance:
            raise ValueError(
                f"{name} differs: ours {ours[name]}, PyTorch {value}; there "
                "is nothing to compare"
            )

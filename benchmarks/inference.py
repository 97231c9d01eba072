r"""Milliseconds an image: our .tflite files, PyTorch eager and ONNX Runtime.

Every engine and number of threads has a process of its own, all on the same
cores; they take turns in one run, and ratios are of medians. Calls in which
the host of a virtual machine took a core away are left out. One image of
float32 (bytes for int8) goes in, logits come out; resizing the image and the
last three scalar functions are in nobody's time.

`published` is the network of the published codes (ResNet-18, reflection
padding, ELU, nearest upsampling) in PyTorch eager; `torch` and `onnx` run our
own network: its weights are copied and its logits compared first.

    pip install -e ".[cpu,imagenet,quantize,benchmarks]"
    python -m benchmarks.inference --work /tmp/inference

PyTorch may live in another environment, which `--torch-python` names (it
needs torch, numpy, onnx, onnxscript and onnxruntime).
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import tyro

WORKER = Path(__file__).with_name("inference_worker.py")
NETWORKS = {
    "resnet18_mobile": ("resnet18", "mobile"),
    "resnet18_reference": ("resnet18", "reference"),
    "lite0_mobile": ("efficientnet_lite0", "mobile"),
    "lite0_slim": ("efficientnet_lite0", "slim"),
}
PUBLISHED = "resnet18_reference"
"""Our network that is the published one: its weights are run in PyTorch."""

SCHEMES = ("float32", "float16", "dynamic", "int8")
CALIBRATION_FRAMES = 8
"""Speed does not depend on the ranges."""
AGREEMENT = 1e-3
"""Largest difference of logits between engines that run float32 networks, in
standard deviations of the logits."""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Compare inference on this machine's processor."""

    work: Path
    """Folder for the files of the networks; those that are there are used."""

    networks: tuple[str, ...] = tuple(NETWORKS)
    schemes: tuple[str, ...] = SCHEMES
    image_size: tuple[int, int] = (256, 832)
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 7
    calls: int = 3
    """Of each process in each round, after one that is not counted."""

    torch_python: str = sys.executable
    """A Python that has torch and onnxruntime."""

    json: Path | None = None
    """Write the result here."""

    prepare_only: bool = False
    """Make the files and stop."""

    def run(self) -> None:
        """Measure in turns and print medians and ratios."""
        self.work.mkdir(parents=True, exist_ok=True)
        for name in {*self.networks, PUBLISHED}:
            self._prepare(name)
        if self.prepare_only:
            return
        workers = [
            self._start(*where, threads)
            for threads in self.threads
            for where in self._places()
        ]
        try:
            for worker in workers:
                worker.check()
            for _ in range(self.rounds):
                for worker in workers:
                    worker.time(self.calls)
        finally:
            for worker in workers:
                worker.process.kill()
        result = {
            "machine": _machine(),
            "image_size": self.image_size,
            "rows": [worker.row() for worker in workers],
        }
        sys.stdout.write(table(result["rows"]) + "\n")
        if self.json:
            self.json.write_text(json.dumps(result, indent=2) + "\n")

    def _places(self) -> list[tuple[str, str, str, Path]]:
        """Network, what runs it, the worker's engine, its file."""
        places = [
            (
                "published",
                "PyTorch eager",
                "torch",
                self._file(PUBLISHED, "weights.npz"),
            )
        ]
        for name in self.networks:
            if name != PUBLISHED:
                weights = self._file(name, "weights.npz")
                places.append((name, "PyTorch eager", "torch", weights))
            onnx = self._file(name, "onnx")
            places.append((name, "ONNX Runtime", "onnx", onnx))
            for scheme in self.schemes:
                file = self._file(name, f"{scheme}.tflite")
                places.append((name, f"LiteRT {scheme}", "litert", file))
        return places

    def _file(self, name: str, suffix: str) -> Path:
        height, width = self.image_size
        return self.work / f"{name}_{height}x{width}.{suffix}"

    def _start(
        self, name: str, label: str, engine: str, file: Path, threads: int
    ) -> Worker:
        ours = PUBLISHED if name == "published" else name
        python = sys.executable if engine == "litert" else self.torch_python
        process = subprocess.Popen(
            [
                python,
                str(WORKER),
                engine,
                str(file),
                str(threads),
                str(self._file(ours, "question.npz")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        return Worker(name, label, threads, process)

    def _prepare(self, name: str) -> None:
        """Weights, a question with our answer, .tflite files, ONNX."""
        files = [
            self._file(name, suffix)
            for suffix in ("question.npz", "weights.npz")
        ]
        models = {
            scheme: self._file(name, f"{scheme}.tflite")
            for scheme in self.schemes
        }
        if not all(path.exists() for path in (*files, *models.values())):
            _make(NETWORKS[name], self.image_size, *files, models)
        onnx = self._file(name, "onnx")
        if not onnx.exists():
            subprocess.run(
                [
                    self.torch_python,
                    str(WORKER),
                    "onnx-export",
                    str(files[1]),
                    str(onnx),
                    str(files[0]),
                ],
                check=True,
                capture_output=True,
                env=_environment(),
            )


@dataclasses.dataclass
class Worker:
    """A process with an engine, and what it measured."""

    network: str
    engine: str
    threads: int
    process: subprocess.Popen
    calls: int = 0
    ms: list[float] = dataclasses.field(default_factory=list)
    """Of undisturbed calls."""
    said: dict[str, float] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        """Waits until it is ready.

        Raises:
            RuntimeError: a float engine's logits are not ours.
        """
        self.said = self._answer()
        exact = "dynamic" not in self.engine and "int" not in self.engine
        allowed = 0.05 if "float16" in self.engine else AGREEMENT
        if exact and self.said["largest_difference"] > allowed:
            raise RuntimeError(
                f"{self.engine} answers otherwise than {self.network} in"
                f" Keras: by {self.said['largest_difference']:.2g} standard"
                " deviations"
            )

    def time(self, calls: int) -> None:
        """One call to wake up, then some that count."""
        self.process.stdin.write(f"{1 + calls}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.calls += calls
        self.ms += [
            ms
            for ms, stolen in zip(
                answer["ms"][1:], answer["stolen_ms"][1:], strict=True
            )
            if stolen == 0
        ]
        self.said["peak_memory_mb"] = answer["peak_memory_mb"]

    def row(self) -> dict[str, object]:
        """What is reported of it."""
        if not self.ms:
            raise RuntimeError(
                f"none of {self.calls} calls of {self.engine} was undisturbed;"
                " the host is too busy, or --rounds too few"
            )
        return {
            "network": self.network,
            "engine": self.engine,
            "threads": self.threads,
            "calls": self.calls,
            "undisturbed": len(self.ms),
            "median_ms": float(np.median(self.ms)),
            "best_ms": float(np.min(self.ms)),
            "p90_ms": float(np.quantile(self.ms, 0.9)),
            **self.said,
        }

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            last_words = self.process.stderr.read().strip()
            raise RuntimeError(
                f"{self.engine} died on {self.network}: {last_words[-500:]}"
            )
        return json.loads(line)


def table(rows: list[dict]) -> str:
    """Markdown: medians, and how many times slower the others are."""
    published = _medians(rows, "published", "PyTorch eager")
    lines = [
        "| network | engine | threads | median (best, p90), ms | undisturbed"
        " calls | published in PyTorch / this | ONNX Runtime / this | peak"
        " memory, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        onnx = _medians(rows, row["network"], "ONNX Runtime")
        median, threads = row["median_ms"], row["threads"]
        ratios = [
            f"{of[threads] / median:.2f}" if threads in of else ""
            for of in (published, onnx)
        ]
        lines.append(
            f"| {row['network']} | {row['engine']} | {threads} |"
            f" {median:.0f} ({row['best_ms']:.0f}, {row['p90_ms']:.0f}) |"
            f" {row['undisturbed']} of {row['calls']} |"
            f" {' | '.join(ratios)} |"
            f" {row['peak_memory_mb']:.0f} |"
        )
    return "\n".join(lines)


def _medians(rows: list[dict], network: str, engine: str) -> dict[int, float]:
    """By number of threads."""
    return {
        row["threads"]: row["median_ms"]
        for row in rows
        if (row["network"], row["engine"]) == (network, engine)
    }


def _make(
    choices: tuple[str, str],
    image_size: tuple[int, int],
    question: Path,
    weights: Path,
    models: dict[str, Path],
) -> None:
    """A network with weights from a seed, in every form but ONNX."""
    import keras

    from benchmarks.torch_weights import torch_state
    from scdepth_tf import export, synthetic
    from scdepth_tf.nets import DepthNet

    keras.utils.set_random_seed(0)
    depth_net = DepthNet(*choices)
    street = synthetic.make_street(0, CALIBRATION_FRAMES + 1)
    frames = [
        synthetic.render_frame(street, index, image_size).image
        for index in range(CALIBRATION_FRAMES + 1)
    ]
    image = frames.pop()[np.newaxis] / np.float32(255)
    logits = depth_net.logits(image).numpy()
    np.savez(question, image=image, logits=logits)
    np.savez(weights, choices=choices, **torch_state(depth_net))
    for scheme, path in models.items():
        export.export_tflite(
            depth_net, path, image_size, quantize=scheme, calibration=frames
        )


def _environment() -> dict[str, str]:
    """Without what leads another Python to this one's packages."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


def _machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Model and the vector instructions that matter here."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(
        (key.strip(), value.strip())
        for key, _, value in (line.partition(":") for line in info)
        if value
    )
    flags = set(facts.get("flags", "").split())
    known = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8")
    has = [flag for flag in known if flag in flags]
    return f"{facts.get('model name', platform.machine())} ({', '.join(has)})"


if __name__ == "__main__":
    tyro.cli(Benchmark).run()

"""Speed, memory and delegates of a .tflite file, in a process of its own.

    python -m scdepth_tf.export.measure depth_int8.tflite 2

prints JSON. The process holds Python, NumPy and the runtime, no TensorFlow:
its peak memory is what the device needs, and nothing else warms its caches.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

_WARM_UP = 3
_RUNS = 30
_SECONDS = 10.0
"""Slow models (int16x8) are timed at least 3 times, then only so long."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one process saw of one file."""

    num_threads: int

    median_ms: float
    """Of one call of the interpreter, on this machine."""

    p90_ms: float
    """Nine calls of ten were faster."""

    runs: int

    peak_memory_mb: float
    """Largest resident memory of the process, runtime included."""

    base_memory_mb: float
    """Before the model was loaded: Python, NumPy and the runtime."""

    partitions: int
    """Parts of the graph that XNNPACK took; 1: in one piece."""

    is_whole: bool
    """Whether the one part reaches from the inputs to the outputs (casts of
    the interface aside)."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def measure(path: str | Path, num_threads: int) -> Measurement:
    """Runs a file in a new process.

    Args:
        path: a .tflite file.
        num_threads: CPU threads of the runtime.

    Raises:
        ValueError: the runtime refuses the file or dies of it.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(path), str(num_threads)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(
            f"{Path(path).name} does not run on the bare runtime:"
            f" {said[-1] if said else f'signal {-done.returncode}'}"
        )
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def _measure(path: str, num_threads: int) -> Measurement:
    from scdepth_tf.lite import _runtime

    runtime = _runtime()
    base = _peak_memory_mb()
    interpreter = runtime.Interpreter(model_path=path, num_threads=num_threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        noise = rng.uniform(0, 1, tensor["shape"])
        is_float = tensor["dtype"] == np.float32
        interpreter.set_tensor(
            tensor["index"],
            (noise if is_float else 255 * noise).astype(tensor["dtype"]),
        )
    for _ in range(_WARM_UP):
        interpreter.invoke()
    times: list[float] = []
    while len(times) < 3 or (len(times) < _RUNS and sum(times) < _SECONDS):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    partitions, is_whole = _partitions(interpreter)
    return Measurement(
        num_threads=num_threads,
        median_ms=1e3 * float(np.median(times)),
        p90_ms=1e3 * float(np.quantile(times, 0.9)),
        runs=len(times),
        peak_memory_mb=_peak_memory_mb(),
        base_memory_mb=base,
        partitions=partitions,
        is_whole=is_whole,
    )


def _partitions(interpreter: Any) -> tuple[int, bool]:
    """How many delegated parts there are, and whether the one is all."""
    # The only view of the graph after delegation that the runtime gives.
    ops = interpreter._get_ops_details()
    parts = [op for op in ops if op["op_name"] == "DELEGATE"]
    if len(parts) != 1:
        return len(parts), False
    # The casts of the interface may stay outside.
    casts = {
        int(end): int(other)
        for op in ops
        if op["op_name"] in ("QUANTIZE", "DEQUANTIZE")
        for end, other in ((op["inputs"][0], op["outputs"][0]),)
    }
    reads = set(parts[0]["inputs"].tolist())
    writes = set(parts[0]["outputs"].tolist())
    inputs = [tensor["index"] for tensor in interpreter.get_input_details()]
    outputs = [tensor["index"] for tensor in interpreter.get_output_details()]
    from_input = all(i in reads or casts.get(i) in reads for i in inputs)
    to_output = all(
        o in writes or any(casts.get(w) == o for w in writes) for o in outputs
    )
    return 1, from_input and to_output


def _peak_memory_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux; a child may start at its parent's figure
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(
        line for line in status.splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    result = _measure(sys.argv[1], int(sys.argv[2]))
    sys.stdout.write(json.dumps(result.to_json()) + "\n")

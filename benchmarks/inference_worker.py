"""One engine, one network, in a process of its own: times calls on demand.

`inference.py` starts it, in an environment that has the engine:

    python inference_worker.py {litert|torch|onnx} FILE THREADS INPUT.npz

It answers with one line of JSON when it is ready, and one for each number of
calls that it reads: their times. `onnx-export WEIGHTS.npz FILE.onnx` writes
the PyTorch twin as ONNX instead. Imports nothing of scdepth_tf.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Network = Callable[[], np.ndarray]
"""Runs the engine on the one image; [1, H, W, 1] logits."""


def litert(path: str, threads: int, image: np.ndarray) -> Network:
    """A .tflite file on ai-edge-litert, bytes in where the file wants them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    (reads,) = interpreter.get_input_details()
    (writes,) = interpreter.get_output_details()
    if reads["dtype"] == np.uint8:
        image = np.rint(255 * image).astype(np.uint8)
    interpreter.set_tensor(reads["index"], image)

    def run() -> np.ndarray:
        interpreter.invoke()
        answer = interpreter.get_tensor(writes["index"])
        if writes["dtype"] == np.float32:
            return answer
        scale, zero_point = writes["quantization"]
        return (answer.astype(np.float32) - zero_point) * np.float32(scale)

    return run


def pytorch(path: str, threads: int, image: np.ndarray) -> Network:
    """Weights of `torch_weights` in the network that they are for, eager."""
    import torch

    torch.set_num_threads(threads)
    network = _torch_network(path)
    images = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())

    def run() -> np.ndarray:
        with torch.inference_mode():
            return network.logits(images).numpy().transpose(0, 2, 3, 1)

    return run


def onnx_runtime(path: str, threads: int, image: np.ndarray) -> Network:
    """A file of `export_onnx` on ONNX Runtime's CPU provider."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: image.transpose(0, 3, 1, 2).copy()}

    def run() -> np.ndarray:
        (answer,) = session.run(None, feed)
        return answer.transpose(0, 2, 3, 1)

    return run


ENGINES = {"litert": litert, "torch": pytorch, "onnx": onnx_runtime}


def export_onnx(weights: str, path: str, image: np.ndarray) -> None:
    """The PyTorch twin, up to the logits, as an ONNX file."""
    import torch

    network = _torch_network(weights)
    network.forward = network.logits
    images = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())
    torch.onnx.export(network, (images,), path, dynamo=True, verbose=False)


def _torch_network(path: str):
    from torch_networks import DepthNetwork, load_weights

    with np.load(path) as file:
        state = dict(file)
    network = DepthNetwork(*map(str, state.pop("choices")))
    load_weights(network, state)
    return network.eval()


def _serve(engine: str, path: str, threads: int, question: str) -> None:
    with np.load(question) as file:
        image, expected = file["image"], file["logits"]
    base = _peak_memory_mb()
    run = ENGINES[engine](path, threads, image)
    difference = np.abs(run() - expected)
    _say(
        base_memory_mb=base,
        mean_difference=float(difference.mean() / expected.std()),
        largest_difference=float(difference.max() / expected.std()),
    )
    for line in sys.stdin:
        times, stolen = [], []
        for _ in range(int(line)):
            stolen_before, start = _stolen_ms(), time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
            stolen.append(_stolen_ms() - stolen_before)
        _say(ms=times, stolen_ms=stolen, peak_memory_mb=_peak_memory_mb())


def _say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _stolen_ms() -> float:
    """Of all cores, by other machines of a virtual one's host; in steps of
    10 ms.
    """
    total = Path("/proc/stat").read_text().split(None, 9)
    return 1e3 * int(total[8]) / os.sysconf("SC_CLK_TCK")


def _peak_memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    if sys.argv[1] == "onnx-export":
        with np.load(sys.argv[4]) as file:
            export_onnx(sys.argv[2], sys.argv[3], file["image"])
    else:
        _serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

"""A .tflite file against the Keras network it came from, in depth."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scdepth_tf.export import graph
from scdepth_tf.export.metadata import read_model
from scdepth_tf.lite import DepthPredictor, prepare

if TYPE_CHECKING:
    from scdepth_tf.nets.depth_net import DepthNet

_TIMED_RUNS = 30


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """How a .tflite file compares with its Keras network on some frames."""

    path: str
    scheme: str
    """float32 or int8."""

    size_bytes: int
    frames: int

    log_depth_ratio: float
    """Mean over pixels of |log(depth / Keras depth)|, without any scaling."""

    abs_rel: float
    """Mean over pixels of |depth − Keras depth| / Keras depth."""

    scale: float
    """Median over pixels of depth / Keras depth: 1 where quantization did
    not change the global scale."""

    distinct_depths: int
    """Different depth values in all frames (int8 logits: at most 256)."""

    latency_ms: float
    """Median wall time of one call on an image of the network's size,
    NumPy's part included, on this machine."""

    num_threads: int

    operators: dict[str, int]
    """How often each kind of TFLite op occurs."""

    tensor_types: dict[str, int]
    """Types of the input and of every tensor computed from it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a report or the file's own description."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.scheme}, {self.size_bytes / 1e6:.2f} MB,"
            f" {self.latency_ms:.1f} ms on {self.num_threads} threads;"
            f" against Keras on {self.frames} frames: |log depth ratio|"
            f" {self.log_depth_ratio:.4f}, AbsRel {self.abs_rel:.4f}, scale"
            f" {self.scale:.4f}, {self.distinct_depths} distinct depths"
        )


def verify(
    path: str | Path,
    depth_net: DepthNet,
    frames: Iterable[np.ndarray],
    num_threads: int = 2,
) -> VerifyReport:
    """Compares a .tflite file with the network it was made from.

    Args:
        path: file written by `export_tflite`.
        depth_net: the network.
        frames: uint8 RGB images [H, W, 3] of any size, of the training
            domain but not those used in calibration.
        num_threads: CPU threads of the runtime.

    Raises:
        FileNotFoundError, ValueError: as `DepthPredictor`; or no frames.
    """
    predict = DepthPredictor(path, num_threads)
    pairs = []
    for frame in frames:
        pixels = prepare(frame, predict.image_size)
        keras_depth = np.asarray(depth_net(pixels[np.newaxis]))[0, ..., 0]
        pairs.append((predict(frame), keras_depth))
    if not pairs:
        raise ValueError("expected at least one frame to verify on, got none")
    depth, reference = np.stack(pairs, axis=1)
    ratio = depth / reference
    model = read_model(path)
    return VerifyReport(
        path=str(path),
        scheme=predict.metadata["quantization"]["scheme"],
        size_bytes=Path(path).stat().st_size,
        frames=len(pairs),
        log_depth_ratio=float(np.abs(np.log(ratio)).mean()),
        abs_rel=float(np.abs(ratio - 1).mean()),
        scale=float(np.median(ratio)),
        distinct_depths=len(np.unique(depth)),
        latency_ms=_latency_ms(predict),
        num_threads=num_threads,
        operators=dict(graph.operators(model)),
        tensor_types=dict(graph.tensor_types(model)),
    )


def _latency_ms(predict: DepthPredictor) -> float:
    image = np.zeros((*predict.image_size, 3), np.uint8)
    predict(image)  # the first call allocates
    times = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        predict(image)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))

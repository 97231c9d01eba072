"""A .tflite file against the Keras network it came from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scdepth_tf.export import graph
from scdepth_tf.export.compatibility import too_new
from scdepth_tf.export.measure import Measurement
from scdepth_tf.export.metadata import read_model
from scdepth_tf.lite import DepthPredictor, PosePredictor, prepare
from scdepth_tf.metrics.depth import GENERIC, depth_errors

if TYPE_CHECKING:
    from scdepth_tf.nets import DepthNet, PoseNet

LIMITS = {
    "float32": 1e-3,
    "float16": 0.01,
    "dynamic": 0.10,
    "int8": 0.10,
    "int16x8": 0.05,
}
"""A file with a mean |log depth ratio| to Keras beyond this has failed: some
times what good files reach, so that only broken ones meet it."""

POSE_LIMITS = {
    "float32": 1e-3,
    "float16": 0.02,
    "dynamic": 0.2,
    "int8": 0.3,
    "int16x8": 0.2,
}
"""The same for the error of translation, as a share of its length."""

_TIMED_RUNS = 30
_FLAT = 1e-3
"""Standard deviation of log depth below which a picture shows nothing."""


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """How a .tflite file compares with its Keras network on some frames."""

    path: str
    scheme: str
    """float32, float16, dynamic, int8 or int16x8."""

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

    log_depth_spread: float = 0.0
    """Standard deviation of log depth over all pixels; 0: a constant."""

    truth_frames: int = 0
    """Frames with ground truth."""

    truth_abs_rel: float | None = None
    """Against ground truth, each frame at its median scale; None without."""

    keras_truth_abs_rel: float | None = None
    """The same of the Keras network."""

    measurements: tuple[Measurement, ...] = ()
    """Of the file in processes of its own, by number of threads."""

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


@dataclasses.dataclass(frozen=True)
class PoseVerifyReport:
    """How the .tflite file of a pose network compares with Keras."""

    path: str
    scheme: str
    size_bytes: int

    pairs: int

    translation_error: float
    """Mean over pairs of |t − Keras t| / mean |Keras t|."""

    rotation_error: float
    """Mean over pairs of |r − Keras r|, degrees."""

    is_finite: bool

    operators: dict[str, int]

    tensor_types: dict[str, int]

    measurements: tuple[Measurement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a report or the file's own description."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.scheme}, {self.size_bytes / 1e6:.2f} MB;"
            f" against Keras on {self.pairs} pairs: translation"
            f" {100 * self.translation_error:.2f} %, rotation"
            f" {self.rotation_error:.4f} degrees"
        )


def verify(
    path: str | Path,
    depth_net: DepthNet,
    frames: Iterable[np.ndarray],
    num_threads: int = 2,
    truths: Sequence[np.ndarray | None] | None = None,
) -> VerifyReport:
    """Compares a .tflite file with the network it was made from.

    Args:
        path: file written by `export_tflite`.
        depth_net: the network.
        frames: uint8 RGB images [H, W, 3] of any size, of the training
            domain but not those used in calibration.
        num_threads: CPU threads of the runtime.
        truths: depth [h, w] of each frame (0: none), or None.

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
    errors = [
        [depth_errors(truth, own, GENERIC).abs_rel for own in pair]
        for truth, pair in zip(truths or (), pairs, strict=False)
        if truth is not None and _counts(truth)
    ]
    own_error, keras_error = np.mean(errors, axis=0) if errors else (None, None)
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
        log_depth_spread=float(np.log(depth).std()),
        truth_frames=len(errors),
        truth_abs_rel=None if own_error is None else float(own_error),
        keras_truth_abs_rel=None if keras_error is None else float(keras_error),
    )


def verify_pose(
    path: str | Path,
    pose_net: PoseNet,
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
) -> PoseVerifyReport:
    """Compares the .tflite file of a pose network with the network.

    Args:
        path: file written by `export_tflite`.
        pose_net: the network.
        pairs: target and source, uint8 RGB images [H, W, 3] of any size.

    Raises:
        FileNotFoundError, ValueError: as `PosePredictor`; or no pairs.
    """
    predict = PosePredictor(path)
    poses = []
    for pair in pairs:
        pixels = np.concatenate(
            [prepare(image, predict.image_size) for image in pair], axis=-1
        )
        reference = np.asarray(pose_net(pixels[np.newaxis]))[0]
        poses.append((predict(*pair), reference))
    if not poses:
        raise ValueError("expected at least one pair to verify on, got none")
    pose, reference = np.stack(poses, axis=1)
    difference = np.linalg.norm(
        (pose - reference).reshape(len(poses), 2, 3), axis=-1
    )
    length = np.linalg.norm(reference[:, :3], axis=-1)
    model = read_model(path)
    return PoseVerifyReport(
        path=str(path),
        scheme=predict.metadata["quantization"]["scheme"],
        size_bytes=Path(path).stat().st_size,
        pairs=len(poses),
        translation_error=float(difference[:, 0].mean() / length.mean()),
        rotation_error=float(np.degrees(difference[:, 1].mean())),
        is_finite=bool(np.isfinite(pose).all()),
        operators=dict(graph.operators(model)),
        tensor_types=dict(graph.tensor_types(model)),
    )


def check_graph(path: str | Path) -> None:
    """Refuses a file that not every runtime takes.

    Raises:
        ValueError: custom ops, or versions that tflite-runtime 2.14 lacks.
    """
    model = read_model(path)
    custom = [kind for kind in graph.operators(model) if "custom" in kind]
    if custom:
        raise ValueError(
            f"{Path(path).name} failed: {', '.join(custom)} is no builtin op"
        )
    newer = too_new(model)
    if newer:
        asked = ", ".join(f"{op} {version}" for op, version in newer.items())
        raise ValueError(
            f"{Path(path).name} failed: tflite-runtime 2.14 does not know"
            f" {asked}"
        )


def check(report: VerifyReport | PoseVerifyReport) -> None:
    """Refuses a file that is broken or far from the Keras network.

    Raises:
        ValueError: not finite, constant, or beyond the limit of its scheme.
    """
    name = Path(report.path).name
    if isinstance(report, PoseVerifyReport):
        error, limit = report.translation_error, POSE_LIMITS[report.scheme]
        what = "relative error of translation"
        is_finite, is_flat = report.is_finite, False
    else:
        error, limit = report.log_depth_ratio, LIMITS[report.scheme]
        what = "mean |log depth ratio|"
        is_finite = bool(np.isfinite(report.log_depth_spread))
        is_flat = report.log_depth_spread < _FLAT
    if not is_finite:
        raise ValueError(f"{name} failed: its output is not finite")
    if is_flat:
        raise ValueError(
            f"{name} failed: it sees one depth everywhere; look at the run's"
            " own pictures first"
        )
    if not error <= limit:
        raise ValueError(
            f"{name} failed: {what} to Keras is {error:.4f}, the limit for"
            f" {report.scheme} is {limit:g}; "
            + (
                "calibrate on frames of the training domain, 100 or more"
                if report.scheme in ("int8", "int16x8")
                else "the converter changed the network"
            )
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


def _counts(truth: np.ndarray) -> bool:
    known = truth > GENERIC.minimum_depth
    return bool((known & (truth < GENERIC.maximum_depth)).any())

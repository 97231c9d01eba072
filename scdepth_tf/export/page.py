"""The page that says what exported files are worth: HTML and JSON."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from scdepth_tf.export.verify import (
    LIMITS,
    POSE_LIMITS,
    PoseVerifyReport,
    VerifyReport,
)
from scdepth_tf.files import write_whole
from scdepth_tf.lite import DepthPredictor, prepare, read_metadata, resize

if TYPE_CHECKING:
    from scdepth_tf.export.artefacts import Sample
    from scdepth_tf.nets import DepthNet, PoseNet

_PICTURES = 4

_log = logging.getLogger(__name__)

Report = VerifyReport | PoseVerifyReport


def write_page(
    path: Path,
    net: DepthNet | PoseNet,
    reports: Sequence[Report],
    files: Sequence[Path],
    samples: Sequence[Sample],
) -> None:
    """Writes the page, and its figures as JSON beside it.

    Args:
        path: the .html file.
        net: the Keras network.
        reports: of the files.
        files: the .tflite files, in the same order.
        samples: the frames they were verified on.

    Raises:
        ValueError: it cannot be written.
    """
    is_pose = isinstance(reports[0], PoseVerifyReport)
    described = {
        "machine": _machine(),
        "frames": [sample.name for sample in samples],
        "limits": POSE_LIMITS if is_pose else LIMITS,
        "files": [report.to_json() for report in reports],
    }
    text = json.dumps(described, indent=1, allow_nan=False)
    write_whole(path.with_suffix(".json"), text + "\n")
    write_whole(
        path,
        _PAGE.substitute(
            kind="pose" if is_pose else "depth",
            summary=_summary(files[0], reports, samples),
            accuracy=_pose_rows(reports) if is_pose else _depth_rows(reports),
            speed=_speed_rows(reports),
            graphs=_graph_rows(reports),
            pictures="" if is_pose else _pictures(net, files, samples),
            machine=html.escape(_machine()),
        ),
    )


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":")[1].strip()
            for line in info.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        if names:
            cpu = f"{names[0]}, {len(names)} cores"
    return f"{cpu}; {platform.system()}, Python {platform.python_version()}"


def _summary(
    file: Path, reports: Sequence[Report], samples: Sequence[Sample]
) -> str:
    count = len(samples)
    scenes = {sample.name.rpartition("/")[0] for sample in samples}
    where = html.escape(", ".join(sorted(scenes)))
    described = read_metadata(file)
    encoder = html.escape(described["network"]["encoder"])
    height, width = described["input"]["size"]
    truths = sum(sample.truth is not None for sample in samples)
    passed = "One file" if len(reports) == 1 else f"{len(reports)} files"
    against = f", {truths} with ground truth" if truths else ""
    return (
        f"{encoder} at {height} × {width} (height × width). {passed} passed"
        f" on {count} frames of {where}{against}: built-in ops that"
        " tflite-runtime 2.14 knows, finite, not constant, near Keras."
    )


def _depth_rows(reports: Sequence[VerifyReport]) -> str:
    rows = [
        _row(
            "th",
            "",
            "size",
            "mean |log depth ratio|",
            "AbsRel to Keras",
            "scale",
            "AbsRel to ground truth",
            "Keras",
            "change",
            "distinct depths",
        )
    ]
    for report in reports:
        truth, keras = report.truth_abs_rel, report.keras_truth_abs_rel
        rows.append(
            _row(
                "td",
                report.scheme,
                f"{report.size_bytes / 1e6:.2f} MB",
                f"{100 * report.log_depth_ratio:.3f} %",
                f"{100 * report.abs_rel:.3f} %",
                f"{report.scale:.4f}",
                "–" if truth is None else f"{truth:.4f}",
                "–" if keras is None else f"{keras:.4f}",
                "–" if truth is None else f"{100 * (truth / keras - 1):+.2f} %",
                f"{report.distinct_depths:,}",
            )
        )
    return "".join(rows)


def _pose_rows(reports: Sequence[PoseVerifyReport]) -> str:
    rows = [_row("th", "", "size", "translation to Keras", "rotation to Keras")]
    for report in reports:
        rows.append(
            _row(
                "td",
                report.scheme,
                f"{report.size_bytes / 1e6:.2f} MB",
                f"{100 * report.translation_error:.3f} %",
                f"{report.rotation_error:.5f}°",
            )
        )
    return "".join(rows)


def _speed_rows(reports: Sequence[Report]) -> str:
    rows = [
        _row(
            "th",
            "",
            "threads",
            "median",
            "p90",
            "runs",
            "peak memory",
            "of it the model",
        )
    ]
    for report in reports:
        for measured in report.measurements:
            own = measured.peak_memory_mb - measured.base_memory_mb
            rows.append(
                _row(
                    "td",
                    report.scheme,
                    str(measured.num_threads),
                    f"{measured.median_ms:.1f} ms",
                    f"{measured.p90_ms:.1f} ms",
                    str(measured.runs),
                    f"{measured.peak_memory_mb:.0f} MB",
                    f"{own:.0f} MB",
                )
            )
    return "".join(rows)


def _graph_rows(reports: Sequence[Report]) -> str:
    rows = [_row("th", "", "XNNPACK", "tensor types", "ops")]
    for report in reports:
        first = report.measurements[0]
        if first.is_whole:
            parts = "the whole graph, one part"
        elif first.partitions:
            parts = f"{first.partitions} parts, kernels between them"
        else:
            parts = "nothing: reference kernels"
        rows.append(
            _row(
                "td",
                report.scheme,
                parts,
                _counted(report.tensor_types),
                _counted(report.operators),
            )
        )
    return "".join(rows)


def _counted(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in ordered)


def _row(tag: str, *cells: str) -> str:
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


def _pictures(
    net: DepthNet, files: Sequence[Path], samples: Sequence[Sample]
) -> str:
    """Rows of frame, Keras, each file and how it differs."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        _log.warning(
            "the report has no pictures: they need Matplotlib (pip install"
            ' "scdepth-tf[viz]")'
        )
        return ""
    from scdepth_tf import viz

    predictors = [DepthPredictor(path) for path in files]
    size = predictors[0].image_size
    chosen = np.linspace(0, len(samples) - 1, min(_PICTURES, len(samples)))
    rows = []
    for sample in (samples[index] for index in chosen.round().astype(int)):
        pixels = prepare(sample.image, size)
        keras = np.asarray(net(pixels[np.newaxis]))[0, ..., 0]
        near, far = np.quantile(keras, [0.02, 0.98])
        frame = np.rint(resize(sample.image, size)).astype(np.uint8)
        cells = [
            _figure(frame, sample.name),
            _figure(viz.color_depth(keras, near, far), "Keras"),
        ]
        for predict in predictors:
            depth = predict(sample.image)
            scheme = predict.metadata["quantization"]["scheme"]
            error = 100 * np.abs(np.log(depth / keras)).mean()
            cells += [
                _figure(viz.color_depth(depth, near, far), scheme),
                _figure(
                    # Ten times: the colours saturate at e^0.05.
                    viz.color_ratio((depth / keras) ** 10, np.ones_like(keras)),
                    f"{scheme} / Keras, off by {error:.2f} %",
                ),
            ]
        rows.append(f'<div class="row">{"".join(cells)}</div>')
    return (
        "<h2>Side by side</h2><p>Bright is near. Differences are drawn ten"
        " times too strong: blue is too near, red too far, full colour is"
        f" 5 %.</p>{''.join(rows)}"
    )


def _figure(pixels: np.ndarray, caption: str) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    text = html.escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


_PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Exported $kind network</title>
<style>
  :root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675;
    --paper: #ffffff; --line: #dfe4ea; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2;
    --soft: #9aa6b5; --paper: #12161c; --line: #2c3540; } }
  body { margin: 0 auto; max-width: 1180px; padding: 2.5rem 1.25rem 4rem;
    font: 16px/1.55 system-ui, sans-serif; color: var(--ink);
    background: var(--paper); }
  h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; }
  h2 { margin: 2.4rem 0 .3rem; font-size: 1.3rem; }
  p { max-width: 78ch; margin: .3rem 0 1rem; color: var(--soft); }
  table { border-collapse: collapse; width: 100%; font-size: .92rem;
    font-variant-numeric: tabular-nums; }
  .scroll { overflow-x: auto; }
  th, td { padding: .4rem .6rem; text-align: right; vertical-align: top;
    border-bottom: 1px solid var(--line); }
  th { color: var(--soft); font-weight: 600; }
  th:first-child, td:first-child { text-align: left; font-weight: 600; }
  .graphs th, .graphs td { text-align: left; }
  .row { display: grid; gap: .6rem; margin-bottom: 1.4rem;
    grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
  figure { margin: 0; } img { width: 100%; border-radius: 6px;
    display: block; }
  figcaption { font-size: .8rem; color: var(--soft); padding: .15rem .1rem; }
</style>
<h1>Exported $kind network</h1>
<p>$summary</p>
<h2>Accuracy</h2>
<p>Against the Keras network without any scaling; against ground truth each
frame at its median scale (protocol generic, depth up to 80 m).</p>
<div class="scroll"><table>$accuracy</table></div>
<h2>Speed and memory</h2>
<p>The bare runtime in a process of its own, without TensorFlow, on this
machine ($machine). Measure on your device: <code>litert-benchmark</code> comes
with ai-edge-litert.</p>
<div class="scroll"><table>$speed</table></div>
<h2>Graph</h2>
<div class="scroll"><table class="graphs">$graphs</table></div>
$pictures
</html>
""")

"""report.html: one self-contained page that shows a run with pictures."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from scdepth_tf import predict, runs, snippets, viz
from scdepth_tf.data import Scene
from scdepth_tf.evaluate import DepthReport
from scdepth_tf.export import VerifyReport
from scdepth_tf.files import write_whole
from scdepth_tf.model import SCDepth

_NEAREST, _FARTHEST = 3.0, 80.0  # metres, ends of the depth colours


def write_report(
    path: str | Path,
    *,
    run: runs.Run,
    model: SCDepth,
    unseen: Sequence[Scene],
    evaluations: Mapping[str, DepthReport],
    files: Mapping[str, VerifyReport],
    seconds: Mapping[str, float],
) -> Path:
    """Write the page.

    Args:
        path: the .html file.
        run: what was trained.
        model: with the weights to show.
        unseen: scenes with ground-truth depth that were not trained on.
        evaluations: depth errors on them, by the name of the predictor; the
            first one is the headline and brings the baselines.
        files: exported models, by name.
        seconds: what each step took.

    Returns:
        `path`.

    Raises:
        ValueError: it cannot be written.
    """
    headline = next(iter(evaluations.values()))
    page = _PAGE.substitute(
        cards=_cards(headline, files),
        gallery=_gallery(run, model, unseen, headline.scale_median),
        learning=_learning(run, model, unseen[0]),
        curves=_curves(run),
        errors=_error_table(evaluations),
        scale=_scale_plot(headline),
        files=_file_table(files, evaluations),
        made=_made(run, unseen, seconds),
    )
    write_whole(path, page)
    return Path(path)


# === Sections ===


def _cards(report: DepthReport, files: Mapping[str, VerifyReport]) -> str:
    best = report.best_baseline()
    ratio = report.median_scaled.abs_rel / best.median_scaled.abs_rel
    smallest = min(files.values(), key=lambda file: file.size_bytes)
    cards = [
        (
            f"{report.median_scaled.abs_rel:.3f}",
            "AbsRel on streets never seen",
            f"{ratio:.2f} × the best baseline ({html.escape(best.name)}: "
            f"{best.median_scaled.abs_rel:.3f})",
        ),
        (
            f"{100 * report.median_scaled.delta1:.0f} %",
            "of pixels within 25 %",
            f"best baseline {100 * best.median_scaled.delta1:.0f} %",
        ),
        (
            f"{100 * report.scale_spread:.1f} %",
            "spread of the scale",
            "std / median over images; AbsRel at one scale for all: "
            f"{report.global_scaled.abs_rel:.3f}",
        ),
        (
            f"{smallest.size_bytes / 1e6:.1f} MB",
            "int8 model for a phone",
            f"{smallest.latency_ms:.0f} ms an image on this machine's CPU",
        ),
    ]
    return "\n".join(
        f'<div class="card"><b>{value}</b><span>{title}</span>'
        f"<small>{note}</small></div>"
        for value, title, note in cards
    )


def _gallery(
    run: runs.Run, model: SCDepth, scenes: Sequence[Scene], scale: float
) -> str:
    """Frame, prediction, truth and error in the middle of each street."""
    depth_of = predict.depth_predictor(model, run.config.data.image_size)
    rows = []
    for scene in scenes:
        index = len(scene) // 2
        image, truth = scene.image(index), scene.depth(index)
        depth = _resize_depth(depth_of(image) * scale, truth.shape)
        pictures = [
            (image, f"{scene.name}, frame {index}"),
            (_depth_picture(depth), "predicted depth"),
            (_depth_picture(truth), "true depth"),
            (viz.color_ratio(depth, truth), "error"),
        ]
        rows.append(_figures(pictures))
    return "\n".join(rows)


def _learning(run: runs.Run, model: SCDepth, scene: Scene) -> str:
    """The terms of the loss on one unseen pair."""
    middle = len(scene) // 2
    pair = snippets.compare_frames(
        model, scene, middle, middle + 1, run.config.data.image_size
    )
    pictures = snippets.draw_pair(pair)
    first = [
        (snippets.as_bytes(pair.target), "target frame"),
        (snippets.as_bytes(pair.source), "next frame"),
        (pictures.warped, "next frame warped into the target"),
    ]
    second = [
        (pictures.before, "difference before the warp"),
        (pictures.residual, "difference after the warp"),
        (pictures.photometric, "photometric error"),
    ]
    third = [
        (pictures.auto_mask, "M<sub>a</sub>, auto-mask: bright pixels teach"),
        (
            pictures.inconsistency,
            "D<sub>diff</sub>: where the depths of both frames disagree",
        ),
        (pictures.self_mask, "M<sub>s</sub>: dark pixels count less"),
    ]
    return "\n".join(_figures(row) for row in (first, second, third))


def _curves(run: runs.Run) -> str:
    with (run.folder / runs.HISTORY).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    panels = [
        ("total loss", ["loss", "val_loss"]),
        ("photometric L_P", ["photometric", "val_photometric"]),
        ("geometry L_G", ["geometry", "val_geometry"]),
        ("AbsRel on validation streets", ["val_abs_rel"]),
    ]
    figure, axes = _subplots(len(panels))
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name, color in zip(names, ("#3b82f6", "#f97316"), strict=False):
            if rows and name in rows[0]:
                axis.plot(
                    epochs,
                    [float(row[name]) for row in rows],
                    color=color,
                    label="validation"
                    if name.startswith("val_")
                    else "training",
                )
        axis.set_title(title)
        axis.set_xlabel("epoch")
    axes[0].legend(frameon=False)
    return _svg(figure)


def _scale_plot(report: DepthReport) -> str:
    scales = [image.median_scaled.scale for image in report.per_image]
    figure, (axis,) = _subplots(1)
    axis.plot(np.array(scales) / report.scale_median, color="#3b82f6")
    axis.axhline(1.0, color="#888888", linewidth=0.8, linestyle="--")
    axis.set_ylim(0.0, 2.0)
    axis.set_title("scale of each image / scale of all images")
    axis.set_xlabel("image, street after street")
    return _svg(figure)


def _error_table(evaluations: Mapping[str, DepthReport]) -> str:
    headline = next(iter(evaluations.values()))
    reports = [
        *((name, report, True) for name, report in evaluations.items()),
        *((name, report, False) for name, report in headline.baselines.items()),
    ]
    rows = []
    for name, report, ours in reports:
        cells = [
            f"{value:.3f}"
            for errors in (report.median_scaled, report.global_scaled)
            for value in (
                errors.abs_rel,
                errors.rmse,
                errors.rmse_log,
                errors.delta1,
            )
        ]
        cells.append(f"{100 * report.scale_spread:.1f} %")
        row = _cells("td", [html.escape(name), *cells])
        rows.append(
            f'<tr class="ours">{row}</tr>' if ours else f"<tr>{row}</tr>"
        )
    metrics = ["AbsRel", "RMSE", "RMSE log", "δ &lt; 1.25"]
    return (
        "<table><thead><tr><th></th>"
        '<th colspan="4">each image at its own median scale</th>'
        '<th colspan="4">one scale for all images</th><th></th></tr>'
        f"<tr>{_cells('th', ['', *metrics, *metrics, 'scale spread'])}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
        f"<p class=note>{headline.count} images. Protocol "
        f"{html.escape(headline.protocol.describe())}.</p>"
    )


def _file_table(
    files: Mapping[str, VerifyReport],
    evaluations: Mapping[str, DepthReport],
) -> str:
    rows = "".join(
        "<tr>"
        + _cells(
            "td",
            [
                html.escape(name),
                f"{file.size_bytes / 1e6:.1f} MB",
                f"{file.latency_ms:.1f} ms",
                f"{100 * file.log_depth_ratio:.2f} %",
                f"{evaluations[name].median_scaled.abs_rel:.4f}",
            ],
        )
        + "</tr>"
        for name, file in files.items()
    )
    header = _cells(
        "th",
        [
            "file",
            "size",
            "latency, 2 threads",
            "mean |log depth ratio| to Keras",
            "AbsRel on unseen streets",
        ],
    )
    return (
        f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _made(
    run: runs.Run, unseen: Sequence[Scene], seconds: Mapping[str, float]
) -> str:
    config = run.config
    environment = runs.environment()
    facts = {
        "networks": f"{config.model.depth_encoder} depth network "
        f"({config.model.decoder} decoder), {config.model.pose_encoder} pose "
        f"network, encoders from {config.model.encoder_weights}",
        "training": f"{config.epochs * config.steps_per_epoch} steps of "
        f"{config.batch_size} triplets at {config.data.image_size[1]} × "
        f"{config.data.image_size[0]}, no labels",
        "unseen": ", ".join(scene.name for scene in unseen),
        "machine": environment["platform"],
        "versions": ", ".join(
            f"{name} {version}"
            for name, version in environment["packages"].items()
        ),
        "time": ", ".join(
            f"{title.split(' ', 1)[1].lower()} {value:.0f} s"
            for title, value in seconds.items()
        ),
    }
    rows = "".join(
        f"<tr><th>{name}</th><td>{html.escape(str(fact))}</td></tr>"
        for name, fact in facts.items()
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


# === Pieces ===


def _figures(pictures: Sequence[tuple[np.ndarray, str]]) -> str:
    figures = "".join(
        f'<figure><img src="{_data_url(image)}" alt="{_plain(caption)}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for image, caption in pictures
    )
    return f'<div class="row" style="--n:{len(pictures)}">{figures}</div>'


def _data_url(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{encoded}"


def _plain(caption: str) -> str:
    return caption.replace("<sub>", "").replace("</sub>", "")


def _depth_picture(depth: np.ndarray) -> np.ndarray:
    return viz.color_depth(depth, _NEAREST, _FARTHEST)


def _resize_depth(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """In disparity, as the evaluation does."""
    disparity = Image.fromarray((1.0 / depth).astype(np.float32))
    resized = disparity.resize(size[::-1], Image.Resampling.BILINEAR)
    return 1.0 / np.asarray(resized)


def _cells(tag: str, contents: Sequence[str]) -> str:
    return "".join(f"<{tag}>{content}</{tag}>" for content in contents)


def _subplots(count: int):
    from matplotlib.figure import Figure

    width = 3.1 * count if count > 1 else 10.0
    figure = Figure(figsize=(width, 2.4), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def _svg(figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    return f'<div class="plot">{svg[svg.index("<svg") :]}</div>'


_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SC-Depth: depth from plain video</title>
<style>
  :root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675;
    --paper: #ffffff; --panel: #f4f6f9; --line: #dfe4ea; --mark: #2563eb; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2;
    --soft: #9aa6b5; --paper: #12161c; --panel: #1b212a; --line: #2c3540;
    --mark: #7cb0ff; } .plot { filter: invert(0.92) hue-rotate(180deg); } }
  body { margin: 0 auto; max-width: 1180px; padding: 2.5rem 1.25rem 4rem;
    font: 16px/1.55 system-ui, sans-serif; color: var(--ink);
    background: var(--paper); }
  h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .4rem; }
  h2 { margin: 3rem 0 .3rem; font-size: 1.35rem; }
  p { max-width: 74ch; margin: .3rem 0 1rem; color: var(--soft); }
  .cards { display: grid; gap: 1rem; margin: 1.6rem 0;
    grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); }
  .card { background: var(--panel); border-radius: 12px; padding: 1rem 1.2rem;
    display: flex; flex-direction: column; }
  .card b { font-size: 2rem; color: var(--mark); line-height: 1.2; }
  .card small, .note { color: var(--soft); font-size: .85rem; }
  .row { display: grid; gap: .6rem; margin-bottom: .6rem;
    grid-template-columns: repeat(var(--n), 1fr); }
  @media (max-width: 700px) { .row { grid-template-columns: 1fr 1fr; } }
  figure { margin: 0; } img { width: 100%; border-radius: 6px; display: block; }
  figcaption { font-size: .8rem; color: var(--soft); padding: .15rem .1rem; }
  table { border-collapse: collapse; width: 100%; font-size: .92rem;
    font-variant-numeric: tabular-nums; }
  .scroll { overflow-x: auto; }
  th, td { padding: .4rem .6rem; text-align: right;
    border-bottom: 1px solid var(--line); }
  th { color: var(--soft); font-weight: 600; }
  th:first-child, td:first-child { text-align: left; }
  tr.ours td { font-weight: 600; }
  .facts th, .facts td { text-align: left; vertical-align: top; }
  .plot svg { width: 100%; height: auto; }
  .legend { display: flex; gap: 1.2rem; flex-wrap: wrap; font-size: .85rem;
    color: var(--soft); margin: .2rem 0 .8rem; }
  .bar { display: inline-block; width: 9rem; height: .7rem; border-radius: 3px;
    vertical-align: middle; margin: 0 .4rem; }
</style>
<h1>Depth from plain video</h1>
<p>Two small networks watched rendered street videos, without any labels, and
learned depth and camera motion from how one frame explains the next. Below is
what they make of streets they have never seen.</p>
<div class="cards">$cards</div>

<h2>Streets it never saw</h2>
<div class="legend">
  <span>depth: near<span class="bar" style="background:linear-gradient(90deg,
  #fcfdbf,#fc8961,#b73779,#51127c,#000004)"></span>far</span>
  <span>error: too near<span class="bar" style="background:linear-gradient(
  90deg,#053061,#92c5de,#f7f7f7,#f4a582,#67001f)"></span>too far
  (ends: a factor of 1.65)</span>
  <span>grey: sky, no depth</span>
</div>
$gallery

<h2>How it learns</h2>
<p>The next frame is warped into the target with the predicted depth and
motion; what still differs is the lesson. The masks decide which pixels teach:
M<sub>a</sub> drops those that the unwarped frame explains as well,
M<sub>s</sub> trusts those less whose depths disagree between the frames, such
as moving cars. Differences, D<sub>diff</sub> and M<sub>s</sub> are drawn with
three times their contrast; grey is out of view.</p>
$learning

<h2>Training</h2>
$curves

<h2>Errors beside trivial baselines</h2>
<p>A baseline never looks at the image. The right half uses one scale for all
images, which costs a scale-consistent network little or nothing.</p>
<div class="scroll">$errors</div>
$scale

<h2>On the device</h2>
<p>The exported files, run by the bare LiteRT runtime with numpy.</p>
<div class="scroll">$files</div>

<h2>How this page was made</h2>
<div class="scroll">$made</div>
</html>
""")

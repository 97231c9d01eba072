"""The main job end to end, on streets it renders itself.

Render, train, evaluate on a street never seen, export, run on the device
runtime, report. Each step is the library's own function: this is also the
shortest example of how they fit together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from scdepth_tf import (
    data,
    evaluate,
    export,
    metrics,
    predict,
    report,
    runs,
    synthetic,
)
from scdepth_tf.config import DataConfig, LossConfig, ModelConfig, TrainConfig
from scdepth_tf.data import Scene
from scdepth_tf.evaluate import DepthReport
from scdepth_tf.lite import DepthPredictor
from scdepth_tf.model import SCDepth
from scdepth_tf.nets import DepthNet
from scdepth_tf.progress import bar
from scdepth_tf.train import train

_LOG = logging.getLogger(__name__)

CONFIG = TrainConfig(
    model=ModelConfig(
        depth_encoder="efficientnet_lite0",
        decoder="mobile",
        pose_encoder="optical_flow",
        encoder_weights="imagenet",
    ),
    # At the published 0.1 smoothing, on depth, wins over the little parallax
    # that far things have in images this small.
    loss=LossConfig(smoothness_weight=0.02),
    data=DataConfig(image_size=(64, 192), zoom=1.0),
    batch_size=2,
    epochs=5,
    steps_per_epoch=200,
    learning_rate=8e-4,
    schedule="cosine",
    ema_momentum=0.99,
)
"""Small enough for some eight minutes on two cores."""

TRAINING_STREETS = range(1, 41)
VALIDATION_STREETS = range(101, 103)
"""Judge the epochs, and judged this recipe."""
UNSEEN_STREETS = range(301, 307)
"""Only what the report says was measured on them."""
FRAMES = 20
"""Of each street: many short streets teach more than few long ones."""
RENDERED_SIZE = (96, 320)
"""Height and width of the frames: pictures a person enjoys."""
PROTOCOL = metrics.GENERIC


def run_demo(out: str | Path) -> Path:
    """Run everything and write `out/report.html`.

    Args:
        out: a folder that does not exist yet.

    Returns:
        The report.

    Raises:
        ValueError: `out` exists or cannot be written.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(
            f"{out} is not empty; give --out a folder that does not exist yet"
        )
    started = time.perf_counter()
    seconds: dict[str, float] = {}

    with _step("1/5 Rendering streets", seconds):
        streets, unseen_streets = _render(out)
    with _step("2/5 Training SC-Depth on plain frames", seconds):
        run = train(streets, out / "run", CONFIG)
    model = runs.load_model(run)
    training = data.open_scenes(streets, "train")
    unseen = data.open_scenes(unseen_streets, "val")
    with _step("3/5 Exporting to TFLite", seconds):
        files = _export(model.depth_net, training, out / "export")
    with _step("4/5 Evaluating on streets never seen", seconds):
        evaluations = _evaluate(model, files, training, unseen)
        verified = {
            f"TFLite {scheme}": export.verify(
                path, model.depth_net, data.spread_images(unseen, 20)
            )
            for scheme, path in files.items()
        }
    evaluations["Keras"].write_json(out / "evaluation.json")
    with _step("5/5 Writing the report", seconds):
        page = report.write_report(
            out / "report.html",
            run=run,
            model=model,
            unseen=unseen,
            evaluations=evaluations,
            files=verified,
            seconds=seconds,
        )
    _LOG.info("\n%s", evaluations["Keras"].table())
    _LOG.info(
        "Done in %.1f minutes. Open %s",
        (time.perf_counter() - started) / 60,
        page.resolve(),
    )
    return page


def _render(out: Path) -> tuple[Path, Path]:
    """Streets to train and validate on; streets that training never opens."""
    sets = {
        "streets": (TRAINING_STREETS, VALIDATION_STREETS),
        "unseen_streets": ((), UNSEEN_STREETS),
    }
    count = sum(len(train) + len(val) for train, val in sets.values())
    with bar(total=count * FRAMES, unit="frame") as drawn:
        for name, (train_seeds, val_seeds) in sets.items():
            before = drawn.n
            synthetic.write_streets(
                out / name,
                seeds_train=train_seeds,
                seeds_val=val_seeds,
                frames=FRAMES,
                image_size=RENDERED_SIZE,
                progress=lambda done, _, before=before: drawn.update(
                    before + done - drawn.n
                ),
            )
    return out / "streets", out / "unseen_streets"


@contextmanager
def _step(title: str, seconds: dict[str, float]) -> Iterator[None]:
    _LOG.info("\n%s …", title)
    start = time.perf_counter()
    yield
    seconds[title] = time.perf_counter() - start
    _LOG.info("%s took %.0f s", title, seconds[title])


def _export(
    depth_net: DepthNet, training: Sequence[Scene], folder: Path
) -> dict[str, Path]:
    return {
        scheme: export.export_tflite(
            depth_net,
            folder / f"depth_{scheme}.tflite",
            CONFIG.data.image_size,
            quantize=scheme,
            calibration=data.spread_images(training, 100),
            metadata={"training_data": "streets rendered by scdepth demo"},
        )
        for scheme in ("float32", "int8")
    }


def _evaluate(
    model: SCDepth,
    files: Mapping[str, Path],
    training: Sequence[Scene],
    unseen: Sequence[Scene],
) -> dict[str, DepthReport]:
    """Keras and both files, the files with numpy and LiteRT alone."""
    predictors = {
        "Keras": predict.depth_predictor(model, CONFIG.data.image_size),
        **{
            f"TFLite {scheme}": DepthPredictor(path)
            for scheme, path in files.items()
        },
    }
    baselines = evaluate.training_baselines(
        training, CONFIG.data.image_size, PROTOCOL, every=2
    )
    samples = evaluate.depth_samples(unseen)
    return {
        name: evaluate.evaluate_depth(
            predictor,
            (sample() for sample in bar(samples, name, unit="image")),
            PROTOCOL,
            baselines if name == "Keras" else None,
            name=name,
        )
        for name, predictor in predictors.items()
    }

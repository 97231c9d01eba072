"""`scdepth …`: parse first, import later.

This module loads no TensorFlow, so that `scdepth --help` answers at once.
Each subcommand is a dataclass (its fields are the options, its docstrings
the help) with a `run` that calls the library.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from scdepth_tf.config import TrainConfig

if TYPE_CHECKING:
    from scdepth_tf.data import Scene
    from scdepth_tf.runs import Run

Folder = tyro.conf.Positional[Path]


@dataclasses.dataclass(frozen=True)
class Demo:
    """The main job on data it makes itself: render streets, train, evaluate
    on a street never seen, export to TFLite, report.
    """

    out: Path = Path("demo")
    """Folder to make; report.html in it is the result."""

    def run(self) -> None:
        """Run the demo."""
        from scdepth_tf.demo import run_demo

        run_demo(self.out)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train on video: folders of scenes, KITTI raw drives, TFDS datasets."""

    data: Folder
    """DATA/SCENE/*.jpg with cam.txt (one scene is fine too), a KITTI raw root,
    or tfds:NAME/CONFIG."""

    out: Path
    """Run directory to make."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all by default."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=TrainConfig
    )

    def run(self) -> None:
        """Train."""
        from scdepth_tf.train import train

        train(self.data, self.out, self.config, self.scenes)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Depth errors of a run: at each image's median scale and at one scale
    for all, with the spread of the scale, beside trivial baselines.
    """

    what: tyro.conf.Positional[Literal["depth"]]
    """What to evaluate."""

    run_folder: Folder
    """Run directory of `scdepth train`."""

    data: Folder
    """Scenes with ground-truth depth."""

    split: Literal["train", "val", "test", "all"] = "val"
    """Which side of the data to evaluate on; test is of tfds:NAME alone."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all of the split by default."""

    protocol: Literal["generic", "eigen", "nyu"] = "generic"
    """What counts: depth range, crop, resizing."""

    json: Path | None = None
    """Write the whole report here."""

    csv: Path | None = None
    """Write the errors of each image here."""

    def run(self) -> None:
        """Evaluate and print the table."""
        from tqdm import tqdm

        from scdepth_tf import data, evaluate, metrics, predict, runs

        run = runs.open_run(self.run_folder)
        protocol = metrics.PROTOCOLS[self.protocol]
        scenes = data.open_scenes(self.data, self.split, self.scenes)
        samples = evaluate.depth_samples(scenes)
        image_size = run.config.data.image_size
        report = evaluate.evaluate_depth(
            predict.depth_predictor(runs.load_model(run), image_size),
            (sample() for sample in tqdm(samples, "evaluating", unit="image")),
            protocol,
            baselines=evaluate.training_baselines(
                _scenes_trained_on(run), image_size, protocol, every=5
            ),
        )
        sys.stdout.write(report.table())
        if self.json:
            report.write_json(self.json)
        if self.csv:
            report.write_csv(self.csv)


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the depth network of a run as a TFLite model for a device."""

    run_folder: Folder
    """Run directory of `scdepth train`."""

    out: Path
    """Folder for depth_QUANTIZE.tflite."""

    format: Literal["tflite"] = "tflite"
    """File format."""

    quantize: Literal["float32", "int8"] = "float32"
    """int8 is integer from the input to the logits."""

    calibration_data: Path | None = None
    """Scenes to calibrate int8 on; the run's own training data by default."""

    def run(self) -> None:
        """Export and say what was written."""
        from scdepth_tf import data, export, runs

        run = runs.open_run(self.run_folder)
        calibration = None
        if self.quantize == "int8":
            scenes = data.open_scenes(
                self.calibration_data or run.training_data,
                scenes=() if self.calibration_data else run.scenes,
            )
            calibration = data.spread_images(scenes, 100)
        path = export.export_tflite(
            runs.load_model(run).depth_net,
            self.out / f"depth_{self.quantize}.tflite",
            run.config.data.image_size,
            quantize=self.quantize,
            calibration=calibration,
            metadata={"training_data": data.short_name(run.training_data)},
        )
        sys.stdout.write(f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n")


def _scenes_trained_on(run: Run) -> list[Scene]:
    """For the mean-depth baseline; nothing where the data has gone."""
    from scdepth_tf import data

    try:
        return data.open_scenes(
            run.training_data,
            "train",
            run.scenes,
            validation_fraction=run.config.data.validation_fraction,
            seed=run.config.seed,
        )
    except (FileNotFoundError, ValueError) as error:
        logging.warning("no mean depth map among the baselines: %s", error)
        return []


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "demo": Demo,
            "train": Train,
            "evaluate": Evaluate,
            "export": Export,
        },
        prog="scdepth",
        description="Self-supervised, scale-consistent depth from video.",
        args=arguments,
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # TensorFlow's own start-up chatter, before it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        command.run()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.stderr.write(f"scdepth: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("scdepth: interrupted\n")
        return 130
    return 0

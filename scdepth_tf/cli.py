"""`scdepth …`: parse first, import later.

This module loads no TensorFlow, so that `scdepth --help` answers at once.
Each subcommand is a dataclass (its fields are the options, its docstrings
the help) with a `run` that calls the library.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from scdepth_tf.cli_calibrate import Calibrate
from scdepth_tf.cli_evaluate import Evaluate
from scdepth_tf.cli_web import View, Web
from scdepth_tf.config import (
    RECIPES,
    PredictConfig,
    PrepareConfig,
    TrainConfig,
    read_config,
    recipe,
)
from scdepth_tf.files import check_can_make

if TYPE_CHECKING:
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
class Prepare:
    """Make training data of own footage: videos or folders of pictures,
    taken with one camera.
    """

    footage: tyro.conf.Positional[tuple[Path, ...]]
    """Videos, or folders of pictures; several become one set of scenes."""

    out: Path
    """Folder to make. After a kill, the same command goes on."""

    config: Annotated[PrepareConfig, tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=PrepareConfig)
    )

    json: Path | None = None
    """Write the summary here, too (OUT/prepare.json has it)."""

    def run(self) -> None:
        """Prepare, and say what was kept and why."""
        from scdepth_tf.files import write_whole
        from scdepth_tf.prepare import prepare
        from scdepth_tf.progress import reports

        with reports("frame") as report:
            progress = functools.partial(report, "preparing")
            summary = prepare(self.footage, self.out, self.config, progress)
        sys.stdout.write(summary.text())
        if self.json:
            described = (self.out / "prepare.json").read_text("utf-8")
            write_whole(self.json, described)
        sys.stdout.write(f"look at {self.out / 'contact_sheet.png'}\n")


@dataclasses.dataclass(frozen=True)
class Train:
    """Train on video: folders of scenes, KITTI raw drives, TFDS datasets."""

    data: Folder
    """DATA/SCENE/*.jpg with cam.txt (one scene is fine too), a KITTI raw root,
    or tfds:NAME/CONFIG."""

    out: Path
    """Run directory to make. After a kill, the same command goes on."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all by default."""

    snapshot_minutes: float = 10.0
    """At most this much work is lost in a kill; an epoch ends with a snapshot,
    too."""

    tensorboard: bool = True
    """Write curves and pictures into OUT/tensorboard."""

    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    """Share each batch among all graphics cards of this machine (mirrored),
    or among the machines of TF_CONFIG, each of which runs this command."""

    replicas: int | None = None
    """With mirrored: only so many cards; without any, so many parts of the
    processor, to try it out."""

    recipe: Literal[*RECIPES] | None = None
    """Start from a named recipe; `--recipe NAME --help` shows its values."""

    config: Path | None = None
    """Start from a JSON file: a run's config.json, or some of the choices. The
    other options beat it."""

    choices: Annotated[TrainConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=TrainConfig
    )

    def run(self) -> None:
        """Train."""
        from scdepth_tf.train import train

        train(
            self.data,
            self.out,
            self.choices,
            self.scenes,
            snapshot_minutes=self.snapshot_minutes,
            tensorboard=self.tensorboard,
            strategy=self.strategy,
            replicas=self.replicas,
        )


@dataclasses.dataclass(frozen=True)
class Predict:
    """Make depth videos, depth maps, trajectories, point clouds and meshes of
    a video with a trained run.
    """

    run_folder: Folder
    """Run directory of `scdepth train`, or a preset: streets_lite0 comes with
    the package."""

    footage: Folder
    """Video, picture, folder of pictures, folder of scenes, KITTI raw root or
    tfds:NAME."""

    out: Path
    """Folder to make. After a kill, the same command goes on; later, it adds
    other outputs."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to take, where there are several."""

    weights: Literal["best", "last"] = "best"
    """Weights of the best or of the last epoch."""

    choices: Annotated[PredictConfig, tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=PredictConfig)
    )

    def run(self) -> None:
        """Predict, and say what was written."""
        from scdepth_tf.predict.job import predict
        from scdepth_tf.predict.outputs import PLACES
        from scdepth_tf.progress import reports

        with reports("frame") as progress:
            sequences = predict(
                self.run_folder,
                self.footage,
                self.out,
                self.choices,
                self.scenes,
                self.weights,
                progress,
            )
        for sequence in sequences:
            sys.stdout.write(
                f"{sequence.folder}: {len(sequence.poses)} frames, median "
                f"depth {sequence.depth.median:.3g} {sequence.unit}\n"
            )
            if sequence.refinement:
                sys.stdout.write(f"{sequence.refinement.describe()}\n")
            for name in sequence.config.write:
                sys.stdout.write(f"  {sequence.folder / PLACES[name]}\n")
        if sequences and sequences[0].scale:
            described = sequences[0].scale.describe()
            sys.stdout.write(f"In metres by {described}.\n")


@dataclasses.dataclass(frozen=True)
class Import:
    """Make a preset of PyTorch checkpoints of SC-SfMLearner-Release or
    sc_depth_pl; whatever takes a RUN takes it, too.
    """

    checkpoints: tyro.conf.Positional[tuple[Path, ...]]
    """dispnet and exp_pose of the former, or one .ckpt of the latter."""

    out: Path
    """Folder to make."""

    image_size: tuple[int, int] = (256, 832)
    """Height and width that the networks were trained at; the checkpoints do
    not say."""

    def run(self) -> None:
        """Import, and say what next."""
        from scdepth_tf.published import import_checkpoints

        import_checkpoints(self.checkpoints, self.out, self.image_size)
        sys.stdout.write(
            f"{self.out}; next: scdepth evaluate depth {self.out} DATA\n"
        )


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the depth network of a run as a TFLite model for a device, or
    both networks as a SavedModel for a server or a preset to pass on.
    """

    run_folder: Folder
    """Run directory of `scdepth train`, or a preset."""

    out: Path
    """Folder for NET_QUANTIZE.tflite and the report, or to make as SavedModel
    or preset."""

    format: Literal["tflite", "savedmodel", "preset"] = "tflite"
    """`savedmodel`: takes images of any size, JPEG and PNG bytes and pose
    pairs; needs TensorFlow only. `preset`: weights, choices, a model card and
    checksums."""

    net: Literal["depth", "pose"] = "depth"
    """Which of the two networks."""

    quantize: tuple[str, ...] = ("float32",)
    """One or more of float32, float16, dynamic, int8 and int16x8."""

    interface: Literal["uint8", "float32"] = "uint8"
    """Of int8: bytes in and out, or floats."""

    image_size: tuple[int, int] | None = None
    """Height and width of the input, multiples of 32; by default those the
    run was trained at."""

    calibration_data: Path | None = None
    """Scenes to calibrate int8 and int16x8 on, and to verify on; the run's
    own training data by default."""

    verify: bool = True
    """Prove each file on frames with the bare runtime, write a report, and
    keep nothing that fails."""

    compact: bool = False
    """Of a preset: round the weights, to two fifths of the size."""

    overwrite: bool = False
    """Replace files of the same names, or a SavedModel at OUT."""

    def run(self) -> None:
        """Export and say what was written."""
        from scdepth_tf import runs
        from scdepth_tf.deploy import export_run

        self._refuse_what_has_no_effect()
        run = runs.open_run(self.run_folder)
        if self.format == "savedmodel":
            self._write_saved_model(run)
            return
        if self.format == "preset":
            folder = runs.write_preset(run, self.out, self.compact)
            sys.stdout.write(f"{folder}\n")
            return
        for line in export_run(
            run,
            self.out,
            net=self.net,
            schemes=self.quantize,
            interface=self.interface,
            image_size=self.image_size,
            frames=self.calibration_data,
            verify=self.verify,
            overwrite=self.overwrite,
        ):
            sys.stdout.write(f"{line}\n")

    def _refuse_what_has_no_effect(self) -> None:
        """A SavedModel that is not the int8 pose network that was asked for
        would be found out on the server.
        """
        tflite_only = (
            "net",
            "quantize",
            "interface",
            "calibration_data",
            "verify",
        )
        of_no_effect = {
            "tflite": ("compact",),
            "savedmodel": (*tflite_only, "compact"),
            "preset": (*tflite_only, "image_size", "overwrite"),
        }[self.format]
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        given = [
            f"--{'no-' * (name == 'verify')}{name.replace('_', '-')}"
            for name in of_no_effect
            if getattr(self, name) != defaults[name]
        ]
        if given:
            raise ValueError(
                f"{', '.join(given)} has no effect on --format {self.format};"
                " leave it out, or export with another --format"
            )
        if self.interface != "uint8" and "int8" not in self.quantize:
            raise ValueError(
                "--interface has no effect without --quantize int8: the other "
                "files take floats as they are; leave it out"
            )

    def _write_saved_model(self, run: Run) -> None:
        from scdepth_tf import export, runs
        from scdepth_tf.deploy import export_metadata

        check_can_make(self.out, "saved_model.pb" if self.overwrite else None)
        path = export.export_saved_model(
            runs.load_model(run),
            self.out,
            self.image_size or run.config.data.image_size,
            metadata=export_metadata(run),
            overwrite=self.overwrite,
        )
        files = [file for file in path.rglob("*") if file.is_file()]
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        sys.stdout.write(f"{path} ({megabytes:.1f} MB)\n")


_OF_SEVERAL = (
    "--distance",
    "--gaps",
    "--lengths",
    "--quantize",
    "--scenes",
    "--write",
)
"""Options that take several values."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    try:
        command = _parse(sys.argv[1:] if arguments is None else arguments)
    except (ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"scdepth: {error}\n")
        return 1
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # It tells of each collective that it compiles, twice.
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    # TensorFlow's own start-up chatter, before it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        command.run()
    except (ValueError, OSError, ImportError) as error:
        # OSError: a full disk, a folder that may not be written, a lost worker.
        sys.stderr.write(f"scdepth: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("scdepth: interrupted\n")
        return 130
    return 0


def _parse(
    arguments: list[str],
) -> (
    Demo
    | Prepare
    | Train
    | Evaluate
    | Calibrate
    | Predict
    | Import
    | Export
    | Web
    | View
):
    _check_repeated(arguments)
    train = tyro.conf.subcommand("train")
    if arguments[:1] == ["train"]:
        start = _starting_point(arguments[1:])
        train = tyro.conf.subcommand(
            "train",
            default=Train(tyro.MISSING, tyro.MISSING, choices=start),
        )
    return tyro.cli(
        Annotated[Demo, tyro.conf.subcommand("demo")]
        | Annotated[Prepare, tyro.conf.subcommand("prepare")]
        | Annotated[Train, train]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Calibrate, tyro.conf.subcommand("calibrate")]
        | Annotated[Predict, tyro.conf.subcommand("predict")]
        | Annotated[Import, tyro.conf.subcommand("import")]
        | Annotated[Export, tyro.conf.subcommand("export")]
        | Annotated[Web, tyro.conf.subcommand("web")]
        | Annotated[View, tyro.conf.subcommand("view")],
        prog="scdepth",
        description="Self-supervised, scale-consistent depth from video.",
        args=arguments,
    )


def _check_repeated(arguments: list[str]) -> None:
    """The last of them would count, and the others be lost in silence."""
    for option in _OF_SEVERAL:
        given = sum(one.split("=")[0] == option for one in arguments)
        if given > 1:
            raise ValueError(
                f"{option} is given {given} times; give it once, with all "
                f"values after it: {option} A B"
            )


def _starting_point(options: list[str]) -> TrainConfig:
    """What --recipe or --config say; the options are read over it."""
    first = argparse.ArgumentParser(
        "scdepth train", add_help=False, allow_abbrev=False
    )
    first.add_argument("--recipe")
    first.add_argument("--config")
    given, _ = first.parse_known_args(options)
    if given.recipe and given.config:
        raise ValueError(
            "--recipe and --config both say where to start; give one of them"
        )
    if given.config:
        return read_config(given.config)
    return recipe(given.recipe) if given.recipe else TrainConfig()

"""`scdepth evaluate …`: parse first, import later, as `scdepth_tf.cli` does."""

from __future__ import annotations

import dataclasses
import functools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from scdepth_tf.files import check_can_write

if TYPE_CHECKING:
    import numpy as np

    from scdepth_tf.data import Scene
    from scdepth_tf.evaluate import DepthReport
    from scdepth_tf.metrics import Protocol
    from scdepth_tf.metrics.baselines import Baseline
    from scdepth_tf.model import SCDepth
    from scdepth_tf.runs import Run

Folder = tyro.conf.Positional[Path]
ProtocolName = Literal[
    "generic",
    "eigen",
    "eigen_lightning",
    "eigen_improved",
    "nyu",
    "nyu_release",
    "ddad",
]
"""Keys of `metrics.PROTOCOLS`; asking it would import NumPy and Pillow, which
is half of the time that `scdepth --help` takes."""

_BASELINE_STRIDE = 5
"""Every so-manieth training map is enough for the mean depth map."""


_OUTPUTS = {
    "json": (),
    "csv": (),
    "plot": (),
    "worst": (".png", ".jpg", ".jpeg"),
}
"""Options that name a file to write, and the endings it may have."""


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """What every evaluation of a run on scenes asks for."""

    run_folder: Folder
    """Run directory of `scdepth train`, or a preset."""

    data: Folder
    """Folder of scenes, KITTI raw root or tfds:NAME."""

    split: Literal["train", "val", "test", "all"] = "val"
    """Which side of the data to evaluate on."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all of the split by default."""

    weights: Literal["best", "last"] = "best"
    """Those of the best epoch, which was chosen on the validation scenes of
    the run, or those of the last."""

    json: Path | None = None
    """Write the whole report here."""

    def open(self) -> tuple[Run, SCDepth, list[Scene]]:
        """The run, its model and the scenes; says what is evaluated."""
        from scdepth_tf import data, runs

        _check_outputs(self)
        run = runs.open_run(self.run_folder)
        scenes = data.open_scenes(self.data, self.split, self.scenes)
        model = _load_model(run, self.weights)
        height, width = run.config.data.image_size
        sys.stdout.write(
            f"{self.run_folder}, {self.weights} weights, at {width}x{height}; "
            f"{self.split} scenes of {self.data}: {len(scenes)}\n"
        )
        self._tell_of_a_part(scenes)
        return run, model, scenes

    def _tell_of_a_part(self, scenes: list[Scene]) -> None:
        """A single recording is split in time: that is easily overlooked."""
        from scdepth_tf import data

        if self.split not in ("train", "val") or len(scenes) != 1:
            return
        whole = data.open_scenes(self.data, "all", (scenes[0].name,))
        if len(whole) == 1 and len(scenes[0]) < len(whole[0]):
            sys.stdout.write(
                f"Of {scenes[0].name} {len(scenes[0])} of {len(whole[0])} "
                "frames, the split in time of a single recording; --split all "
                "takes all.\n"
            )


@dataclasses.dataclass(frozen=True)
class Depth(_Evaluation):
    """Depth errors: at each image's median and least-squares scale and at
    one scale for all, with the spread of the scale, on moving objects where
    masks tell them, beside trivial baselines.
    """

    protocol: ProtocolName = "generic"
    """What counts: depth range, crop, resizing. eigen_improved takes KITTI's
    annotated depth."""

    resize: Literal["disparity", "depth"] | None = None
    """Interpolate this in place of what the protocol says."""

    frames: Path | None = None
    """List of the frames to evaluate, as the Eigen test list; all scenes
    are searched."""

    flip: bool = False
    """Average with the mirrored image (post-processing of Godard et al.)."""

    csv: Path | None = None
    """Write the errors of each image here."""

    worst: Path | None = None
    """Write a sheet of the worst images here (.png or .jpg)."""

    error_maps: Path | None = None
    """Write a picture of each image's error into this folder."""

    def run(self) -> None:
        """Evaluate and print the table."""
        from scdepth_tf import evaluate

        split = "all" if self.frames else self.split
        run, model, scenes = dataclasses.replace(self, split=split).open()
        protocol = _protocol(self.protocol, self.resize)
        only = evaluate.read_frame_list(self.frames) if self.frames else None
        watch = None
        if self.worst or self.error_maps:
            from scdepth_tf.evaluate.pictures import WorstImages

            watch = WorstImages(protocol, error_maps=self.error_maps)
        if self.flip:
            sys.stdout.write("Each image averaged with its mirror image.\n")
        report = _evaluate_depth(
            run,
            model,
            scenes,
            protocol,
            only,
            self.flip,
            watch,
            _known_scale(run, self.weights),
        )
        sys.stdout.write(report.table())
        if self.json:
            report.write_json(self.json)
        if self.csv:
            report.write_csv(self.csv)
        if self.worst:
            watch.write(self.worst)


@dataclasses.dataclass(frozen=True)
class Consistency(_Evaluation):
    """Scale consistency: spread and drift of the scale, what one scale for
    all images costs, and how far the depths of two frames disagree (D_diff).
    Without ground truth only the last is known.
    """

    protocol: ProtocolName = "generic"
    """Which ground truth counts for the scale of an image."""

    gaps: tuple[int, ...] = (1, 2, 5, 10)
    """Frames between the two whose depths are compared."""

    plot: Path | None = None
    """Plot scale and disagreement over time (.png, .svg or .pdf)."""

    def run(self) -> None:
        """Evaluate and print the table."""
        from scdepth_tf import evaluate, predict
        from scdepth_tf.evaluate import plots

        if self.plot:
            plots.check_format(self.plot)
        run, model, scenes = self.open()
        size = run.config.data.image_size
        protocol = _protocol(self.protocol)
        with _progress("frames") as progress:
            report = evaluate.evaluate_consistency(
                predict.depth_predictor(model, size),
                predict.motion_predictor(model, size),
                _for_protocol(scenes, protocol),
                protocol,
                _baselines(run, protocol),
                self.gaps,
                progress=progress,
            )
        sys.stdout.write(report.table())
        if self.json:
            report.write_json(self.json)
        if self.plot:
            plots.plot_consistency(report, self.plot)


@dataclasses.dataclass(frozen=True)
class Odometry:
    """Trajectory errors: ATE, RPE, KITTI's t_err and r_err, 5-frame snippets,
    under every alignment, beside trivial baselines. Of a run on scenes with
    poses, or of a trajectory file against another.
    """

    estimate: Folder
    """Run directory of `scdepth train`, or a trajectory file (KITTI rows, or
    TUM: time x y z qx qy qz qw)."""

    truth: Folder
    """Scenes with poses, or a trajectory file."""

    split: Literal["train", "val", "test", "all"] = "val"
    """Which side of the scenes to evaluate on."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all of the split by default."""

    weights: Literal["best", "last"] = "best"
    """Those of the best epoch, which was chosen on the validation scenes of
    the run, or those of the last."""

    refine: bool = False
    """Also refine the trajectories of a run by its depth, and show both."""

    velocity_change: float | None = None
    """With refine: how much the camera's velocity changes from a frame to the
    next, as a share of the usual step. By default told from the frames, and at
    least what a vehicle does, 0.02."""

    lengths: tuple[float, ...] = ()
    """Metres of the segments of t_err and r_err; KITTI's 100 to 800 by
    default."""

    json: Path | None = None
    """Write all errors here."""

    plot: Path | None = None
    """Plot the trajectories (.png, .svg or .pdf)."""

    poses: Path | None = None
    """Write the predicted trajectories into this folder, as KITTI rows
    (.txt) and TUM lines (.tum, where time counts frames)."""

    def run(self) -> None:
        """Evaluate and print the table."""
        from scdepth_tf import evaluate, metrics
        from scdepth_tf.evaluate import plots
        from scdepth_tf.metrics.odometry import KITTI_LENGTHS

        if self.plot:
            plots.check_format(self.plot)
        lengths = self.lengths or KITTI_LENGTHS
        unrefined = None
        if self.estimate.is_file():
            trajectories = self._files()
        else:
            trajectories, unrefined = self._predicted()
        report = evaluate.evaluate_odometry(
            trajectories,
            lengths,
            "refined" if unrefined else "ours",
            unrefined,
        )
        sys.stdout.write(report.table())
        if self.json:
            report.write_json(self.json)
        if self.plot:
            plots.plot_odometry(report, self.plot)
        if self.poses:
            for name, (_, estimate) in trajectories.items():
                stem = name.replace("/", "_")
                metrics.write_kitti(self.poses / f"{stem}.txt", estimate)
                metrics.write_tum(self.poses / f"{stem}.tum", estimate)

    def _files(self) -> dict:
        from scdepth_tf.metrics.trajectory_files import (
            matched,
            read_trajectory,
        )

        pair = matched(
            read_trajectory(self.truth), read_trajectory(self.estimate)
        )
        return {self.estimate.stem: pair}

    def _predicted(self) -> tuple[dict, dict | None]:
        """True and predicted trajectories, and those before they were refined
        if they are.
        """
        from scdepth_tf import alignment, evaluate, predict

        run, model, scenes = _Evaluation(
            self.estimate, self.truth, self.split, self.scenes, self.weights
        ).open()
        size = run.config.data.image_size
        motion = predict.motion_predictor(model, size)
        depth = predict.depth_predictor(model, size)
        parts = [
            part
            for scene in scenes
            if scene.poses is not None
            for part in evaluate.contiguous_parts(scene)
        ]
        metres_per_unit = _known_scale(run, self.weights)
        trajectories, unrefined = {}, {}
        for part in parts:
            with _progress(part.name) as progress:
                path = evaluate.predict_trajectory(motion, part, progress)
            if self.refine:
                unrefined[part.name] = _scaled(path, metres_per_unit)
                frames = alignment.scene_frames(part, depth)
                with _progress(f"refining {part.name}") as progress:
                    path = alignment.refine(
                        frames, path, self.velocity_change, progress
                    )
            trajectories[part.name] = part.poses, _scaled(path, metres_per_unit)
        return trajectories, unrefined if self.refine else None


@dataclasses.dataclass(frozen=True)
class Masks(_Evaluation):
    """The masks M_s and, as published, M_a against exact moving objects and
    occlusions, on scenes that know them (rendered streets).
    """

    def run(self) -> None:
        """Evaluate and print the table."""
        from scdepth_tf import evaluate, metrics, predict

        run, model, scenes = self.open()
        size = run.config.data.image_size
        with _progress("pairs") as progress:
            report = evaluate.evaluate_masks(
                predict.depth_predictor(model, size),
                predict.motion_predictor(model, size),
                lambda image: predict.resize_image(image, size).numpy(),
                scenes,
                _baselines(run, metrics.GENERIC),
                progress=progress,
            )
        sys.stdout.write(report.table())
        if self.json:
            report.write_json(self.json)


@dataclasses.dataclass(frozen=True)
class Compare:
    """Depth errors of several runs on the same images, with paired bootstrap
    intervals; the first is what the others are compared with.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories (then --data is needed), or reports of `scdepth
    evaluate depth --json`."""

    data: Path | None = None
    """Scenes to evaluate the run directories on."""

    split: Literal["train", "val", "test", "all"] = "val"
    """Which side of the data to evaluate on."""

    scenes: tuple[str, ...] = ()
    """Names or patterns of scenes to use; all of the split by default."""

    weights: Literal["best", "last"] = "best"
    """Weights of the best or of the last epoch."""

    protocol: ProtocolName = "generic"
    """What counts: depth range, crop, resizing."""

    resample: Literal["scene", "image"] = "scene"
    """What the bootstrap draws. Frames of one video resemble each other, so
    image gives intervals that are too narrow for video."""

    json: Path | None = None
    """Write the whole comparison here."""

    plot: Path | None = None
    """Plot means and intervals (.png, .svg or .pdf)."""

    def run(self) -> None:
        """Compare and print the table."""
        from scdepth_tf.evaluate import plots
        from scdepth_tf.evaluate.compare import compare_depth

        _check_outputs(self)
        if self.plot:
            plots.check_format(self.plot)
        reports = {
            name: self._report(path)
            for name, path in zip(_names(self.runs), self.runs, strict=True)
        }
        comparison = compare_depth(reports, self.resample)
        sys.stdout.write(comparison.table())
        if self.json:
            comparison.write_json(self.json)
        if self.plot:
            plots.plot_comparison(comparison, self.plot)

    def _report(self, path: Path) -> DepthReport:
        from scdepth_tf.evaluate.compare import read_report

        if not path.is_dir():
            return read_report(path)
        if self.data is None:
            raise ValueError(
                f"{path} is a run directory: add --data DATA to evaluate it "
                "on, or give the JSON reports of scdepth evaluate depth"
            )
        run, model, scenes = _Evaluation(
            path, self.data, self.split, self.scenes, self.weights
        ).open()
        return _evaluate_depth(run, model, scenes, _protocol(self.protocol))


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Numbers that can be compared: every table says what it assumed and
    holds trivial baselines.
    """

    what: Annotated[
        Annotated[Depth, tyro.conf.subcommand("depth")]
        | Annotated[Odometry, tyro.conf.subcommand("odometry")]
        | Annotated[Consistency, tyro.conf.subcommand("consistency")]
        | Annotated[Masks, tyro.conf.subcommand("masks")]
        | Annotated[Compare, tyro.conf.subcommand("compare")],
        tyro.conf.arg(name=""),
    ]
    """What to evaluate."""

    def run(self) -> None:
        """Evaluate."""
        self.what.run()


def _evaluate_depth(
    run: Run,
    model: SCDepth,
    scenes: list[Scene],
    protocol: Protocol,
    only: list[str] | None = None,
    flip: bool = False,
    watch: Callable | None = None,
    metres_per_unit: float | None = None,
) -> DepthReport:
    from scdepth_tf import evaluate, predict
    from scdepth_tf.progress import bar

    samples = evaluate.depth_samples(_for_protocol(scenes, protocol), only)
    depth = predict.depth_predictor(model, run.config.data.image_size)
    return evaluate.evaluate_depth(
        evaluate.flip_merged(depth) if flip else depth,
        (sample() for sample in bar(samples, "evaluating", unit="image")),
        protocol,
        _baselines(run, protocol),
        watch=watch,
        metres_per_unit=metres_per_unit,
    )


def _known_scale(run: Run, weights: str) -> float | None:
    """Metres per scene unit, where `scdepth calibrate` has found it for these
    weights; says so.
    """
    from scdepth_tf import runs

    scale = runs.read_scale(run) if weights == "best" else None
    if scale is None:
        return None
    sys.stdout.write(f"In metres by {scale.describe()}.\n")
    return scale.metres_per_unit


def _scaled(path: np.ndarray, metres_per_unit: float | None) -> np.ndarray:
    """A trajectory [N, 4, 4] in metres, where they are known."""
    scaled = path.copy()
    scaled[:, :3, 3] *= metres_per_unit or 1.0
    return scaled


def _load_model(run: Run, weights: str) -> SCDepth:
    from scdepth_tf import runs

    last = run.folder / runs.LAST_WEIGHTS if weights == "last" else None
    return runs.load_model(run, last)


def _protocol(name: str, resize: str | None = None) -> Protocol:
    from scdepth_tf.metrics import PROTOCOLS

    protocol = PROTOCOLS[name]
    return dataclasses.replace(protocol, resize=resize or protocol.resize)


def _for_protocol(scenes: Iterable[Scene], protocol: Protocol) -> list[Scene]:
    """The scenes with the ground truth that the protocol is defined on."""
    from scdepth_tf.data import kitti

    if protocol.name != "eigen_improved":
        return list(scenes)
    annotated = [kitti.with_annotated_depth(scene) for scene in scenes]
    if not any(any(scene.depths) for scene in annotated):
        raise FileNotFoundError(
            "no frame has annotated depth (DRIVE_sync/proj_depth/groundtruth/"
            "image_0X/*.png); unpack KITTI's data_depth_annotated.zip into the "
            "drives, or choose another protocol"
        )
    return annotated


def _baselines(run: Run, protocol: Protocol) -> dict[str, Baseline]:
    from scdepth_tf import evaluate

    return evaluate.training_baselines(
        _scenes_trained_on(run),
        run.config.data.image_size,
        protocol,
        every=_BASELINE_STRIDE,
    )


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


def _names(paths: Iterable[Path]) -> list[str]:
    """Short names; whole paths where short ones would be equal."""
    paths = list(paths)
    short = [path.stem if path.is_file() else path.name for path in paths]
    return (
        [str(path) for path in paths] if len(set(short)) < len(short) else short
    )


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    from scdepth_tf.progress import reports

    with reports("frame") as report:
        yield functools.partial(report, title)


def _check_outputs(command: object) -> None:
    """Complain of files that cannot be written before the work, not after."""
    for name, suffixes in _OUTPUTS.items():
        path = getattr(command, name, None)
        if path is not None:
            check_can_write(path, suffixes)

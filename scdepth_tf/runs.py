"""The run directory: what training leaves behind and everything else reads.

config.json         every choice (TrainConfig) and the data it was run on
environment.json    versions, machine and command
history.csv         one line per epoch; epoch 0, with --model.weights, is before
                    the first step
tensorboard/        curves and pictures
resume/             snapshots from which the same command goes on
cameras.json        focal lengths, only where they are learnt
scale.json          metres per scene unit, only after `scdepth calibrate`
model.weights.h5    weights after the last epoch
best.weights.h5     weights of the best epoch, the one before training included

A preset (`scdepth_tf.presets`) can be read as a run that has ended.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf import data, presets
from scdepth_tf.config import LossConfig, ModelConfig, TrainConfig
from scdepth_tf.files import check_room, write_whole
from scdepth_tf.metres import Scale

if TYPE_CHECKING:
    from scdepth_tf.data import Camera, Scene
    from scdepth_tf.model import SCDepth

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
RESUME = "resume"
TENSORBOARD = "tensorboard"
CAMERAS = "cameras.json"
LAST_WEIGHTS = "model.weights.h5"
BEST_WEIGHTS = "best.weights.h5"
SCALE = presets.SCALE

_log = logging.getLogger(__name__)
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scdepth-tf")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory that exists."""

    folder: Path
    config: TrainConfig
    training_data: str
    """The folder or tfds:NAME it was trained on."""
    scenes: tuple[str, ...] = ()
    """Names or patterns it was restricted to; empty: all."""


def start_run(
    folder: str | Path,
    config: TrainConfig,
    training_data: str | Path,
    scenes: Sequence[str] = (),
) -> Run:
    """A new run directory, or the one that the same command began.

    Raises:
        ValueError: the folder cannot be written, or holds another run.
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists():
        return create_run(folder, config, training_data, scenes)
    check_same_run(folder, config, training_data, scenes)
    run = open_run(folder)
    if not any((folder / RESUME).glob("*.npz")) and (folder / HISTORY).exists():
        raise ValueError(
            f"{folder} already holds a run and no snapshots to continue it "
            "from; choose another --out"
        )
    for leftover in (*folder.glob(".*.partial"), *folder.glob("*/.*.partial")):
        leftover.unlink()  # of a process that was killed while writing
    return run


def check_same_run(
    folder: str | Path,
    config: TrainConfig,
    training_data: str | Path,
    scenes: Sequence[str] = (),
) -> None:
    """Refuse to continue a run with other choices than it began with.

    Raises:
        ValueError: `folder` holds a run that differs; the line says in what.
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists():
        return
    run = open_run(folder)
    theirs = flat(_described(run))
    ours = flat(
        _described(
            Run(folder, config, data.absolute(training_data), tuple(scenes))
        )
    )
    differences = [
        f"{name} {theirs[name]!r} there, {ours[name]!r} now"
        for name in ours
        if ours[name] != theirs[name]
    ]
    if differences:
        raise ValueError(
            f"{folder} already holds a run with other choices "
            f"({'; '.join(differences)}); give those to continue it, or "
            "another --out"
        )


def create_run(
    folder: str | Path,
    config: TrainConfig,
    training_data: str | Path,
    scenes: Sequence[str] = (),
) -> Run:
    """Start a run directory with its config and environment.

    Raises:
        ValueError: the folder cannot be written, or already holds a run.
    """
    folder = Path(folder)
    if (folder / CONFIG).exists():
        raise ValueError(
            f"{folder} already holds a run; choose another --out or delete it"
        )
    run = Run(folder, config, data.absolute(training_data), tuple(scenes))
    _write_json(folder / ENVIRONMENT, environment())
    _write_json(folder / CONFIG, _described(run))
    return run


def open_run(folder: str | Path) -> Run:
    """Read a run directory's config.

    Args:
        folder: of a run or a preset, or the name of a preset that comes with
            the package.

    Raises:
        FileNotFoundError: there is no run in the folder.
        ValueError: its config.json cannot be understood; a preset is damaged.
    """
    folder = presets.locate(folder)
    path = folder / CONFIG
    if not path.is_file():
        lacks = f"it has no {CONFIG}" if folder.exists() else "it is not there"
        raise FileNotFoundError(
            f"{folder} is not a run: {lacks}; `scdepth train DATA --out RUN` "
            f"makes one, and {', '.join(presets.shipped())} comes with the "
            "package"
        )
    if presets.is_preset(folder):
        presets.check_files(folder)
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        config = TrainConfig.from_dict(described["config"])
        run = Run(folder, config, described["data"], tuple(described["scenes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a run's config: {error}; copy it again, or name "
            "another run"
        ) from error
    return run


def load_model(run: Run, weights: str | Path | None = None) -> SCDepth:
    """The trained model of a run.

    Args:
        run: from `open_run`.
        weights: a .weights.h5 file; by default the best ones of the run.

    Raises:
        FileNotFoundError: the run has no weights yet.
        ValueError: the weights do not fit the networks of config.json.
    """
    path = Path(weights) if weights else weights_path(run)
    _check_weights(path)
    learns_focal_length = run.config.model.learn_focal_length != "off"
    model = build_model(
        run.config.model.without_weights(),
        run.config.loss,
        cameras=len(read_cameras(run)) if learns_focal_length else 0,
    )
    try:
        model.load_weights(path)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the weights of {run.folder / CONFIG}: "
            f"{str(error).splitlines()[0]}; copy or train them again"
        ) from error
    return model


def weights_path(run: Run, which: str = "best") -> Path:
    """The file with the weights of a run's best or last epoch; a preset has
    but one.

    Raises:
        FileNotFoundError: the run has no weights yet.
    """
    name = BEST_WEIGHTS if which == "best" else LAST_WEIGHTS
    if presets.is_preset(run.folder):
        name = presets.WEIGHTS
    _check_weights(run.folder / name)
    return run.folder / name


def _check_weights(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {path}; training writes them after its first epoch"
        )


def build_model(
    config: ModelConfig, loss: LossConfig, cameras: int = 0
) -> SCDepth:
    """Both networks, fresh or from weights, and the method around them.

    Args:
        config: the networks.
        loss: the loss.
        cameras: how many have their focal lengths learnt.

    Raises:
        FileNotFoundError: weights to start from are not there.
        ValueError: they are for other networks.
    """
    from scdepth_tf.model import SCDepth

    model = SCDepth.from_choices(config, loss, cameras)
    if config.weights:
        _start_from(config.weights, model)
    return model


def _start_from(folder: str, model: SCDepth) -> None:
    start = load_model(open_run(folder))
    theirs, ours = start.choices(), model.choices()
    differences = [
        f"{field.name} {getattr(theirs, field.name)!r} there,"
        f" {getattr(ours, field.name)!r} here"
        for field in dataclasses.fields(ModelConfig)
        if field.name != "reverse_pose"
        and getattr(theirs, field.name) != getattr(ours, field.name)
    ]
    if differences:
        raise ValueError(
            f"{folder} has other networks than those that are to start from "
            f"it: {'; '.join(differences)}"
        )
    model.depth_net.set_weights(start.depth_net.get_weights())
    model.pose_net.set_weights(start.pose_net.get_weights())


def write_preset(run: Run, folder: str | Path, compact: bool = False) -> Path:
    """Write the best weights of a run as a preset, with what is known.

    Focal lengths that were learnt stay with the run.

    Args:
        run: a run that has weights.
        folder: to make.
        compact: round the weights (`scdepth_tf.compact`).

    Returns:
        The folder.

    Raises:
        FileNotFoundError: the run has no weights yet.
        ValueError: the folder exists or cannot be written.
    """
    written = load_model(run).save_to_preset(
        folder,
        trained_on=data.short_name(run.training_data),
        training=run.config,
        metrics=_best_metrics(run),
        compact=compact,
    )
    if read_scale(run):
        preset = open_run(written)
        described = json.loads((run.folder / SCALE).read_text(encoding="utf-8"))
        # The same weights, in another file.
        described["weights"] = presets.sha256(weights_path(preset))
        _write_json(written / SCALE, described)
    return written


def _best_metrics(run: Run) -> dict[str, float]:
    """What validation said of the best epoch, as it was chosen."""
    path = run.folder / HISTORY
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
        scores = ("val_abs_rel", "val_view_synthesis")
        judge = next(name for name in scores if name in rows[0])
        # NaN never compares as better.
        best = min(rows, key=lambda row: (row[judge] != row[judge], row[judge]))
    except (ValueError, TypeError, IndexError, StopIteration):
        raise ValueError(
            f"{path}: damaged; `scdepth train` with the options of the run "
            "writes it again"
        ) from None
    return {
        name: value
        for name, value in best.items()
        if name == "epoch" or name.startswith("val_")
    }


def write_history(run: Run, rows: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv; a figure that an epoch lacks is nan.

    Raises:
        ValueError: the file cannot be written.
    """
    if not rows:
        return
    # The first row, from before training, has only some of the columns.
    names = list(dict.fromkeys(name for row in rows[::-1] for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(run.folder / HISTORY, text.getvalue())


def write_weights(run: Run, model: SCDepth, name: str) -> None:
    """Write a model's weights to the run directory, whole or not at all."""
    import h5py

    # Keras insists on the ending, which `replace_file` does not keep.
    everything = run.folder / "everything.weights.h5"
    unfinished = run.folder / "partial.weights.h5"
    # In float32 the weights, Adam's two moments and their running mean, and
    # the weights again.
    check_room(everything, 4 * 5 * model.count_params())
    try:
        model.save_weights(everything)
        with (
            h5py.File(everything) as source,
            h5py.File(unfinished, "w") as target,
        ):
            # Of a compiled model Keras writes the optimizer's state as well,
            # which is twice as large; snapshots have it.
            for group in source:
                if group != "optimizer":
                    source.copy(group, target)
        unfinished.replace(run.folder / name)
    finally:
        everything.unlink(missing_ok=True)
        unfinished.unlink(missing_ok=True)


def write_cameras(
    run: Run,
    cameras: Sequence[Camera],
    factors: dict[str, Sequence[float]],
) -> None:
    """Write the focal lengths that were given and those that were learnt.

    Args:
        run: a run that learns focal lengths.
        cameras: from `data.group_cameras`.
        factors: "last" and "best", the factors of the cameras after the last
            and after the best epoch.

    Raises:
        ValueError: the file cannot be written.
    """
    described = []
    for index, camera in enumerate(cameras):
        entry = {
            "scenes": camera.scenes,
            "image_size": camera.image_size,
            "given": camera.intrinsics.tolist(),
        }
        for which, values in factors.items():
            learnt = camera.intrinsics.copy()
            learnt[:2, :2] *= values[index]
            entry[which] = learnt.tolist()
        described.append(entry)
    _write_json(run.folder / CAMERAS, described)


def read_cameras(run: Run) -> list[dict]:
    """What `write_cameras` wrote: for each camera its `scenes`, `image_size`
    (height and width) and the intrinsics `given`, `last` and `best`, 3×3.

    Raises:
        FileNotFoundError: the run has learnt no focal lengths.
        ValueError: the file is damaged.
    """
    path = run.folder / CAMERAS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; only runs with --model.learn-focal-length "
            "have it, after their first epoch"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error})") from error


def learned_intrinsics(run: Run, scene: Scene) -> np.ndarray:
    """Intrinsics of a scene's camera after the best epoch of a run, or the
    scene's own where the run has learnt none for it.

    Returns:
        [3, 3] float64, in pixels of the scene's files.

    Raises:
        FileNotFoundError, ValueError: as `read_cameras`.
    """
    if run.config.model.learn_focal_length == "off":
        return scene.intrinsics
    for camera in read_cameras(run):
        if scene.name in camera["scenes"] and np.array_equal(
            camera["given"], scene.intrinsics
        ):
            return np.array(camera["best"])
    return scene.intrinsics


def write_scale(
    run: Run,
    scale: Scale,
    calibrated_on: str,
    checks: Sequence[Scale] = (),
) -> Path:
    """Remember how many metres a scene unit is, for the best weights.

    Args:
        run: that has weights.
        scale: of its depth.
        calibrated_on: the data.
        checks: what other ways to find it said.

    Returns:
        The file.

    Raises:
        FileNotFoundError: the run has no weights.
        ValueError: the file cannot be written, or the run is a preset of the
            package.
    """
    presets.check_own(run.folder)
    path = run.folder / SCALE
    content = {
        "format": 1,
        **scale.to_dict(),
        "data": calibrated_on,
        "checks": [check.to_dict() for check in checks],
        "weights": presets.sha256(weights_path(run)),
    }
    _write_json(path, content)
    return path


def read_scale(run: Run) -> Scale | None:
    """How many metres a scene unit is, for the best weights.

    Returns:
        None where `scdepth calibrate` has not found it, or (with a warning)
        has found it for other weights than those that are there now.

    Raises:
        ValueError: scale.json is damaged.
    """
    path = run.folder / SCALE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scale = Scale.from_dict(content)
        weights = content["weights"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); `scdepth calibrate` writes it again"
        ) from None
    if weights != presets.sha256(weights_path(run)):
        _log.warning(
            "%s was found for other weights than are there now and is left "
            "out; run scdepth calibrate again",
            path,
        )
        return None
    return scale


def environment() -> dict[str, object]:
    """Versions, machine and command of this process."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "packages": versions,
        "command": sys.argv,
    }


def _described(run: Run) -> dict[str, object]:
    return {
        "data": run.training_data,
        "scenes": run.scenes,
        "config": run.config.to_dict(),
    }


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested choices under the names that the command line has for them."""
    named = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = "" if name == "config" else f"{prefix}{name}."
            named.update(flat(value, inner))
        else:
            named[prefix + name] = value
    return named


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=2) + "\n")

"""`scdepth predict` from end to end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Many
from pathlib import Path

import numpy as np

import scdepth_tf
from scdepth_tf.config import PredictConfig
from scdepth_tf.data.tfds import is_tfds
from scdepth_tf.evaluate.plots import plot_trajectory
from scdepth_tf.files import write_whole
from scdepth_tf.metrics.odometry import chain
from scdepth_tf.metrics.trajectory_files import write_kitti, write_tum
from scdepth_tf.predict import cloud, outputs
from scdepth_tf.predict.sequence import PredictedFrame, Sequence
from scdepth_tf.predict.sources import Source, open_sources
from scdepth_tf.predict.store import CHUNK, Store, Stored
from scdepth_tf.prepare.footage import Frame
from scdepth_tf.prepare.writing import described_file

DESCRIPTION = "predict.json"
_STORE = ".predictions"

Predictor = Callable[
    [Many[np.ndarray], np.ndarray | None], tuple[np.ndarray, np.ndarray]
]
"""See `networks.sequence_predictor`."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, frames done and frames in all (0: unknown)."""


def predict(
    run_folder: str | Path,
    footage: str | Path,
    out: str | Path,
    config: PredictConfig,
    scenes: Many[str] = (),
    weights: str = "best",
    progress: Progress | None = None,
) -> list[Sequence]:
    """Depth, trajectory and 3-D of footage.

    Memory stays small however long the footage. After a kill, the same call
    goes on; with other things to write, it adds them.

    Args:
        run_folder: run directory or preset.
        footage: video, folder of pictures, folder of scenes, KITTI raw root
            or tfds:NAME.
        out: folder to make; each of several scenes gets a folder in it.
        config: what to write, and the camera.
        scenes: names or patterns of scenes to take; all by default.
        weights: "best" or "last".
        progress: called after some frames.

    Returns:
        What was predicted, sequence by sequence.

    Raises:
        FileNotFoundError: run, weights or footage are missing.
        ValueError: footage, options or `out` cannot be used, a prediction is
            not finite, or a file cannot be written; the line says which.
        ModuleNotFoundError: an extra is not installed.
    """
    from scdepth_tf import runs
    from scdepth_tf.predict.networks import sequence_predictor

    run = runs.open_run(run_folder)
    path = runs.weights_path(run, weights)
    sources = open_sources(
        footage,
        config,
        scenes,
        functools.partial(runs.learned_intrinsics, run),
    )
    _check(sources, config)
    scale = runs.read_scale(run) if weights == "best" else None
    job = {
        "metres_per_unit": scale and scale.metres_per_unit,
        "run": str(Path(run_folder).absolute()),
        "weights": _digest(path),
        "footage": _described(footage),
        "scenes": list(scenes),
        **_settings(config),
    }
    claim(Path(out), job)
    model = runs.load_model(run, path)
    predictor = sequence_predictor(model, run.config.data.image_size)
    return predict_sources(sources, predictor, out, config, progress)


def predict_sources(
    sources: Many[Source],
    predictor: Predictor,
    out: str | Path,
    config: PredictConfig,
    progress: Progress | None = None,
) -> list[Sequence]:
    """The same for open sources and any predictor, in a folder that was
    claimed (see `claim`).
    """
    sequences = []
    for source in sources:
        folder = Path(out)
        if len(sources) > 1:
            folder /= source.name.replace("/", "_")
        store = Store(folder / _STORE)
        _predict(source, predictor, store, config.batch_size, progress)
        sequence = _sequence(source, folder, store, config)
        _write_trajectory(sequence)
        _write(source, sequence, store, progress)
        sequences.append(sequence)
        _describe(Path(out), sequence)
        store.delete()
    return sequences


def claim(out: Path, job: Mapping[str, object]) -> None:
    """Take `out` for a job, or go on with the same one.

    Raises:
        ValueError: `out` holds something else; the line says how it differs.
    """
    described = out / DESCRIPTION
    if described.is_file():
        try:
            theirs = json.loads(described.read_text(encoding="utf-8"))["job"]
        except (ValueError, KeyError):
            raise ValueError(
                f"{described}: damaged; choose another --out or delete it"
            ) from None
        ours = json.loads(json.dumps(job))
        differences = [key for key in ours if ours[key] != theirs.get(key)]
        if not differences:
            return
        if {path.name for path in out.iterdir()} - {DESCRIPTION, _STORE}:
            raise ValueError(
                f"{out} holds predictions of another job: "
                f"{' and '.join(differences)} differ; choose another --out"
            )
        # That job was killed, or failed, before it had written anything.
        shutil.rmtree(out / _STORE, ignore_errors=True)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} already exists and holds no predictions; choose another "
            "--out"
        )
    _write_description(out, {"job": dict(job), "sequences": {}})


def _predict(
    source: Source,
    predictor: Predictor,
    store: Store,
    batch_size: int,
    progress: Progress | None,
) -> None:
    """Ask the networks about all frames that are not stored yet."""
    if store.is_complete:
        return
    previous: np.ndarray | None = None
    waiting: list[Stored] = []
    batch: list[tuple[Frame, np.ndarray]] = []
    done = store.frames

    def ask() -> None:
        nonlocal previous, done
        frames, images = zip(*batch, strict=True)
        batch.clear()
        depths, motions = predictor(images, previous)
        previous = images[-1]
        for frame, depth, motion in zip(frames, depths, motions, strict=True):
            _check_prediction(source, frame, depth, motion)
            waiting.append(Stored(frame.name, frame.time, depth, motion))
        done += len(frames)
        if progress:
            progress("predicting", done, source.expected_frames)
        # The end of a chunk is always the end of a batch.
        if len(waiting) == CHUNK:
            store.append(waiting)
            waiting.clear()

    names: set[str] = set()
    start = store.frames
    for index, frame in enumerate(source.frames()):
        if frame.name in names:
            raise ValueError(
                f"{source.name}: two pictures are called {frame.name}; give "
                "each frame a name of its own"
            )
        names.add(frame.name)
        if index < start - 1:
            continue
        if index == start - 1:
            previous = frame.read()
            continue
        batch.append((frame, frame.read()))
        if len(batch) == min(batch_size, CHUNK - len(waiting)):
            ask()
    if batch:
        ask()
    if waiting:
        store.append(waiting)
    if not store.frames:
        raise ValueError(f"{source.name}: holds no frames; nothing to predict")
    store.complete()


def _check_prediction(
    source: Source, frame: Frame, depth: np.ndarray, motion: np.ndarray
) -> None:
    wrong = None
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        wrong = "depth"
    elif not np.isfinite(motion).all():
        wrong = "motion"
    if wrong:
        raise ValueError(
            f"{source.name}, frame {frame.name}: the predicted {wrong} is not "
            "finite; the weights are damaged or their training diverged (see "
            "the run's history.csv)"
        )


def _sequence(
    source: Source, folder: Path, store: Store, config: PredictConfig
) -> Sequence:
    first = next(store.read())
    return Sequence(
        name=source.name,
        folder=folder,
        image_size=source.image_size,
        depth_size=first.depth.shape,
        intrinsics=source.intrinsics,
        depth=store.statistics(),
        poses=chain(store.motions()[1:]),
        times=store.times(),
        config=config,
    )


def _write_trajectory(sequence: Sequence) -> None:
    if "trajectory" not in sequence.config.write:
        return
    folder, poses, times = sequence.folder, sequence.poses, sequence.times
    write_kitti(folder / "trajectory.txt", poses)
    write_tum(folder / "trajectory.tum", poses, times)
    plot_trajectory(poses, times, folder / "trajectory.png")


def _write(
    source: Source,
    sequence: Sequence,
    store: Store,
    progress: Progress | None,
) -> None:
    """Every output that is not there yet, in one pass over the frames."""
    opened = outputs.missing(sequence)
    if not opened:
        return
    for leftover in sequence.folder.rglob(".*.partial"):
        leftover.unlink()  # of a process that was killed
    for leftover in sequence.folder.glob(f"{cloud.SCRATCH}*"):
        shutil.rmtree(leftover)
    with contextlib.ExitStack() as stack:
        adders = [stack.enter_context(open_(sequence)) for open_ in opened]
        for frame in _frames(source, sequence, store):
            for add in adders:
                add(frame)
            if progress:
                progress("writing", frame.index + 1, store.frames)


def _frames(
    source: Source, sequence: Sequence, store: Store
) -> Iterator[PredictedFrame]:
    footage = source.frames()
    for index, stored in enumerate(store.read()):
        frame = next(footage, None)
        if frame is None or frame.name != stored.name:
            raise ValueError(
                f"{source.name}: frame {stored.name} is no longer where it "
                "was; the footage has changed: choose another --out"
            )
        yield PredictedFrame(
            index=index,
            name=stored.name,
            time=stored.time,
            depth=stored.depth,
            pose=sequence.poses[index],
            read=frame.read,
        )


def _check(sources: Many[Source], config: PredictConfig) -> None:
    if not config.write:
        raise ValueError("nothing to write; see --write")
    if not 1 <= config.batch_size <= CHUNK:
        raise ValueError(
            f"--batch-size is {config.batch_size}; give 1 to {CHUNK}"
        )
    for name in ("voxel", "farthest"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value:g}; give a positive length")
    outputs.check_installed(config.write)
    asked = [name for name in config.write if name in outputs.NEED_CAMERA]
    unknown = [source.name for source in sources if source.intrinsics is None]
    if asked and unknown:
        raise ValueError(
            f"{' and '.join(asked)} need the camera of {unknown[0]}: give "
            "--intrinsics fx,fy,cx,cy or --fov DEGREES, or write a cam.txt "
            "beside the pictures"
        )


def _settings(config: PredictConfig) -> dict[str, object]:
    """Choices that a job that is gone on with must have in common."""
    settings = dataclasses.asdict(config)
    del settings["write"], settings["batch_size"]
    return settings


def _described(footage: str | Path) -> object:
    if is_tfds(footage):
        return str(footage)
    return described_file(Path(footage))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(out: Path, sequence: Sequence) -> None:
    """Add what a reader of the outputs must know to predict.json."""
    path = out / DESCRIPTION
    content = json.loads(path.read_text(encoding="utf-8"))
    camera = sequence.intrinsics
    content["sequences"][sequence.name] = {
        "frames": len(sequence.poses),
        "unit": "scene units, one unknown length for the whole sequence",
        "depth_size": sequence.depth_size,
        "image_size": sequence.image_size,
        "intrinsics": None if camera is None else camera.tolist(),
        "png_codes_per_unit": sequence.codes_per_unit,
        "depth_percentiles": {
            "1": sequence.depth.nearest,
            "50": sequence.depth.median,
            "99": sequence.depth.farthest,
        },
        "voxel": sequence.voxel,
        "farthest_point": sequence.farthest,
    }
    _write_description(out, content)


def _write_description(out: Path, content: Mapping[str, object]) -> None:
    described = {
        "format": 1,
        "producer": f"scdepth_tf {scdepth_tf.__version__}",
        **content,
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    write_whole(out / DESCRIPTION, text + "\n")

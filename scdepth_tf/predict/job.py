"""`scdepth predict` from end to end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import shutil
from collections.abc import Iterator
from collections.abc import Sequence as Many
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf import alignment
from scdepth_tf.config import PredictConfig
from scdepth_tf.evaluate.plots import plot_trajectory
from scdepth_tf.metres import Scale
from scdepth_tf.metrics.odometry import chain
from scdepth_tf.metrics.trajectory_files import write_kitti, write_tum
from scdepth_tf.predict import cloud, description, outputs
from scdepth_tf.predict.asking import Predictor, Progress, ask
from scdepth_tf.predict.lock import alone_in
from scdepth_tf.predict.outputs import OF_PICTURE, OF_VIDEO
from scdepth_tf.predict.sequence import PredictedFrame, Sequence
from scdepth_tf.predict.sources import Source, is_picture, open_sources
from scdepth_tf.predict.store import CHUNK, Store

if TYPE_CHECKING:
    from scdepth_tf.predict.refining import Refiner

_LOG = logging.getLogger(__name__)


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
    goes on; with other things to write, it adds them; where all are there, it
    does nothing.

    Args:
        run_folder: run directory or preset, or the name of a preset that
            comes with the package.
        footage: video, picture, folder of pictures, folder of scenes, KITTI
            raw root or tfds:NAME.
        out: folder to make; each of several scenes gets a folder in it.
        config: what to write, and the camera.
        scenes: names or patterns of scenes to take; all by default.
        weights: "best" or "last".
        progress: called after some frames.

    Returns:
        What was predicted, sequence by sequence, without those that had
        everything already.

    Raises:
        FileNotFoundError: run, weights or footage are missing.
        ValueError: footage, options or `out` cannot be used, another process
            writes into it, a prediction is not finite, or a file cannot be
            written; the line says which.
        ModuleNotFoundError: an extra is not installed.
    """
    from scdepth_tf import runs

    run = runs.open_run(run_folder)
    path = runs.weights_path(run, weights)
    if not config.write:
        fitting = OF_PICTURE if is_picture(footage) else OF_VIDEO
        config = dataclasses.replace(config, write=fitting)
    sources = open_sources(
        footage,
        config,
        scenes,
        functools.partial(runs.learned_intrinsics, run),
    )
    _check(sources, config)
    scale = _scale(config, runs.read_scale(run) if weights == "best" else None)
    job = {
        "metres_per_unit": scale and scale.metres_per_unit,
        "run": str(run.folder.absolute()),
        "weights": description.digest(path),
        "footage": description.of_footage(footage),
        "scenes": list(scenes),
        **description.settings(config),
    }
    out = Path(out)
    with alone_in(out), description.claimed(out, job):
        folders = _folders(sources, out)
        if all(
            description.has_all(out, source.name, folder, config.write)
            for source, folder in zip(sources, folders, strict=True)
        ):
            _LOG.info("%s has all of that already", out)
            return []
        # TensorFlow takes seconds to import; mistakes were told before.
        from scdepth_tf.predict.networks import sequence_predictor
        from scdepth_tf.predict.refining import Refiner

        model = runs.load_model(run, path)
        size = run.config.data.image_size
        predictor = sequence_predictor(model, size)
        refiner = Refiner(model, size, config.refine) if config.refine else None
        return predict_sources(
            sources, predictor, out, config, progress, scale, refiner
        )


def predict_sources(
    sources: Many[Source],
    predictor: Predictor,
    out: str | Path,
    config: PredictConfig,
    progress: Progress | None = None,
    scale: Scale | None = None,
    refiner: Refiner | None = None,
) -> list[Sequence]:
    """The same for open sources and any predictor, in a folder that was
    claimed (see `description.claim`).

    Args:
        sources: the footage.
        predictor: the networks, in scene units.
        out: the folder.
        config: what to write.
        progress: called after some frames.
        scale: what makes metres of it; None keeps scene units.
        refiner: refines the networks of the predictor on each source.
    """
    sequences = []
    out = Path(out)
    for source, folder in zip(sources, _folders(sources, out), strict=True):
        if description.has_all(out, source.name, folder, config.write):
            _LOG.info("%s has all of that already", folder)
            continue
        refinement = refiner(source, folder, progress) if refiner else None
        its_scale = refinement.rescaled(scale) if refinement else scale
        its_predictor = _in_metres(predictor, its_scale)
        store = Store(folder / description.STORE)
        align = config.align and source.intrinsics is not None
        ask(source, its_predictor, store, config.batch_size, align, progress)
        sequence = _sequence(source, folder, store, config, its_scale)
        if refinement:
            sequence = dataclasses.replace(sequence, refinement=refinement)
        _write_trajectory(sequence)
        _write(source, sequence, store, progress)
        sequences.append(sequence)
        description.add(out, sequence)
        store.delete()
    return sequences


def _folders(sources: Many[Source], out: Path) -> list[Path]:
    """Where the outputs of each go."""
    if len(sources) == 1:
        return [out]
    return [out / source.name.replace("/", "_") for source in sources]


def _scale(config: PredictConfig, found: Scale | None) -> Scale | None:
    """What makes metres of scene units: what is told, else what was found."""
    told = config.metres_per_unit
    if told is None:
        return found
    if not 0 <= told < np.inf:
        raise ValueError(
            f"--metres-per-unit is {told:g}; give a number > 0, or 0 for scene "
            "units"
        )
    if not told:
        return None
    return Scale(told, "--metres-per-unit", 1, "given", 0, None, None)


def _in_metres(predictor: Predictor, scale: Scale | None) -> Predictor:
    """The predictor, times the scale where there is one."""
    if scale is None:
        return predictor

    def predict(
        images: Many[np.ndarray], previous: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        depths, motions = predictor(images, previous)
        motions = motions.copy()
        motions[:, :3, 3] *= scale.metres_per_unit
        return depths * np.float32(scale.metres_per_unit), motions

    return predict


def _sequence(
    source: Source,
    folder: Path,
    store: Store,
    config: PredictConfig,
    scale: Scale | None,
) -> Sequence:
    first = next(store.read())
    return Sequence(
        name=source.name,
        folder=folder,
        image_size=source.image_size,
        depth_size=first.depth.shape,
        intrinsics=source.intrinsics,
        depth=store.statistics(),
        poses=_path(store, config.velocity_change),
        times=store.times(),
        config=config,
        scale=scale,
    )


def _path(store: Store, velocity_change: float | None) -> np.ndarray:
    """world_from_camera [N, 4, 4]."""
    guessed, aligned = chain(store.motions()[1:]), store.steps()[1:]
    if not np.isfinite(aligned).all(axis=(1, 2)).any():
        return guessed
    return alignment.refine_path(guessed, aligned, velocity_change)


def _write_trajectory(sequence: Sequence) -> None:
    if "trajectory" not in sequence.config.write:
        return
    folder, poses, times = sequence.folder, sequence.poses, sequence.times
    write_kitti(folder / "trajectory.txt", poses)
    write_tum(folder / "trajectory.tum", poses, times, sequence.unit)
    plot_trajectory(poses, times, folder / "trajectory.png", sequence.unit)


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
    if not 1 <= config.batch_size <= CHUNK:
        raise ValueError(
            f"--batch-size is {config.batch_size}; give 1 to {CHUNK}"
        )
    for name in ("voxel", "farthest", "velocity_change"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} is {value:g}; give a number > 0")
    if config.refine < 0:
        raise ValueError(f"--refine is {config.refine}; give 0 or more steps")
    outputs.check_installed(config.write)
    asked = [name for name in config.write if name in outputs.NEED_CAMERA]
    asked += ["--refine"] if config.refine else []
    unknown = [source.name for source in sources if source.intrinsics is None]
    if asked and unknown:
        raise ValueError(
            f"the camera of {unknown[0]} must be known for "
            f"{' and '.join(asked)}: give --intrinsics fx,fy,cx,cy or --fov "
            "DEGREES, or write a cam.txt beside the pictures"
        )

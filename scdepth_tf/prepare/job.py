"""The job from end to end."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import scdepth_tf
from scdepth_tf.config import PrepareConfig
from scdepth_tf.files import write_whole
from scdepth_tf.prepare import summary as summaries
from scdepth_tf.prepare.calibration import chosen_way, describe_camera
from scdepth_tf.prepare.contact_sheet import write_contact_sheet
from scdepth_tf.prepare.footage import (
    Footage,
    Frame,
    check_same_camera,
    open_footage,
)
from scdepth_tf.prepare.motion import Picture
from scdepth_tf.prepare.rectify import Geometry, Rectifier, written_size
from scdepth_tf.prepare.selection import Clock, Decision, Selector
from scdepth_tf.prepare.summary import REASONS, Summary
from scdepth_tf.prepare.writing import (
    Job,
    SceneWriter,
    described_file,
    hold_out,
    write_camera_and_lists,
)

_LOG = logging.getLogger(__name__)

DESCRIPTION = "prepare.json"
_SUMMARY = "summary.txt"
_CONTACT_SHEET = "contact_sheet.png"


def prepare(
    sources: Sequence[str | Path],
    out: str | Path,
    config: PrepareConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Make training data of footage of one camera.

    `out` gets SCENE_000/{000000.jpg …, cam.txt, timestamps.txt} …, train.txt
    and val.txt where there are several scenes, prepare.json, summary.txt and
    contact_sheet.png. No scene spans a cut or a span that was dropped. `out`
    appears whole or not at all; called again after a kill, the job goes on
    where it was. Equal footage and settings give equal bytes.

    Args:
        sources: videos or folders of pictures, in order.
        out: a folder that does not exist yet, or is empty.
        config: the camera and what to keep.
        progress: called with the number of frames read and of all frames (a
            guess, 0 where unknown).

    Returns:
        What was kept and why.

    Raises:
        FileNotFoundError: footage or calibration is missing.
        ValueError: footage, calibration, settings or `out` cannot be used, or
            nothing is left to train on; the line says why.
        ModuleNotFoundError: the extra `video` is not installed.
    """
    chosen_way(config)
    _check(sources, config)
    footage = [open_footage(path, config.frame_rate) for path in sources]
    check_same_camera(footage)
    rectifier, geometry, camera, assumed = _camera(footage, config)
    job = Job(Path(out), _described(footage, config))
    choice = _choose(footage, config, rectifier, job, progress)
    hold_out(job.data, choice.writer.scenes)
    summary = Summary(
        sources=tuple(part.path.name for part in footage),
        durations=tuple(choice.durations),
        image_size=geometry.written,
        intrinsics=rectifier.intrinsics.tolist(),
        camera=camera,
        assumed=assumed,
        counts=summaries.count(
            choice.frames, choice.decisions, len(choice.writer.too_short)
        ),
        scenes=tuple(map(summaries.summarize_scene, choice.writer.scenes)),
        dropped=tuple(
            summaries.dropped_spans(choice.decisions, config.longest_gap)
        ),
        notes=tuple(rectifier.notes),
        warnings=tuple(
            [*_assumption(config)]
            + [warning for part in footage for warning in part.warnings]
        ),
    )
    if not summary.scenes:
        job.discard()
        raise ValueError(_nothing_left(summary))
    _write(job, summary, choice, config)
    job.finish()
    return summary


@dataclasses.dataclass
class _Choice:
    writer: SceneWriter
    decisions: list[Decision] = dataclasses.field(default_factory=list)
    durations: list[float] = dataclasses.field(default_factory=list)
    frames: int = 0


def _choose(
    footage: Sequence[Footage],
    config: PrepareConfig,
    rectifier: Rectifier,
    job: Job,
    progress: Callable[[int, int], None] | None,
) -> _Choice:
    """Decide on every frame and write those that are kept.

    What an earlier run decided is not decided again: its frames are decoded,
    and looked at only where a later decision compares with them.
    """
    selector = Selector(config)
    choice = _Choice(SceneWriter(job.data))
    total = sum(part.expected_frames for part in footage)
    compared = _compared(job.earlier)
    for index, part in enumerate(footage):
        clock, last = Clock(config.frame_rate), 0.0
        for number, frame in enumerate(part.frames()):
            choice.frames += 1
            last = max(last, frame.time)
            if progress:
                progress(choice.frames, total)
            if not clock.is_due(frame.time):
                continue
            image = _rectified(rectifier, frame)
            position = len(choice.decisions)
            if position < len(job.earlier):
                decision = job.earlier[position]
                picture = None
                if position in compared and not frame.damaged:
                    picture = Picture.of(image(), rectifier.intrinsics)
                selector.take(decision, picture)
            else:
                picture = None
                if not frame.damaged:
                    picture = Picture.of(image(), rectifier.intrinsics)
                decision = selector.judge(index, number, frame.time, picture)
            choice.decisions.append(decision)
            if decision.kept:
                choice.writer.add(decision, image)
            if position >= len(job.earlier):
                job.record(decision)
        choice.durations.append(round(last, 3))
    choice.writer.close()
    return choice


def _compared(earlier: Sequence[Decision]) -> set[int]:
    """Earlier decisions whose pictures the next one needs: the last kept
    frame and the last of all.
    """
    kept = [number for number, each in enumerate(earlier) if each.kept]
    return {len(earlier) - 1, *kept[-1:]}


def _rectified(rectifier: Rectifier, frame: Frame) -> Callable[[], np.ndarray]:
    """The frame as written, computed once and only when asked for."""
    return functools.cache(lambda: rectifier(frame.read()))


def _camera(
    footage: Sequence[Footage], config: PrepareConfig
) -> tuple[Rectifier, Geometry, str, bool]:
    first = footage[0]
    displayed = first.orientation.show_size(first.stored_size)
    geometry = Geometry(
        first.stored_size,
        first.orientation,
        written_size(displayed, config.longest_side),
    )
    calibration = describe_camera(config, displayed, first.square_pixels)
    for warning in _assumption(config):
        _LOG.warning("WARNING: %s", warning)
    rectifier = Rectifier(calibration, geometry, config.intrinsics_for)
    return rectifier, geometry, calibration.origin, calibration.assumed


def _assumption(config: PrepareConfig) -> list[str]:
    if config.assume_fov is None:
        return []
    return [
        f"the field of view is ASSUMED to be {config.assume_fov:g} degrees, "
        "not known: depth and motion will be distorted where it is wrong; "
        "calibrate the camera, or train with --model.learn-focal-length camera"
    ]


def _check(sources: Sequence[str | Path], config: PrepareConfig) -> None:
    if not sources:
        raise ValueError("no footage given; give a video or a folder")
    least = {"frame_rate": 0, "min_motion": 0, "min_parallax": 0}
    for name, bound in {**least, "longest_gap": 0, "longest_side": 32}.items():
        value = getattr(config, name)
        if not value >= bound:
            raise ValueError(
                f"--{name.replace('_', '-')} is {value:g}; give {bound} or more"
            )


def _described(footage: Sequence[Footage], config: PrepareConfig) -> dict:
    """What a job that is gone on with must have in common."""
    described = {
        "version": scdepth_tf.__version__,
        "sources": [described_file(part.path) for part in footage],
        "settings": dataclasses.asdict(config),
    }
    if config.calibration:
        described["calibration"] = described_file(Path(config.calibration))
    return described


def _nothing_left(summary: Summary) -> str:
    counts = "; ".join(
        f"{number} {REASONS[reason]}"
        for reason, number in summary.counts.items()
        if number
    )
    return (
        f"{', '.join(summary.sources)}: nothing to train on is left "
        f"({counts}); a scene needs 3 frames of a moving camera: see "
        "--min-motion, --min-parallax and --frame-rate"
    )


def _write(
    job: Job, summary: Summary, choice: _Choice, config: PrepareConfig
) -> None:
    """Everything but the frames."""
    write_camera_and_lists(
        job.data, choice.writer.scenes, np.array(summary.intrinsics)
    )
    write_contact_sheet(
        job.data / _CONTACT_SHEET,
        summary,
        choice.writer.scenes,
        choice.decisions,
        choice.writer.too_short,
    )
    write_whole(job.data / _SUMMARY, summary.text())
    described = {
        "format": 1,
        "producer": f"scdepth_tf {scdepth_tf.__version__}",
        **dataclasses.asdict(summary),
        "settings": dataclasses.asdict(config),
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    write_whole(job.data / DESCRIPTION, text + "\n")

"""Writing scenes so that a kill loses no work and leaves nothing half done.

While it grows, `OUT` is `.OUT.partial` beside it: the data, a journal of the
decisions, and the job they belong to. A run with the same job goes on from the
journal; the finished data takes its name in one step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from scdepth_tf.data.scene import MINIMUM_FRAMES
from scdepth_tf.files import replace_file, write_whole
from scdepth_tf.prepare.motion import Motion
from scdepth_tf.prepare.selection import Decision

_LOG = logging.getLogger(__name__)

_JPEG_QUALITY = 95
_HELD_OUT, _MOST_HELD_OUT = 0.1, 0.3
"""Shares of the frames to validate on: wanted, and at most."""


class Job:
    """The unfinished output of one command.

    Args:
        out: the folder that is to appear.
        description: footage and settings; only an equal one is gone on with.

    Attributes:
        data: the folder to write into.
        earlier: decisions of a run that was killed.

    Raises:
        ValueError: `out` exists or cannot be written.
    """

    def __init__(self, out: Path, description: Mapping):
        with _writing(out):
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise ValueError(
                    f"{out} already exists; choose another --out or delete it"
                )
        self._out = out
        self._folder = out.absolute().parent / f".{out.absolute().name}.partial"
        self.data = self._folder / "data"
        self._journal = self._folder / "journal.jsonl"
        self.earlier: list[Decision] = []
        described = json.dumps(description, indent=2, sort_keys=True)
        described_in = self._folder / "job.json"
        if described_in.is_file():
            if described_in.read_text(encoding="utf-8") == described:
                self.earlier = self._read_journal()
                for unfinished in self.data.rglob(".*.partial"):
                    unfinished.unlink()
                _LOG.info("going on after %d frames", len(self.earlier))
            else:
                _LOG.info("settings or footage have changed: starting over")
                shutil.rmtree(self._folder)
        with _writing(out):
            self.data.mkdir(parents=True, exist_ok=True)
        write_whole(described_in, described)

    def record(self, decision: Decision) -> None:
        """Remember a decision for a run after a kill."""
        line = json.dumps(dataclasses.asdict(decision)) + "\n"
        with _writing(self._out), self._journal.open("a") as file:
            file.write(line)

    def finish(self) -> None:
        """Give the data its name."""
        if self._out.exists():
            self._out.rmdir()  # known to be empty
        self.data.rename(self._out)
        shutil.rmtree(self._folder)

    def discard(self) -> None:
        """Delete what there is."""
        shutil.rmtree(self._folder)

    def _read_journal(self) -> list[Decision]:
        """Whole lines only: the last one may have been cut off."""
        if not self._journal.is_file():
            return []
        lines = self._journal.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        if len(whole) < len(lines):
            with replace_file(self._journal) as unfinished:
                unfinished.write_bytes(b"".join(whole))
        return [_decision(json.loads(line)) for line in whole]


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"cannot write {out}: {error.strerror}; choose an --out in a "
            "folder that you may write to, with room on the disk"
        ) from error


def _decision(values: dict) -> Decision:
    if values["motion"] is not None:
        values["motion"] = Motion(*values["motion"])
    return Decision(**values)


@dataclasses.dataclass
class WrittenScene:
    """A scene folder and the frames that went into it."""

    name: str
    frames: list[Decision]
    begins: str
    """Why there, key of `summary.STARTS`."""


class SceneWriter:
    """Puts kept frames into the folders SCENE_000, SCENE_001 and so on.

    A scene gets its folder with its third frame; fewer make no triplet.

    Args:
        folder: in which the scenes go.

    Attributes:
        scenes: those that have a folder.
        too_short: frames of those that got none.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self.scenes: list[WrittenScene] = []
        self.too_short: list[Decision] = []
        self._waiting: list[tuple[Decision, Callable[[], np.ndarray]]] = []
        self._has_folder = False

    def add(self, decision: Decision, image: Callable[[], np.ndarray]) -> None:
        """Write a kept frame, unless an earlier run did."""
        if decision.new_scene:
            self.close()
        self._waiting.append((decision, image))
        if not self._has_folder and len(self._waiting) >= MINIMUM_FRAMES:
            begins = self._waiting[0][0].new_scene or "start"
            name = _scene_name(len(self.scenes))
            self.scenes.append(WrittenScene(name, [], begins))
            self._has_folder = True
        if self._has_folder:
            for waiting in self._waiting:
                self._write(*waiting)
            self._waiting = []

    def close(self) -> None:
        """End the scene."""
        self.too_short += [decision for decision, _ in self._waiting]
        self._waiting = []
        self._has_folder = False

    def _write(
        self, decision: Decision, image: Callable[[], np.ndarray]
    ) -> None:
        scene = self.scenes[-1]
        path = self._folder / scene.name / _frame_name(len(scene.frames))
        if not path.is_file():
            with replace_file(path) as unfinished:
                Image.fromarray(image()).save(
                    unfinished, format="JPEG", quality=_JPEG_QUALITY
                )
        scene.frames.append(decision)


def hold_out(folder: Path, scenes: list[WrittenScene]) -> None:
    """Make sure that about a tenth can validate: where several scenes leave
    only more than 30 % to choose, the end of the longest becomes a scene
    of its own.
    """
    lengths = [len(scene.frames) for scene in scenes]
    if len(scenes) < 2:
        return
    share = sum(lengths[_held_out(scenes)]) / sum(lengths)
    count = max(MINIMUM_FRAMES, round(_HELD_OUT * sum(lengths)))
    longest = max(scenes, key=lambda scene: len(scene.frames))
    start = len(longest.frames) - count
    if share <= _MOST_HELD_OUT or start < MINIMUM_FRAMES:
        return
    end = WrittenScene(
        _scene_name(len(scenes)), longest.frames[start:], "held out"
    )
    (folder / end.name).mkdir(exist_ok=True)
    for index in range(count):
        source = folder / longest.name / _frame_name(start + index)
        source.replace(folder / end.name / _frame_name(index))
    del longest.frames[start:]
    scenes.append(end)


def write_camera_and_lists(
    folder: Path, scenes: Sequence[WrittenScene], intrinsics: np.ndarray
) -> None:
    """cam.txt and timestamps.txt of each scene, and train.txt and val.txt.

    A single scene gets no lists: `data.open_scenes` splits it in time.
    """
    camera = "".join(
        " ".join(f"{value:.6f}" for value in row) + "\n" for row in intrinsics
    )
    for scene in scenes:
        times = "".join(f"{frame.time:.6f}\n" for frame in scene.frames)
        write_whole(folder / scene.name / "timestamps.txt", times)
        write_whole(folder / scene.name / "cam.txt", camera)
    if len(scenes) < 2:
        return
    held_out = _held_out(scenes)
    names = [scene.name for scene in scenes]
    for file, chosen in (
        ("train.txt", [*names[: held_out.start], *names[held_out.stop :]]),
        ("val.txt", names[held_out]),
    ):
        write_whole(folder / file, "".join(f"{name}\n" for name in chosen))


def _held_out(scenes: Sequence[WrittenScene]) -> slice:
    if scenes[-1].begins == "held out":
        return slice(len(scenes) - 1, len(scenes))
    return validation_scenes([len(scene.frames) for scene in scenes])


def _scene_name(number: int) -> str:
    return f"SCENE_{number:03d}"


def _frame_name(number: int) -> str:
    return f"{number:06d}.jpg"


def validation_scenes(
    lengths: Sequence[int], share: float = _HELD_OUT
) -> slice:
    """Consecutive scenes, not all, whose frames come nearest to `share`.

    Neighbours in time look alike, so one stretch leaks less than many; the
    later of equals is taken.
    """
    ends = np.cumsum([0, *lengths])
    stretches = [
        (abs((ends[stop] - ends[start]) / ends[-1] - share), -start, stop)
        for start in range(len(lengths))
        for stop in range(start + 1, len(lengths) + 1)
        if stop - start < len(lengths)
    ]
    _, start, stop = min(stretches)
    return slice(-start, stop)


def described_file(path: Path) -> dict:
    """What tells a file or folder from its changed self."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {
        "path": str(path.resolve()),
        "files": [
            [file.name, status.st_size, status.st_mtime_ns]
            for file in files
            for status in [file.stat()]
        ],
    }

"""What the networks said of a sequence, until its outputs are written.

A file holds 32 frames and appears whole or not at all, so that a kill costs
the work on 32 frames at most and memory stays small however long the footage.
Depth is rounded to 11 bits (0.05 %).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scdepth_tf.files import replace_file, write_whole

CHUNK = 32
"""Frames in a file."""

_COMPLETE = "complete.json"
_EDGES = np.geomspace(1e-4, 1e5, 1801)
"""Of the histogram of depth: a bin is 1.2 % wide."""


class DepthStatistics(NamedTuple):
    """Depths of a whole sequence, in scene units, within 1.2 %."""

    nearest: float
    """The first percentile."""

    median: float

    farthest: float
    """The 99th percentile."""

    maximum: float


class Stored(NamedTuple):
    """One frame."""

    name: str
    time: float
    """Seconds."""

    depth: np.ndarray
    """[h, w] float32."""

    motion: np.ndarray
    """[4, 4] from the camera of the frame before into this one's, as the pose
    network has it."""

    step: np.ndarray | None = None
    """[4, 4] P_before⁻¹·P_this by alignment; None where that failed or was not
    asked for."""


def rounded(depth: np.ndarray) -> np.ndarray:
    """Depth [h, w] as it comes back from the store."""
    return depth.astype(np.float16).astype(np.float32)


def _or_nan(step: np.ndarray | None) -> np.ndarray:
    return np.full((4, 4), np.nan) if step is None else step


class Store:
    """Frames on disk, appended and read in order.

    Args:
        folder: its own; made when needed.

    Attributes:
        frames: how many there are.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        for unfinished in folder.glob(".*.partial"):
            unfinished.unlink()  # of a process that was killed
        self._files = sorted(folder.glob("*.npz"))
        self.frames = 0
        if self._files:
            with np.load(self._files[-1]) as last:
                filled = (len(self._files) - 1) * CHUNK
                self.frames = filled + len(last["times"])

    @property
    def is_complete(self) -> bool:
        """Whether the sequence has ended."""
        return (self._folder / _COMPLETE).is_file()

    def append(self, frames: Sequence[Stored]) -> None:
        """Up to `CHUNK` frames; fewer only at the end of the sequence.

        Raises:
            ValueError: the file cannot be written.
        """
        depths = np.stack([frame.depth for frame in frames])
        path = self._folder / f"{len(self._files):06d}.npz"
        with replace_file(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(
                file,
                names=np.array([frame.name for frame in frames]),
                times=np.array([frame.time for frame in frames]),
                depths=depths.astype(np.float16),
                motions=np.stack([frame.motion for frame in frames]),
                steps=np.stack([_or_nan(frame.step) for frame in frames]),
                histogram=np.histogram(depths, _EDGES)[0],
                maximum=depths.max(),
            )
        self._files.append(path)
        self.frames += len(frames)

    def complete(self) -> None:
        """Remember that the sequence has ended.

        Raises:
            ValueError: the file cannot be written.
        """
        described = json.dumps({"frames": self.frames})
        write_whole(self._folder / _COMPLETE, described + "\n")

    def last(self) -> Stored:
        """The last frame; there is one."""
        *_, frame = self._read(self._files[-1:])
        return frame

    def read(self) -> Iterator[Stored]:
        """All frames; holds one file in memory."""
        return self._read(self._files)

    def _read(self, files: Sequence[Path]) -> Iterator[Stored]:
        for path in files:
            with np.load(path) as chunk:
                names, times = chunk["names"], chunk["times"]
                depths, motions = chunk["depths"], chunk["motions"]
                steps = chunk["steps"]
            for index, name in enumerate(names):
                known = np.isfinite(steps[index]).all()
                yield Stored(
                    str(name),
                    float(times[index]),
                    depths[index].astype(np.float32),
                    motions[index],
                    steps[index] if known else None,
                )

    def motions(self) -> np.ndarray:
        """[N, 4, 4] of all frames."""
        return np.concatenate(self._each("motions"))

    def steps(self) -> np.ndarray:
        """[N, 4, 4] of all frames; NaN where alignment knows none."""
        return np.concatenate(self._each("steps"))

    def times(self) -> np.ndarray:
        """[N] seconds of all frames."""
        return np.concatenate(self._each("times"))

    def statistics(self) -> DepthStatistics:
        """Of the depth of all frames."""
        counts = np.sum(self._each("histogram"), axis=0)
        reached = np.cumsum(counts) / counts.sum()
        centres = np.sqrt(_EDGES[:-1] * _EDGES[1:])
        nearest, median, farthest = (
            float(centres[np.searchsorted(reached, share)])
            for share in (0.01, 0.5, 0.99)
        )
        maximum = float(np.max(self._each("maximum")))
        return DepthStatistics(nearest, median, farthest, maximum)

    def delete(self) -> None:
        """Give the disk space back."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _each(self, key: str) -> list[np.ndarray]:
        values = []
        for path in self._files:
            with np.load(path) as chunk:
                values.append(chunk[key])
        return values

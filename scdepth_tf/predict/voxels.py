"""Averaging points in the cells of a grid, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

_BITS = 21
_LARGEST = 2 ** (_BITS - 1) - 1
"""Cells on either side of the origin along each axis."""

_SUMS = 7
"""Weight, and weighted x, y, z, red, green, blue."""


class Cells(NamedTuple):
    """Points of cells, in the order of the cells."""

    positions: np.ndarray
    """[N, 3] float64."""

    colors: np.ndarray
    """[N, 3] uint8."""


class VoxelGrid:
    """The mean point and colour of every cell that holds points.

    Cells are kept sorted in memory; when there are too many, they go to a
    file, and `cells` merges the files range by range.

    Args:
        voxel: edge of a cell.
        folder: for those files, one that exists.
        capacity: cells in memory; twice as many are there for a moment.
    """

    def __init__(self, voxel: float, folder: Path, capacity: int = 250_000):
        self._voxel = voxel
        self._folder = folder
        self._capacity = capacity
        self._keys, self._sums = _no_cells()
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting_rows = 0
        self._runs: list[tuple[Path, Path]] = []

    def add(
        self, positions: np.ndarray, colors: np.ndarray, weights: np.ndarray
    ) -> None:
        """Add points.

        Args:
            positions: [N, 3].
            colors: uint8 [N, 3].
            weights: [N] > 0.

        Raises:
            ValueError: a point lies too many cells from the origin.
        """
        cells = np.floor(positions / self._voxel).astype(np.int64)
        if cells.size and np.abs(cells).max() > _LARGEST:
            raise ValueError(
                f"a point lies more than {_LARGEST} cells of "
                f"{self._voxel:g} from the start; give a larger --voxel"
            )
        shifted = cells + _LARGEST + 1
        keys = (shifted[:, 0] << 2 * _BITS) | (shifted[:, 1] << _BITS)
        keys |= shifted[:, 2]
        values = np.column_stack([np.ones(len(keys)), positions, colors])
        self._waiting.append(_merged(keys, values * weights[:, None]))
        self._waiting_rows += len(self._waiting[-1][0])
        if self._waiting_rows > self._capacity // 2:
            self._settle()

    def cells(self) -> Iterator[Cells]:
        """All cells, some hundred thousand at a time."""
        self._settle()
        if not self._runs:
            yield from self._split(self._keys, self._sums)
            return
        self._spill()
        runs = [
            (np.load(keys, mmap_mode="r"), np.load(sums, mmap_mode="r"))
            for keys, sums in self._runs
        ]
        # No range holds more than `capacity` rows of any run's sample.
        step = max(1, self._capacity // (4 * len(runs)))
        bounds = np.unique(np.concatenate([keys[::step] for keys, _ in runs]))
        for low, high in zip(bounds, [*bounds[1:], None], strict=True):
            parts = []
            for keys, sums in runs:
                start = np.searchsorted(keys, low)
                stop = len(keys)
                if high is not None:
                    stop = np.searchsorted(keys, high)
                parts.append((keys[start:stop], sums[start:stop]))
            keys, sums = map(np.concatenate, zip(*parts, strict=True))
            yield from self._split(*_merged(keys, sums))

    def _split(self, keys: np.ndarray, sums: np.ndarray) -> Iterator[Cells]:
        for start in range(0, len(keys), self._capacity):
            part = sums[start : start + self._capacity]
            means = part[:, 1:] / part[:, :1]
            yield Cells(means[:, :3], np.rint(means[:, 3:]).astype(np.uint8))

    def _settle(self) -> None:
        """Put what waits into the sorted cells."""
        parts = [(self._keys, self._sums), *self._waiting]
        self._keys, self._sums = _merged(
            *map(np.concatenate, zip(*parts, strict=True))
        )
        self._waiting, self._waiting_rows = [], 0
        if len(self._keys) > self._capacity:
            self._spill()

    def _spill(self) -> None:
        number = len(self._runs)
        run = tuple(
            self._folder / f"{what}_{number}.npy" for what in ("keys", "sums")
        )
        np.save(run[0], self._keys)
        np.save(run[1], self._sums)
        self._runs.append(run)
        # Not a part of the old arrays, which that would keep.
        self._keys, self._sums = _no_cells()


def _no_cells() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty((0, _SUMS))


def _merged(
    keys: np.ndarray, sums: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys, each once, and the sums of their rows."""
    order = np.argsort(keys, kind="stable")
    keys, sums = keys[order], sums[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    if not len(first):
        return keys, sums
    return keys[first], np.add.reduceat(sums, first, axis=0)

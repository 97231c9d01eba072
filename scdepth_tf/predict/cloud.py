"""The coloured point cloud of a whole sequence."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scdepth_tf.predict.fusion import Sink, View
from scdepth_tf.predict.ply import open_ply
from scdepth_tf.predict.sequence import Sequence
from scdepth_tf.predict.voxels import VoxelGrid

FILE = "cloud.ply"
SCRATCH = ".cloud."
"""How the folder for cells that do not fit into memory begins."""

WHY_EMPTY = (
    ": a point takes three views from different places that agree about it; "
    "give more frames, or look whether intrinsics and depth are right"
)
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def write_cloud(sequence: Sequence) -> Iterator[Sink]:
    """cloud.ply: one point a voxel, the mean of what fell into it, near views
    counting more.

    Raises:
        ValueError: the file cannot be written.
    """
    path = sequence.folder / FILE
    intrinsics = sequence.depth_intrinsics
    with (
        open_ply(path, (sequence.described_world,)) as ply,
        tempfile.TemporaryDirectory(
            dir=sequence.folder, prefix=SCRATCH
        ) as folder,
    ):
        grid = VoxelGrid(sequence.voxel, Path(folder))

        def add(view: View, kept: np.ndarray) -> None:
            points, colors, depth = view.points(kept, intrinsics)
            # The error of depth grows with its square.
            weights = (sequence.depth.median / depth) ** 2
            grid.add(points, colors, weights)

        yield add
        for cells in grid.cells():
            ply.add(cells.positions, cells.colors)
        _LOG.log(
            logging.INFO if ply.vertices else logging.WARNING,
            "%s has %d points%s",
            path,
            ply.vertices,
            "" if ply.vertices else WHY_EMPTY,
        )

"""The surface of a whole sequence: TSDF fusion and marching cubes (Open3D)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from scdepth_tf.metrics.odometry import inverse
from scdepth_tf.predict.cloud import WHY_EMPTY
from scdepth_tf.predict.fusion import Sink, View
from scdepth_tf.predict.ply import PlyWriter, open_ply
from scdepth_tf.predict.sequence import Sequence

if TYPE_CHECKING:
    import open3d

FILE = "mesh.ply"
_LOG = logging.getLogger(__name__)

COARSER = 2.0
"""Cells of the mesh are so many times as large as those of the cloud: a
surface is found where views agree on its cells, which takes cells as large as
the differences between views."""

_TRUNCATION = 10.0
"""Cells before and behind a surface that a view changes, along its rays. With
fewer, a road has no cell behind it: at a grazing angle of 6 degrees the next
one below it is ten cells away along the ray."""

_MARGIN = 3.0
"""Cells around a point that must lie in blocks."""

_BLOCK = 8
"""Cells of a block along an axis; a block takes 10 kB."""

_MOST_BLOCKS = 60_000
"""With so many, the mesh is written and a new volume begins: 600 MB."""

_LEAST_VIEWS = 1.0
"""Views that must have seen a cell. Its pixel was confirmed by two more, and a
cell is seen by few: with two, a quarter of the surface is gone, and what stays
is no truer."""


@contextlib.contextmanager
def write_mesh(sequence: Sequence) -> Iterator[Sink]:
    """mesh.ply: triangles with colours and normals.

    A long sequence is meshed in stretches, so that memory stays bounded; the
    surfaces of two stretches overlap where they meet.

    Raises:
        ValueError: the file cannot be written.
    """
    path = sequence.folder / FILE
    with open_ply(path, (sequence.described_world,), has_faces=True) as ply:
        volume = _Volume(sequence)

        def add(view: View, kept: np.ndarray) -> None:
            nonlocal volume
            volume.integrate(view, kept)
            if volume.blocks > _MOST_BLOCKS:
                volume.extract(ply)
                volume = _Volume(sequence)

        yield add
        volume.extract(ply)
        if not ply.faces:
            _LOG.warning("%s has no surface%s", path, WHY_EMPTY)


class _Volume:
    """A truncated signed distance function (Curless and Levoy, 1996)."""

    def __init__(self, sequence: Sequence):
        import open3d

        self._open3d: open3d = open3d
        self._farthest = sequence.farthest
        self._intrinsics = sequence.depth_intrinsics
        # Its integration cuts pixel coordinates off, which puts the centre of
        # the first pixel at 0.5; with ours, surfaces are half a pixel off.
        camera = self._intrinsics.copy()
        camera[:2, 2] += 0.5
        self._camera = open3d.core.Tensor(camera)
        # Room for all blocks is made at once; it grows when needed.
        self._grid = open3d.t.geometry.VoxelBlockGrid(
            attr_names=("tsdf", "weight", "color"),
            attr_dtypes=(open3d.core.float32,) * 3,
            attr_channels=((1), (1), (3)),
            voxel_size=COARSER * sequence.voxel,
            block_resolution=_BLOCK,
            block_count=10_000,
        )

    @property
    def blocks(self) -> int:
        return self._grid.hashmap().size()

    def integrate(self, view: View, kept: np.ndarray) -> None:
        if not kept.any():
            return
        image = self._open3d.t.geometry.Image
        depth = image(np.where(kept, view.depth, 0).astype(np.float32))
        color = image(view.colors.astype(np.float32))
        camera_from_world = self._open3d.core.Tensor(inverse(view.pose))
        # Around the points: Open3D's own choice, a few places along each ray,
        # misses blocks behind surfaces seen at a grazing angle.
        points, _, _ = view.points(kept, self._intrinsics)
        cloud = self._open3d.t.geometry.PointCloud(
            self._open3d.core.Tensor(points.astype(np.float32))
        )
        blocks = self._grid.compute_unique_block_coordinates(cloud, _MARGIN)
        self._grid.integrate(
            blocks,
            depth,
            color,
            self._camera,
            camera_from_world,
            1.0,
            self._farthest,
            _TRUNCATION,
        )

    def extract(self, ply: PlyWriter) -> None:
        if not self.blocks:
            return
        mesh = self._grid.extract_triangle_mesh(_LEAST_VIEWS)
        if mesh.is_empty() or "indices" not in mesh.triangle:
            return
        colors = mesh.vertex.colors.numpy()
        if colors.size and colors.max() <= 1.0:
            colors = colors * 255
        ply.add(
            mesh.vertex.positions.numpy(),
            np.rint(colors).clip(0, 255).astype(np.uint8),
            mesh.vertex.normals.numpy(),
            mesh.triangle.indices.numpy(),
        )

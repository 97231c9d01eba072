"""PLY files of points and triangles, binary, written piece by piece."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from scdepth_tf.files import replace_file

_VERTEX = np.dtype(
    [("position", "<f4", 3), ("normal", "<f4", 3), ("color", "u1", 3)]
)
_POINT = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_PROPERTIES = {
    "position": [f"property float {axis}" for axis in "xyz"],
    "normal": [f"property float n{axis}" for axis in "xyz"],
    "color": [f"property uchar {name}" for name in ("red", "green", "blue")],
}


class PlyWriter:
    """Appends to a PLY file whose length is not known yet.

    Args:
        unfinished: file to write.
        comments: lines for people.
        has_faces: a mesh, whose vertices have normals.

    Attributes:
        vertices: how many were written.
        faces: how many were written.
    """

    def __init__(
        self,
        unfinished: IO[bytes],
        faces: IO[bytes],
        comments: tuple[str, ...],
        has_faces: bool,
    ):
        self._file, self._faces_file = unfinished, faces
        self._comments, self._has_faces = comments, has_faces
        self._dtype = _VERTEX if has_faces else _POINT
        self.vertices = self.faces = 0
        self._file.write(self._header())

    def add(
        self,
        positions: np.ndarray,
        colors: np.ndarray,
        normals: np.ndarray | None = None,
        triangles: np.ndarray | None = None,
    ) -> None:
        """Append a piece.

        Args:
            positions: [N, 3].
            colors: uint8 [N, 3].
            normals: [N, 3], of a mesh.
            triangles: [M, 3] indices into these positions, of a mesh.
        """
        records = np.empty(len(positions), self._dtype)
        records["position"], records["color"] = positions, colors
        if self._has_faces:
            records["normal"] = normals
            faces = np.empty(len(triangles), _FACE)
            faces["count"], faces["corners"] = 3, triangles + self.vertices
            self._faces_file.write(faces.tobytes())
            self.faces += len(faces)
        self._file.write(records.tobytes())
        self.vertices += len(records)

    def finish(self) -> None:
        """Put the triangles behind the points and the numbers on top."""
        self._faces_file.seek(0)
        shutil.copyfileobj(self._faces_file, self._file)
        self._file.seek(0)
        self._file.write(self._header())

    def _header(self) -> bytes:
        # Padded, so that its length does not depend on the numbers.
        lines = ["ply", "format binary_little_endian 1.0"]
        lines += [f"comment {comment}" for comment in self._comments]
        lines.append(f"element vertex {self.vertices:12d}")
        for name in self._dtype.names:
            lines += _PROPERTIES[name]
        if self._has_faces:
            lines.append(f"element face {self.faces:12d}")
            lines.append("property list uchar int vertex_indices")
        return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")


@contextlib.contextmanager
def open_ply(
    path: Path, comments: tuple[str, ...] = (), has_faces: bool = False
) -> Iterator[PlyWriter]:
    """A PLY file that appears when the block succeeds.

    Raises:
        ValueError: it cannot be written.
    """
    with (
        replace_file(path) as unfinished,
        unfinished.open("wb") as file,
        tempfile.TemporaryFile(dir=path.parent) as faces,
    ):
        writer = PlyWriter(file, faces, comments, has_faces)
        yield writer
        writer.finish()

"""The two kinds of surface a street is made of, as arrays.

World axes are the first camera's directions: X right, Y down, Z along the
street, the road surface at y = 0 (so three metres up is y = −3). Builders
speak of `(x, up, z)` and `points` turns that into world coordinates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

STATIC, PARKED, MOVING = 0, 1, 2
"""Labels of the instance mask."""


@dataclasses.dataclass(frozen=True)
class Quads:
    """Flat convex four-cornered surfaces (three corners: repeat the last).

    Attributes:
      corners: `[N, 4, 3]` world metres, in order around the edge.
      normals: `[N, 3]` unit, pointing out of the solid.
      tile: `[N]` tile of the atlas.
      uv_axes: `[N, 2, 3]` texels per metre; uv = uv_axes · point + uv_offset.
      uv_offset: `[N, 2]` texels.
      tint: `[N, 3]` linear colour that multiplies the texture where its A
        says so.
      instance: `[N]` label of the instance mask.
      two_sided: `[N]` bool, seen from behind too.
      ground: `[N]` bool, level ground: its u is measured from the centre
        line of the street, and it casts no shadow.
    """

    corners: np.ndarray
    normals: np.ndarray
    tile: np.ndarray
    uv_axes: np.ndarray
    uv_offset: np.ndarray
    tint: np.ndarray
    instance: np.ndarray
    two_sided: np.ndarray
    ground: np.ndarray

    def __len__(self) -> int:
        return len(self.tile)


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Ellipsoids and cylinders.

    With q = unit_from_world · (point − centre) an ellipsoid is |q| = 1; a
    cylinder (about its local y) is |q_xz| = 1, |q_y| ≤ 1, without lids.

    Attributes:
      centre: `[M, 3]` world metres.
      unit_from_world: `[M, 3, 3]`.
      radii: `[M, 3]` metres along the axes of q.
      cylinder: `[M]` bool.
      tile: `[M]` tile of the atlas.
      density: `[M]` texels per metre.
      uv_offset: `[M, 2]` texels.
      tint: `[M, 3]` linear colour.
      instance: `[M]` label.
      leafy: `[M]` bool, the tile's A cuts holes instead of weighting tint.
    """

    centre: np.ndarray
    unit_from_world: np.ndarray
    radii: np.ndarray
    cylinder: np.ndarray
    tile: np.ndarray
    density: np.ndarray
    uv_offset: np.ndarray
    tint: np.ndarray
    instance: np.ndarray
    leafy: np.ndarray

    def __len__(self) -> int:
        return len(self.tile)


def concatenate(parts: Sequence):
    """Join several Quads, or several Rounds."""
    kind = type(parts[0])
    return kind(
        **{
            field.name: np.concatenate([getattr(p, field.name) for p in parts])
            for field in dataclasses.fields(kind)
        }
    )


def points(rows) -> np.ndarray:
    """`[..., 3]` of (x, up, z) to world (x, y down, z), metres."""
    return np.asarray(rows, np.float64) * (1.0, -1.0, 1.0)


def turn(heading: float) -> np.ndarray:
    """`[3, 3]` rotation about the vertical that takes +Z to
    (sin heading, 0, cos heading); radians.
    """
    s, c = np.sin(heading), np.cos(heading)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def move(shape, rotation: np.ndarray, translation):
    """Quads or Rounds under the rigid motion p -> rotation·p + translation."""
    translation = np.asarray(translation, np.float64)
    if isinstance(shape, Rounds):
        return dataclasses.replace(
            shape,
            centre=shape.centre @ rotation.T + translation,
            unit_from_world=shape.unit_from_world @ rotation.T,
        )
    axes = shape.uv_axes @ rotation.T
    return dataclasses.replace(
        shape,
        corners=shape.corners @ rotation.T + translation,
        normals=shape.normals @ rotation.T,
        uv_axes=axes,
        uv_offset=shape.uv_offset - axes @ translation,
    )


class Face(NamedTuple):
    """One quad of a solid, before its geometry is worked out.

    Attributes:
      corners: three or four (x, up, z), metres, in order around the edge.
      tile: tile of the atlas.
      inside: (x, up, z) on the inner side; the normal points away from it.
      uv: texel coordinates of the first, second and last corner, or None for
        `density` texels per metre, u along the first edge.
      density: texels per metre where uv is None.
      offset: uv of the first corner where uv is None.
      tint: linear RGB.
      two_sided: seen from behind too.
    """

    corners: Sequence
    tile: int
    inside: Sequence
    uv: Sequence | None = None
    density: float = 64.0
    offset: Sequence = (0.0, 0.0)
    tint: Sequence = (1.0, 1.0, 1.0)
    two_sided: bool = False


def quads(faces: Sequence[Face], instance: int = STATIC) -> Quads:
    """Work out the geometry of faces."""
    corners = points([[*f.corners, f.corners[-1]][:4] for f in faces])
    first, second, last = corners[:, 0], corners[:, 1], corners[:, 3]
    normals = cross(second - first, last - first)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outward = corners.mean(1) - points([f.inside for f in faces])
    normals[np.einsum("ni,ni->n", normals, outward) < 0] *= -1

    # Metric coordinates where no uv is given: one unit along the first edge.
    edges = np.stack([second - first, last - first], axis=1)
    lengths = np.linalg.norm(edges[:, 0], axis=1)
    skew = np.einsum("ni,ni->n", edges[:, 0], edges[:, 1]) / lengths
    rise = np.sqrt(np.einsum("ni,ni->n", edges[:, 1], edges[:, 1]) - skew**2)
    uv = np.empty((len(faces), 3, 2))
    for k, face in enumerate(faces):
        uv[k] = (
            np.array([(0, 0), (lengths[k], 0), (skew[k], rise[k])])
            * face.density
            + face.offset
            if face.uv is None
            else face.uv
        )
    # axes · edge = uv step along the edge, for both edges of the plane.
    steps = uv[:, 1:] - uv[:, :1]
    axes = (np.linalg.pinv(edges) @ steps).transpose(0, 2, 1)
    return Quads(
        corners=corners,
        normals=normals,
        tile=np.array([f.tile for f in faces], np.int32),
        uv_axes=axes,
        uv_offset=uv[:, 0] - np.einsum("nki,ni->nk", axes, first),
        tint=np.array([f.tint for f in faces], np.float64),
        instance=np.full(len(faces), instance, np.uint8),
        two_sided=np.array([f.two_sided for f in faces]),
        ground=np.zeros(len(faces), bool),
    )


def box(
    x: tuple[float, float],
    up: tuple[float, float],
    z: tuple[float, float],
    tile: int,
    *,
    sides: str = "xXYzZ",
    **look,
) -> list[Face]:
    """Faces of an axis-parallel box from its (low, high) along x, up and z.

    `sides` names the faces kept: x, y, z the low ones (y the bottom), X, Y,
    Z the high ones. `look` goes to every Face.
    """
    (x0, x1), (y0, y1), (z0, z1) = x, up, z
    corners = {
        "x": [(x0, y1, z0), (x0, y1, z1), (x0, y0, z1), (x0, y0, z0)],
        "X": [(x1, y1, z0), (x1, y1, z1), (x1, y0, z1), (x1, y0, z0)],
        "y": [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)],
        "Y": [(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)],
        "z": [(x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0)],
        "Z": [(x0, y1, z1), (x1, y1, z1), (x1, y0, z1), (x0, y0, z1)],
    }
    centre = ((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2)
    return [Face(corners[side], tile, centre, **look) for side in sides]


class Ball(NamedTuple):
    """One ellipsoid or upright cylinder.

    Attributes:
      centre, radii: as (x, up, z), metres.
      tile: tile of the atlas.
      density: texels per metre.
      offset: uv of the centre, texels.
      tint: linear RGB.
      cylinder: upright cylinder instead of ellipsoid.
      leafy: the tile cuts holes.
    """

    centre: Sequence
    radii: Sequence
    tile: int
    density: float = 64.0
    offset: Sequence = (0.0, 0.0)
    tint: Sequence = (1.0, 1.0, 1.0)
    cylinder: bool = False
    leafy: bool = False


def rounds(balls: Sequence[Ball], instance: int = STATIC) -> Rounds:
    """Ellipsoids and cylinders as arrays."""
    radii = np.array([b.radii for b in balls], np.float64)
    density = np.array([b.density for b in balls], np.float64)
    return Rounds(
        centre=points([b.centre for b in balls]),
        unit_from_world=np.eye(3) / radii[:, None, :],
        radii=radii,
        cylinder=np.array([b.cylinder for b in balls]),
        tile=np.array([b.tile for b in balls], np.int32),
        density=density,
        uv_offset=np.array([b.offset for b in balls], np.float64),
        tint=np.array([b.tint for b in balls], np.float64),
        instance=np.full(len(balls), instance, np.uint8),
        leafy=np.array([b.leafy for b in balls]),
    )


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`np.cross` of `[..., 3]`, several times faster on many short arrays."""
    return np.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


@dataclasses.dataclass(frozen=True)
class Model:
    """Surfaces that move together: a car, a house, a tree.

    Built standing on the ground at the origin, in (x, up, z).
    """

    quads: tuple[Quads, ...] = ()
    rounds: tuple[Rounds, ...] = ()

    @classmethod
    def of(
        cls,
        faces: Sequence[Face] = (),
        balls: Sequence[Ball] = (),
        instance: int = STATIC,
    ) -> Model:
        """A model from its faces and balls, all with one label."""
        return cls(
            (quads(faces, instance),) if faces else (),
            (rounds(balls, instance),) if balls else (),
        )

    def placed(
        self, x: float, z: float, heading: float, up: float = 0.0
    ) -> Model:
        """The model on the ground at (x, z), its +Z turned to `heading`."""
        rotation, to = turn(heading), (x, -up, z)
        return Model(
            tuple(move(q, rotation, to) for q in self.quads),
            tuple(move(r, rotation, to) for r in self.rounds),
        )

    def labelled(self, instance: int) -> Model:
        """The model with another label in the instance mask."""

        def relabel(part):
            return dataclasses.replace(
                part, instance=np.full(len(part), instance, np.uint8)
            )

        return Model(
            tuple(map(relabel, self.quads)), tuple(map(relabel, self.rounds))
        )

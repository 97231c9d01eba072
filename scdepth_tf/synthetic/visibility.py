"""Which surface each ray meets first, and how far away: exact, in numpy.

A ray of the camera is d = (x, y, 1), so a point at d / w has depth 1/w, and
over the image

- the inverse depth w of a plane n·P = k is n·d / k, linear in d;
- a ray lies in a polygon's pyramid iff d·(cᵢ × cᵢ₊₁) ≥ 0 for every edge;
- an ellipsoid |M(d/w − c)| = 1 is a quadratic in w.

Linear functions of d are outer sums over rows and columns, and each surface
is evaluated only inside the rectangle it projects to.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.shapes import Quads, Rounds, cross
from scdepth_tf.synthetic.textures import Atlas

NEAR = 0.1
"""Surfaces closer to the camera plane than this many metres are not seen."""

_QUAD_EDGES = np.array([(0, 1), (1, 2), (2, 3), (3, 0)])
_BOX = np.array(
    [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float
)
_BOX_EDGES = np.array(
    [
        (a, b)
        for a in range(8)
        for b in range(a + 1, 8)
        if np.abs(_BOX[a] - _BOX[b]).sum() == 2
    ]
)


@dataclasses.dataclass(frozen=True)
class Hits:
    """What the rays of a grid meet.

    Attributes:
      inverse_depth: `[rows, columns]` float32, 1/metres; 0 where nothing is.
      surface: `[rows, columns]` int32: a quad's number, or the number of
        quads plus a round's number; −1 where nothing is.
      planes: `[N, 3]` float32: w = planes · (x, y, 1) of every quad.
    """

    inverse_depth: np.ndarray
    surface: np.ndarray
    planes: np.ndarray


def first_hits(
    quads: Quads,
    rounds: Rounds,
    atlas: Atlas,
    world_from_camera: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> Hits:
    """Cast the grid of rays (x[j], y[i], 1) into the street.

    Args:
      quads: flat surfaces, world metres.
      rounds: ellipsoids and cylinders, world metres.
      atlas: tiles; leafy rounds take their holes from it.
      world_from_camera: `[4, 4]`.
      x: `[columns]` increasing, evenly spaced, (u − cx) / fx.
      y: `[rows]` increasing, evenly spaced, (v − cy) / fy.
    """
    rotation, position = world_from_camera[:3, :3], world_from_camera[:3, 3]
    flat = _Flat.seen_from(rotation, position, quads, x, y)
    curved = _Curved.seen_from(rotation, position, rounds, x, y)
    inverse_depth = np.zeros((len(y), len(x)), np.float32)
    surface = np.full((len(y), len(x)), -1, np.int32)
    x, y = x.astype(np.float32), y.astype(np.float32)
    spacing = float(x[1] - x[0])

    windows = np.concatenate([flat.windows, curved.windows])
    nearest = np.concatenate([flat.nearest, curved.nearest])
    seen = np.flatnonzero(
        (windows[:, 0] < windows[:, 1]) & (windows[:, 2] < windows[:, 3])
    )
    front_to_back = seen[np.argsort(-nearest[seen], kind="stable")].tolist()
    windows, nearest = windows.tolist(), nearest.astype(np.float32)
    for number in front_to_back:
        top, bottom, left, right = windows[number]
        behind = inverse_depth[top:bottom, left:right]
        if nearest[number] <= behind.min():
            continue  # hidden by what is already there
        if number < len(quads):
            values = linear_functions(
                flat.functions[number], x[left:right], y[top:bottom]
            )
            w = values[4]
            closer = values[:4].min(0) >= 0
            closer &= w > behind
        else:
            w = curved.inverse_depth(
                number - len(quads),
                atlas,
                x[left:right],
                y[top:bottom],
                behind,
                spacing,
            )
            closer = w > behind
        np.copyto(behind, w, where=closer)
        np.copyto(surface[top:bottom, left:right], number, where=closer)
    return Hits(inverse_depth, surface, flat.functions[:, 4])


def linear_functions(coefficients, x, y):
    """Linear functions `[F, 3]` of (x, y, 1) on a grid: `[F, rows, cols]`."""
    along = coefficients[:, 0:1] * x + coefficients[:, 2:3]
    down = coefficients[:, 1:2] * y
    return along[:, None, :] + down[:, :, None]


@dataclasses.dataclass(frozen=True)
class _Flat:
    """Quads in the camera frame.

    Attributes:
      functions: `[N, 5, 3]` float32, four edges (≥ 0 inside), then w.
      windows: `[N, 4]` int, rows and columns (top, bottom, left, right).
      nearest: `[N]` largest w inside the window.
    """

    functions: np.ndarray
    windows: np.ndarray
    nearest: np.ndarray

    @classmethod
    def seen_from(cls, rotation, position, quads, x, y):
        corners = (quads.corners - position) @ rotation
        normals = quads.normals @ rotation
        reach = np.einsum("ni,ni->n", normals, corners[:, 0])
        edge_on = np.abs(reach) < 1e-6
        planes = normals / np.where(edge_on, 1.0, reach)[:, None]
        edges = cross(corners, corners[:, [1, 2, 3, 0]])
        inward = np.einsum("nei,ni->n", edges, corners.mean(1))
        edges *= np.sign(inward)[:, None, None]
        # Lengths play no part in the test; unit ones keep float32 at ease.
        lengths = np.sqrt(np.einsum("nei,nei->ne", edges, edges))
        edges /= np.maximum(lengths, 1e-12)[..., None]
        functions = np.concatenate([edges, planes[:, None]], axis=1)
        windows, nearest = _windows(corners, _QUAD_EDGES, x, y)
        windows[edge_on | ((reach > 0) & ~quads.two_sided)] = 0
        return cls(functions.astype(np.float32), windows, nearest)


@dataclasses.dataclass(frozen=True)
class _Curved:
    """Rounds in the camera frame.

    With q = M(d/w − c) a ray meets an ellipsoid where
    |Md|² − 2w Md·Mc + w²(|Mc|² − 1) = 0; the larger root is the near side.

    Attributes:
      rounds: as given.
      functions: `[M, 4, 3]` float32, the three of Md, then Md·Mc.
      centres: `[M, 3]` float32, Mc.
      gaps: `[M]` float32, |Mc|² − 1, negative inside.
      windows, nearest: as for quads.
    """

    rounds: Rounds
    functions: np.ndarray
    centres: np.ndarray
    gaps: np.ndarray
    windows: np.ndarray
    nearest: np.ndarray

    @classmethod
    def seen_from(cls, rotation, position, rounds, x, y):
        world_from_unit = rounds.unit_from_world.transpose(0, 2, 1) * (
            rounds.radii[:, None, :] ** 2
        )
        offset = rounds.centre - position
        corners = (
            offset[:, None] + _BOX @ world_from_unit.transpose(0, 2, 1)
        ) @ rotation
        windows, nearest = _windows(corners, _BOX_EDGES, x, y)
        matrices = rounds.unit_from_world @ rotation
        centres = np.einsum("nij,nj->ni", rounds.unit_from_world, offset)
        used = centres.copy()
        used[rounds.cylinder, 1] = 0.0
        gaps = np.einsum("ni,ni->n", used, centres) - 1
        windows[gaps <= 0] = 0
        toward = np.einsum("ni,nij->nj", used, matrices)
        functions = np.concatenate([matrices, toward[:, None]], axis=1)
        return cls(
            rounds,
            functions.astype(np.float32),
            centres.astype(np.float32),
            gaps.astype(np.float32),
            windows,
            nearest,
        )

    def inverse_depth(self, index, atlas, x, y, behind, spacing):
        """Inverse depth of one round's visible part, at most 0 beside it."""
        rounds, gap = self.rounds, self.gaps[index]
        values = linear_functions(self.functions[index], x, y)
        toward = values[3]
        squares = values[:3] * values[:3]
        square = squares[0] + squares[2]
        if not rounds.cylinder[index]:
            square += squares[1]
        root = toward * toward - gap * square
        beside = root < 0
        np.sqrt(np.maximum(root, 0, out=root), out=root)
        near = (toward + root) / gap
        near[beside] = 0
        if rounds.cylinder[index]:
            height = np.abs(values[1] - self.centres[index, 1] * near)
            near[height > near] = 0
        if not rounds.leafy[index]:
            return near
        # One level for the whole crown; far away it closes.
        distance = 1 / near.max() if near.size and near.max() > 0 else 1.0
        footprint = spacing * distance * rounds.density[index]
        level = int(np.log2(max(footprint, 1.0)))
        if level > _CLOSED_LEVEL:
            return near
        seen = np.flatnonzero(near > behind)
        rays = values[:3].reshape(3, -1)[:, seen]
        w = near.ravel()[seen]
        leaf = self._leaf_at(index, atlas, rays, w, level)
        gone = np.flatnonzero(~leaf)
        far = ((toward - root) / gap).ravel()[seen[gone]]
        w[gone] = np.where(
            self._leaf_at(index, atlas, rays[:, gone], far, level), far, 0
        )
        near.ravel()[seen] = w
        return near

    def _leaf_at(self, index, atlas, rays, w, level):
        """Whether there is a leaf where rays meet the ellipsoid."""
        rounds = self.rounds
        q = rays / w - self.centres[index][:, None]
        u, v = leaf_coordinates(
            q,
            rounds.radii[index].astype(np.float32)[:, None],
            np.float32(rounds.density[index]),
            rounds.uv_offset[index].astype(np.float32)[:, None],
        )
        return atlas.covered(int(rounds.tile[index]), u, v, level)


_CLOSED_LEVEL = 3
"""Leaf tiles halved more often than this have no holes left."""


def _windows(points, edges, x, y):
    """Window of the grid that holds the part of each convex body in front of
    the camera, and an upper bound of its inverse depth.

    Args:
      points: `[N, P, 3]` corners, camera frame.
      edges: `[E, 2]` pairs of corners.
      x: `[columns]` rays of the grid.
      y: `[rows]` rays of the grid.
    """
    a, b = points[:, edges[:, 0]], points[:, edges[:, 1]]
    rise = b[..., 2] - a[..., 2]
    crossing = (a[..., 2] < NEAR) != (b[..., 2] < NEAR)
    share = (NEAR - a[..., 2]) / np.where(crossing, rise, 1.0)
    cut = a + share[..., None] * (b - a)
    candidates = np.concatenate([points, cut], axis=1)
    present = np.concatenate([points[..., 2] >= NEAR, crossing], axis=1)
    z = np.where(present, candidates[..., 2], 1.0)
    z = np.maximum(z, NEAR)
    limits = []
    for axis, grid in ((1, y), (0, x)):
        step = (grid[-1] - grid[0]) / (len(grid) - 1)
        place = (candidates[..., axis] / z - grid[0]) / step
        low = np.where(present, place, np.inf).min(1)
        high = np.where(present, place, -np.inf).max(1)
        limits.append(np.clip(np.ceil(low - 1e-3), 0, len(grid)))
        limits.append(np.clip(np.floor(high + 1e-3) + 1, 0, len(grid)))
    windows = np.stack(limits, axis=1).astype(np.int64)
    # Bodies may bulge beyond their corners' inverse depth by rounding only.
    nearest = 1.0001 / np.where(present, z, np.inf).min(1)
    return windows, nearest


def leaf_coordinates(q, radii, density, offset):
    """Texture coordinates on ellipsoids: the point, seen along the axis that
    the normal is closest to.

    Args:
      q: `[3, n]` points of the unit sphere.
      radii: `[3, 1]` or `[3, n]` metres.
      density: texels per metre, a number or `[n]`.
      offset: `[2, 1]` or `[2, n]` texels.

    Returns:
      u, v: `[n]`.
    """
    normal = np.abs(q) / radii
    place = q * (radii * density)
    sideways = normal[0] >= np.maximum(normal[1], normal[2])
    upright = (normal[1] > normal[2]) & ~sideways
    u = np.where(sideways, place[2], place[0]) + offset[0]
    v = np.where(upright, place[2], place[1]) + offset[1]
    return u, v

"""Cast shadows and ambient occlusion, drawn once for a street.

Rays towards the sun are parallel, so each is named by the ground point it
starts from. The map keeps, for every such ray, how high up it last meets
something: a point of the street is in the sun iff it lies no lower.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.shapes import Quads, Rounds
from scdepth_tf.synthetic.textures import Atlas
from scdepth_tf.synthetic.visibility import (
    leaf_coordinates,
    linear_functions,
)

CELL = 0.125
"""Metres between neighbouring rays."""

SURFACE_LIFT = 0.09
"""Look a surface's sunlight up this many metres above it, along its normal:
nearer than a cell, it would shade itself."""


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Something that keeps skylight from the ground around it.

    Attributes:
      x, z: centre, metres.
      heading: radians, direction of its length.
      half_width, half_length: metres.
      softness: metres over which the darkening fades outside.
      strength: share of skylight taken underneath, [0, 1].
    """

    x: float
    z: float
    heading: float
    half_width: float
    half_length: float
    softness: float
    strength: float


@dataclasses.dataclass(frozen=True)
class ShadowMap:
    """Sunlight and skylight of a street.

    Attributes:
      x, z: ground position of the first cell's centre, metres.
      to_sun: `[3]` unit, world axes.
      tops: `[nz, nx]` float32, height of the topmost surface along the ray
        that leaves the ground here, metres; −1 where there is none.
      open_sky: `[nz, nx]` float32 in [0, 1], skylight on the ground.
    """

    x: float
    z: float
    to_sun: np.ndarray
    tops: np.ndarray
    open_sky: np.ndarray

    @classmethod
    def empty(cls, x_range, z_range, to_sun) -> ShadowMap:
        """A map of bare ground over (low, high) ranges in metres."""
        shape = (
            int((z_range[1] - z_range[0]) / CELL) + 1,
            int((x_range[1] - x_range[0]) / CELL) + 1,
        )
        return cls(
            x_range[0],
            z_range[0],
            to_sun,
            np.full(shape, -1, np.float32),
            np.ones(shape, np.float32),
        )

    def copy(self) -> ShadowMap:
        return dataclasses.replace(
            self, tops=self.tops.copy(), open_sky=self.open_sky.copy()
        )

    def sunlight(self, where: np.ndarray) -> np.ndarray:
        """Share of the sun that reaches world points `[3, n]`: `[n]`."""
        height = -where[1]
        slope = self._slope
        return self._gather(
            self.tops,
            where[0] - height * np.float32(slope[0]),
            where[2] - height * np.float32(slope[1]),
            height,
        )

    def openness(self, where: np.ndarray) -> np.ndarray:
        """Share of skylight at world points `[3, n]`, ground level only
        shaded: `[n]`.
        """
        column = ((where[0] - self.x) * (1 / CELL) + 0.5).astype(np.int32)
        row = ((where[2] - self.z) * (1 / CELL) + 0.5).astype(np.int32)
        rows, columns = self.open_sky.shape
        np.clip(column, 0, columns - 1, out=column)
        np.clip(row, 0, rows - 1, out=row)
        ground = self.open_sky[row, column]
        rise = np.clip(-where[1] * np.float32(1.2) - 0.1, 0, 1)
        return ground + (1 - ground) * rise

    def add_quads(self, quads: Quads) -> None:
        """Let quads cast their shadows; ground casts none."""
        facing = quads.normals @ self.to_sun
        # Of a solid the sun last leaves a face that looks towards it.
        casts = ~quads.ground & (
            (facing > 1e-3) | (quads.two_sided & (facing < -1e-3))
        )
        corners, normals = quads.corners[casts], quads.normals[casts]
        slope = self._slope
        ground = corners[..., [0, 2]] + corners[..., 1:2] * slope
        # Edges as functions of (x, z, 1), positive inside, then height.
        a, b = ground, ground[:, [1, 2, 3, 0]]
        edges = np.stack(
            [
                a[..., 1] - b[..., 1],
                b[..., 0] - a[..., 0],
                a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
            ],
            axis=-1,
        )
        middle = np.append(ground.mean(1), np.ones((len(a), 1)), axis=1)
        edges *= np.sign(np.einsum("nei,ni->n", edges, middle))[:, None, None]
        steep = normals @ np.array([slope[0], -1.0, slope[1]])
        reach = np.einsum("ni,ni->n", normals, corners[:, 0])
        heights = (
            np.stack([-normals[:, 0], -normals[:, 2], reach], 1)
            / steep[:, None]
        )
        functions = np.concatenate([edges, heights[:, None]], 1)
        low, high = ground.min(1).tolist(), ground.max(1).tolist()
        for k, function in enumerate(functions):
            window, x, z = self._window(
                low[k][0], high[k][0], low[k][1], high[k][1]
            )
            if not x.size or not z.size:
                continue
            values = linear_functions(function, x, z)
            tops = self.tops[window]
            inside = values[:4].min(0) >= 0
            inside &= values[4] > tops
            np.copyto(tops, values[4], where=inside, casting="same_kind")

    def add_rounds(self, rounds: Rounds, atlas: Atlas) -> None:
        """Let ellipsoids and cylinders cast their shadows."""
        world_from_unit = rounds.unit_from_world.transpose(0, 2, 1) * (
            rounds.radii[:, None, :] ** 2
        )
        reach = np.abs(world_from_unit).sum(2)
        height, spread = -rounds.centre[:, 1], reach[:, 1]
        heights = np.stack([height - spread, height + spread], axis=1)
        leaning = heights[..., None] * self._slope
        low = rounds.centre[:, [0, 2]] - reach[:, [0, 2]] - leaning.max(1)
        high = rounds.centre[:, [0, 2]] + reach[:, [0, 2]] - leaning.min(1)
        for index, (x0, z0, x1, z1) in enumerate(
            np.concatenate([low, high], axis=1).tolist()
        ):
            window, x, z = self._window(x0, x1, z0, z1)
            if x.size and z.size:
                top, hit = self._round_tops(
                    rounds, index, atlas, heights[index], x, z
                )
                tops = self.tops[window]
                hit &= top > tops
                np.copyto(tops, top, where=hit, casting="same_kind")

    def shade(self, footprint: Footprint) -> None:
        """Take skylight from the ground around a footprint."""
        f = footprint
        reach = np.hypot(f.half_width, f.half_length) + f.softness
        window, x, z = self._window(
            f.x - reach, f.x + reach, f.z - reach, f.z + reach
        )
        if not x.size or not z.size:
            return
        s, c = np.sin(f.heading), np.cos(f.heading)
        dx, dz = x - f.x, (z - f.z)[:, None]
        side = np.maximum(np.abs(c * dx - s * dz) - f.half_width, 0)
        along = np.maximum(np.abs(s * dx + c * dz) - f.half_length, 0)
        fade = np.clip(1 - np.hypot(side, along) / f.softness, 0, 1)
        self.open_sky[window] *= 1 - np.float32(f.strength) * fade**2

    @property
    def _slope(self):
        """Ground metres (x, z) per metre of height along a ray."""
        return self.to_sun[[0, 2]] / -self.to_sun[1]

    def _gather(self, tops, x, z, height):
        """Bilinear share of the four nearest rays that are free."""
        column = (x - self.x) * np.float32(1 / CELL)
        row = (z - self.z) * np.float32(1 / CELL)
        rows, columns = tops.shape
        column = np.clip(column, 0, columns - 1.001)
        row = np.clip(row, 0, rows - 1.001)
        left, top = column.astype(np.int32), row.astype(np.int32)
        right_share, bottom_share = column - left, row - top
        index = top * columns + left
        flat = tops.ravel()
        free = [
            (flat[index + step] <= height).astype(np.float32)
            for step in (0, 1, columns, columns + 1)
        ]
        above = free[0] + right_share * (free[1] - free[0])
        below = free[2] + right_share * (free[3] - free[2])
        return above + bottom_share * (below - above)

    def _window(self, x0, x1, z0, z1):
        rows, columns = self.tops.shape
        left = max(int(np.ceil((x0 - self.x) / CELL)), 0)
        right = min(int(np.floor((x1 - self.x) / CELL)) + 1, columns)
        top = max(int(np.ceil((z0 - self.z) / CELL)), 0)
        bottom = min(int(np.floor((z1 - self.z) / CELL)) + 1, rows)
        x = self.x + CELL * np.arange(left, right, dtype=np.float32)
        z = self.z + CELL * np.arange(top, bottom, dtype=np.float32)
        return (
            (slice(top, max(bottom, top)), slice(left, max(right, left))),
            x,
            z,
        )

    def _round_tops(self, rounds, index, atlas, heights, x, z):
        """How high up the rays from (x, z) last meet a round, and which do."""
        matrix, centre = rounds.unit_from_world[index], rounds.centre[index]
        cylinder = rounds.cylinder[index]
        ray = matrix @ np.array([self._slope[0], -1.0, self._slope[1]])
        # |start + height · ray| = 1 in the round's own coordinates.
        start = (
            np.multiply.outer(matrix[:, 0], x - centre[0])[:, None, :]
            + np.multiply.outer(matrix[:, 2], z - centre[2])[:, :, None]
            - (matrix[:, 1] * centre[1])[:, None, None]
        )
        used = np.array([1.0, 0.0, 1.0]) if cylinder else np.ones(3)
        a = (used * ray) @ ray
        b = np.tensordot(used * ray, start, 1)
        c = np.tensordot(used, start * start, 1) - 1
        root = b * b - a * c
        hit = root >= 0
        root = np.sqrt(np.maximum(root, 0))
        top = (root - b) / a
        if cylinder:
            # Rays that leave through a lid last meet it at its height.
            hit &= ((-b - root) / a <= heights[1]) & (top >= heights[0])
            top = np.minimum(top, heights[1])
        if rounds.leafy[index]:
            q = start + ray[:, None, None] * top
            u, v = leaf_coordinates(
                q.reshape(3, -1),
                rounds.radii[index][:, None],
                rounds.density[index],
                rounds.uv_offset[index][:, None],
            )
            leaf = atlas.covered(int(rounds.tile[index]), u, v, level=2)
            hit &= leaf.reshape(hit.shape)
        return top, hit

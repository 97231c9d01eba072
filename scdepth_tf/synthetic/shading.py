"""Colour of what the rays meet: textures, sun, shadows, sky, haze.

Nothing depends on where the camera stands except the haze, which is thin: a
surface keeps its colour from frame to frame, as view synthesis assumes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.path import Bend
from scdepth_tf.synthetic.shadows import SURFACE_LIFT, ShadowMap
from scdepth_tf.synthetic.shapes import Quads, Rounds
from scdepth_tf.synthetic.textures import Atlas
from scdepth_tf.synthetic.visibility import Hits, leaf_coordinates

# Levels are rounded down after adding these, one for each of the 2×2 samples
# of a pixel: their mean blends neighbouring levels smoothly.
_DITHER_U = np.array([[0.0, 0.5], [0.75, 0.25]], np.float32)
_DITHER_V = np.array([[0.25, 0.75], [0.5, 0.0]], np.float32)

_FILTER_WIDTH = np.float32(1.4)
"""Width of the texture filter in rays: a little more than one keeps edges
crisp and motion calm."""

_BAND = 24
"""Rows of rays coloured at a time."""


@dataclasses.dataclass(frozen=True)
class Light:
    """Sun and sky of one street.

    Attributes:
      to_sun: `[3]` unit, world axes.
      sun, ambient, horizon, zenith: `[3]` linear RGB.
      haze_distance: metres over which haze hides 1 − 1/e of the light.
      exposure: scale of linear light before the tone curve.
      cloud_tile: tile whose A is the cover of clouds.
      cloud_cover: added to that cover, −1 clears the sky.
    """

    to_sun: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    horizon: np.ndarray
    zenith: np.ndarray
    haze_distance: float
    exposure: float
    cloud_tile: int
    cloud_cover: float


def radiance(
    quads: Quads,
    rounds: Rounds,
    atlas: Atlas,
    shadows: ShadowMap,
    light: Light,
    bend: Bend,
    hits: Hits,
    world_from_camera: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> np.ndarray:
    """Linear colour of every ray of the grid.

    Args:
      quads: flat surfaces, world metres.
      rounds: ellipsoids and cylinders, world metres.
      atlas: their tiles.
      shadows: where the sun does not reach.
      light: sun and sky.
      bend: the street's centre line.
      hits: what `first_hits` returned for this grid.
      world_from_camera: `[4, 4]`.
      x: `[columns]`, as `first_hits` took it.
      y: `[rows]`, as `first_hits` took it.

    Returns:
      `[3, rows, columns]` float32, linear, 1 is white before exposure.
    """
    shader = _Shader(
        quads, rounds, atlas, shadows, light, bend, hits, world_from_camera,
        (float(x[1] - x[0]), float(y[1] - y[0])),
    )  # fmt: skip
    tiling = len(y) // 2 + 1, len(x) // 2 + 1
    dither_u, dither_v = (
        np.tile(d, tiling)[: len(y), : len(x)] for d in (_DITHER_U, _DITHER_V)
    )
    ray_x, ray_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    # Channels first: numpy is slow where the last axis is only three long.
    colour = np.empty((3, *hits.surface.shape), np.float32)
    # Bands small enough for the processor's cache take half the time.
    for top in range(0, len(y), _BAND):
        band = slice(top, top + _BAND)
        samples = _Samples(
            x=ray_x[band].ravel(),
            y=ray_y[band].ravel(),
            inverse_depth=hits.inverse_depth[band].ravel(),
            surface=hits.surface[band].ravel(),
            dither_u=dither_u[band].ravel(),
            dither_v=dither_v[band].ravel(),
        )
        colour[:, band] = shader.colour(samples).reshape(colour[:, band].shape)
    return colour


def tone(linear: np.ndarray, exposure: float) -> np.ndarray:
    """Linear `[3, H, W]` to 8-bit display values `[H, W, 3]`."""
    # Highlights roll off instead of burning out.
    display = np.sqrt(1 - np.exp(-exposure * np.maximum(linear, 0)))
    # A film-like curve: deeper shade, livelier colour.
    grey = display.mean(axis=0)
    display = np.clip(grey + 1.2 * (display - grey), 0, 1)
    display += 0.55 * (display * display * (3 - 2 * display) - display)
    return np.moveaxis(255 * display + 0.5, 0, -1).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class _Samples:
    """Rays (x, y, 1) and what they meet; every array `[n]`."""

    x: np.ndarray
    y: np.ndarray
    inverse_depth: np.ndarray
    surface: np.ndarray
    dither_u: np.ndarray
    dither_v: np.ndarray

    def __getitem__(self, chosen) -> _Samples:
        return _Samples(
            **{
                field.name: getattr(self, field.name)[chosen]
                for field in dataclasses.fields(self)
            }
        )


class _Shader:
    """Colours rays; holds per-surface tables in float32."""

    def __init__(
        self, quads, rounds, atlas, shadows, light, bend, hits,
        world_from_camera, steps,
    ):  # fmt: skip
        rotation, position = world_from_camera[:3, :3], world_from_camera[:3, 3]
        self._rotation = rotation.astype(np.float32)
        self._position = position.astype(np.float32)[:, None]
        self._steps = np.float32(steps)
        self._atlas, self._shadows, self._bend = atlas, shadows, bend
        self._light = light
        self._horizon, self._zenith, self._sun, self._ambient = (
            colour.astype(np.float32)[:, None]
            for colour in (
                light.horizon,
                light.zenith,
                light.sun,
                light.ambient,
            )
        )

        self._quad_count = len(quads)
        self._quad_tile, self._ground = quads.tile, quads.ground
        self._planes = _columns(hits.planes)
        # uv = axes·ray·depth + base, with everything in the camera frame.
        axes = quads.uv_axes @ rotation
        self._axes = np.ascontiguousarray(axes.transpose(1, 2, 0), np.float32)
        base = quads.uv_axes @ position + quads.uv_offset
        self._base = _columns(base)
        self._per_metre = quads.uv_axes[:, 0, 0].astype(np.float32)
        self._quad_tint = _columns(quads.tint)
        facing = quads.normals @ light.to_sun
        lift = SURFACE_LIFT * np.sign(facing)[:, None] * quads.normals
        self._lift = _columns(lift)
        facing = np.where(quads.two_sided, np.abs(facing), facing)
        self._facing = np.maximum(facing, 0).astype(np.float32)
        self._upward = (-quads.normals[:, 1]).astype(np.float32)

        self._round_tile, self._leafy = rounds.tile, rounds.leafy
        self._cylinder = rounds.cylinder
        self._matrices = np.ascontiguousarray(
            rounds.unit_from_world.transpose(1, 2, 0), np.float32
        )
        self._centres = _columns(rounds.centre)
        self._radii = _columns(rounds.radii)
        self._density = rounds.density.astype(np.float32)
        self._round_offset = _columns(rounds.uv_offset)
        self._round_tint = _columns(rounds.tint)

    def colour(self, samples: _Samples) -> np.ndarray:
        """Linear colour `[3, n]`."""
        colour = np.empty((3, samples.surface.size), np.float32)
        surface = samples.surface
        for chosen, paint in (
            (surface < 0, self._sky),
            ((surface >= 0) & (surface < self._quad_count), self._quads),
            (surface >= self._quad_count, self._rounds),
        ):
            at = np.flatnonzero(chosen)
            if at.size:
                colour[:, at] = paint(samples[at])
        return colour

    def _quads(self, samples):
        number, depth = samples.surface, 1 / samples.inverse_depth
        places, levels = [], []
        plane_x, plane_y = self._planes[0][number], self._planes[1][number]
        for k, dither in ((0, samples.dither_u), (1, samples.dither_v)):
            axis_x, axis_y, axis_z = (a[number] for a in self._axes[k])
            place = (axis_x * samples.x + axis_y * samples.y + axis_z) * depth
            # place = axis·ray / (plane·ray): its derivatives along columns
            # and rows are (axis_i − place · plane_i) · depth.
            axis_x -= place * plane_x
            axis_y -= place * plane_y
            footprint = depth * np.maximum(
                np.abs(axis_x) * self._steps[0], np.abs(axis_y) * self._steps[1]
            )
            places.append(place + self._base[k][number])
            levels.append(_level(footprint, dither))
        where = self._where(samples, depth)
        bent = np.flatnonzero(self._ground[number])
        if bent.size:
            shift = self._bend(where[2, bent])
            places[0][bent] -= self._per_metre[number[bent]] * shift
        texel = self._atlas.sample(self._quad_tile[number], *places, *levels)
        where += self._lift[:, number]
        lit = self._lit(
            _tinted(texel, self._quad_tint[:, number]),
            self._facing[number],
            self._upward[number],
            where,
        )
        return self._hazy(lit, depth)

    def _rounds(self, samples):
        number = samples.surface - self._quad_count
        depth = 1 / samples.inverse_depth
        where = self._where(samples, depth)
        matrices = self._matrices[:, :, number]
        q = _apply(matrices, where - self._centres[:, number])
        density = self._density[number]
        u, v = leaf_coordinates(
            q, self._radii[:, number], density, self._round_offset[:, number]
        )
        level = _level(density * depth * self._steps[0], samples.dither_u)
        texel = self._atlas.sample(self._round_tile[number], u, v, level, level)
        leafy = self._leafy[number]
        texel[leafy, 3] = 255  # there, A is coverage

        q[1, self._cylinder[number]] = 0
        normal = _apply(matrices.swapaxes(0, 1), q)
        normal /= np.sqrt((normal * normal).sum(0))
        facing = _dot(self._light.to_sun.astype(np.float32), normal)
        # Leaves scatter and let light through: the shade side glows.
        facing = np.where(leafy, 0.35 + 0.65 * facing, facing)
        lit = self._lit(
            _tinted(texel, self._round_tint[:, number]),
            np.maximum(facing, 0),
            -normal[1],
            where + SURFACE_LIFT * normal,
        )
        return self._hazy(lit, depth)

    def _sky(self, samples):
        """Gradient and clouds by direction alone: it is infinitely far."""
        directions = self._directions(samples)
        up = -directions[1] / np.sqrt((directions * directions).sum(0))
        rise = np.clip(up * 1.8, 0, 1) ** np.float32(0.6)
        colour = self._horizon + rise * (self._zenith - self._horizon)
        # Clouds lie on a plane overhead, flattened towards the horizon.
        reach = 420 / (np.maximum(up, 0) + np.float32(0.18))
        level = _level(reach * self._steps[0], samples.dither_u)
        cover = self._atlas.sample(
            np.full(up.size, self._light.cloud_tile),
            directions[0] * reach,
            directions[2] * reach,
            level,
            level + 1,
        )[:, 3]
        cover = 2.2 * (cover / 255 - 0.5 + self._light.cloud_cover)
        cover = np.clip(cover, 0, 1)
        cover *= np.clip(up * 7, 0, 1) * (0.9 * (2 - cover))
        white = np.float32([[1.1], [1.09], [1.07]]) * self._horizon.max()
        return colour + cover * (white - colour)

    def _directions(self, samples):
        """World rays `[3, n]`, not normalised."""
        across, down, ahead = self._rotation.T[:, :, None]
        return across * samples.x + (down * samples.y + ahead)

    def _where(self, samples, depth):
        """World points `[3, n]`."""
        return self._directions(samples) * depth + self._position

    def _lit(self, reflectance, facing, upward, where):
        sunny = facing * self._shadows.sunlight(where)
        open_sky = (0.75 + 0.25 * upward) * self._shadows.openness(where)
        reflectance *= sunny * self._sun + open_sky * self._ambient
        return reflectance

    def _hazy(self, colour, depth):
        clear = np.exp(depth * np.float32(-1 / self._light.haze_distance))
        return self._horizon + (colour - self._horizon) * clear


def _columns(table):
    """`[n, k]` to contiguous float32 `[k, n]`."""
    return np.ascontiguousarray(table.T, np.float32)


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _apply(matrices, vectors):
    """`[3, 3, n]` times `[3, n]`."""
    return np.stack([_dot(row, vectors) for row in matrices])


def _level(footprint, dither):
    """Whole halvings for a footprint in texels per ray."""
    finest = np.log2(np.maximum(_FILTER_WIDTH * footprint, np.float32(1)))
    return (finest + dither).astype(np.int32)


def _tinted(texel, tint):
    """Linear reflectance `[3, n]` from texels `[n, 4]` and tints `[3, n]`."""
    red, green, blue, weight = texel.T * np.float32(1 / 255)
    reflectance = np.stack([red, green, blue])
    reflectance *= reflectance
    return reflectance * (1 + weight * (tint - 1))

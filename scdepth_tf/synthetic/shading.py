"""Colour of what the rays meet: textures, sun, shadows, sky, haze.

Nothing depends on where the camera stands except the haze, which is thin: a
surface keeps its colour from frame to frame, as view synthesis assumes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.shapes import Quads, Rounds
from scdepth_tf.synthetic.shadows import ShadowMap
from scdepth_tf.synthetic.textures import Atlas
from scdepth_tf.synthetic.visibility import Hits, leaf_coordinates

# Levels are rounded down after adding these, one for each of the 2×2 samples
# of a pixel: their mean blends neighbouring levels smoothly.
_DITHER_U = np.array([[0.0, 0.5], [0.75, 0.25]], np.float32)
_DITHER_V = np.array([[0.25, 0.75], [0.5, 0.0]], np.float32)


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
    bend,
    hits: Hits,
    world_from_camera: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> np.ndarray:
    """Linear colour of every ray of the grid.

    Args:
      quads, rounds, atlas, hits, world_from_camera, x, y: as `first_hits`
        took and returned them.
      shadows: where the sun does not reach.
      light: sun and sky.
      bend: function from z to the centre line's x, metres.

    Returns:
      `[rows, columns, 3]` float32, linear, 1 is white before exposure.
    """
    rotation = world_from_camera[:3, :3].astype(np.float32)
    position = world_from_camera[:3, 3].astype(np.float32)
    grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    rays = np.stack([g.ravel() for g in grid] + [np.ones(x.size * y.size, np.float32)], 1)
    tiling = len(y) // 2 + 1, len(x) // 2 + 1
    dither_u, dither_v = (
        np.tile(d, tiling)[: len(y), : len(x)].ravel()
        for d in (_DITHER_U, _DITHER_V)
    )
    surface = hits.surface.ravel()
    inverse_depth = hits.inverse_depth.ravel()
    steps = float(x[1] - x[0]), float(y[1] - y[0])
    colour = np.empty((surface.size, 3), np.float32)

    at = np.flatnonzero(surface < 0)
    directions = rays[at] @ rotation.T
    sky = _sky(atlas, light, directions, steps[0], dither_u[at])
    colour[at] = sky

    at = np.flatnonzero((surface >= 0) & (surface < len(quads)))
    depth = 1 / inverse_depth[at]
    where = position + (rays[at] @ rotation.T) * depth[:, None]
    number = surface[at]
    texel = _quad_texel(
        quads, atlas, hits, bend, rotation, number, where, rays[at], depth,
        steps, dither_u[at], dither_v[at],
    )  # fmt: skip
    facing = (quads.normals @ light.to_sun).astype(np.float32)
    facing = np.where(quads.two_sided, np.abs(facing), facing)
    upward = (-quads.normals[:, 1]).astype(np.float32)
    colour[at] = _lit(
        light,
        _tinted(texel, quads.tint.astype(np.float32)[number]),
        np.maximum(facing, 0)[number],
        upward[number],
        shadows,
        where,
    )

    at = np.flatnonzero(surface >= len(quads))
    depth = 1 / inverse_depth[at]
    where = position + (rays[at] @ rotation.T) * depth[:, None]
    number = surface[at] - len(quads)
    colour[at] = _round_colour(
        rounds, atlas, light, shadows, number, where, depth, steps[0],
        dither_u[at],
    )  # fmt: skip

    clear = np.exp(-1 / (np.maximum(inverse_depth, 1e-6) * light.haze_distance))
    clear = np.where(surface < 0, np.float32(1), clear)[:, None]
    haze = light.horizon.astype(np.float32)
    colour = haze + (colour - haze) * clear
    return colour.reshape(*hits.surface.shape, 3)


def tone(linear: np.ndarray, exposure: float) -> np.ndarray:
    """Linear `[..., 3]` to 8-bit display values, highlights rolled off."""
    display = np.sqrt(1 - np.exp(-exposure * np.maximum(linear, 0)))
    # A film-like curve: deeper shade, livelier colour.
    grey = display.mean(axis=-1, keepdims=True)
    display = np.clip(grey + 1.2 * (display - grey), 0, 1)
    display += 0.55 * (display * display * (3 - 2 * display) - display)
    return (255 * display + 0.5).astype(np.uint8)


def _quad_texel(
    quads, atlas, hits, bend, rotation, number, where, rays, depth,
    steps, dither_u, dither_v,
):  # fmt: skip
    """Texture of quads at the footprint of each ray: `[n, 4]`."""
    axes = quads.uv_axes.astype(np.float32)
    seen_axes = axes @ rotation  # texels per camera metre
    footprints, place = [], []
    planes = hits.planes[number]
    for k in range(2):
        axis = seen_axes[:, k][number]
        # Texel coordinate = axis·ray / w, w = plane·ray: its derivatives
        # along columns and rows are (axis_i − coordinate·plane_i) / w.
        coordinate = np.einsum("ni,ni->n", axis, rays) * depth
        across = (axis[:, 0] - coordinate * planes[:, 0]) * (depth * steps[0])
        down = (axis[:, 1] - coordinate * planes[:, 1]) * (depth * steps[1])
        footprints.append(np.maximum(np.abs(across), np.abs(down)))
        place.append(
            np.einsum("ni,ni->n", axes[:, k][number], where)
            + quads.uv_offset[:, k].astype(np.float32)[number]
        )
    u, v = place
    bent = np.flatnonzero(quads.follows_bend[number])
    if bent.size:
        shift = bend(where[bent, 2]).astype(np.float32)
        u[bent] -= axes[:, 0, 0][number[bent]] * shift
    return atlas.sample(
        quads.tile[number],
        u,
        v,
        _level(footprints[0], dither_u),
        _level(footprints[1], dither_v),
    )


def _level(footprint, dither):
    # A sample stands for half a pixel; filtering over a little more than
    # that keeps edges crisp and motion calm.
    return np.floor(
        np.log2(np.maximum(1.4 * footprint, 1.0)) + dither
    ).astype(np.int32)


def _tinted(texel, tint):
    reflectance = texel[:, :3] * np.float32(1 / 255)
    reflectance *= reflectance
    weight = texel[:, 3:] * np.float32(1 / 255)
    return reflectance * (1 + weight * (tint - 1))


def _lit(light, reflectance, facing, upward, shadows, where):
    sunny = facing * shadows.sunlight(where)
    open_sky = (0.75 + 0.25 * upward) * shadows.openness(where)
    return reflectance * (
        light.sun.astype(np.float32) * sunny[:, None]
        + light.ambient.astype(np.float32) * open_sky[:, None]
    )


def _round_colour(
    rounds, atlas, light, shadows, number, where, depth, step, dither
):
    matrices = rounds.unit_from_world.astype(np.float32)
    relative = where - rounds.centre.astype(np.float32)[number]
    q = np.einsum("nij,nj->in", matrices[number], relative)
    density = rounds.density.astype(np.float32)[number]
    u, v = leaf_coordinates(
        q,
        rounds.radii.astype(np.float32)[number].T,
        density,
        rounds.uv_offset.astype(np.float32)[number].T,
    )
    level = _level(density * depth * np.float32(step), dither)
    texel = atlas.sample(rounds.tile[number], u, v, level, level)
    leafy = rounds.leafy[number]
    texel[leafy, 3] = 255.0

    q[1, rounds.cylinder[number]] = 0
    normal = np.einsum("nij,in->nj", matrices[number], q)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    facing = normal @ light.to_sun.astype(np.float32)
    # Leaves scatter and let light through: half of the shade side glows.
    facing = np.where(leafy, 0.35 + 0.65 * facing, facing)
    return _lit(
        light,
        _tinted(texel, rounds.tint.astype(np.float32)[number]),
        np.maximum(facing, 0),
        -normal[:, 1],
        shadows,
        where,
    )


def _sky(atlas, light, directions, step, dither):
    """Gradient and clouds by direction alone: the sky is infinitely far."""
    up = -directions[:, 1] / np.linalg.norm(directions, axis=1)
    rise = np.clip(up * 1.8, 0, 1)[:, None] ** np.float32(0.6)
    horizon = light.horizon.astype(np.float32)
    colour = horizon + rise * (light.zenith.astype(np.float32) - horizon)
    # Clouds lie on a plane overhead, flattened towards the horizon.
    reach = 420 / (np.maximum(up, 0) + 0.18)
    u = directions[:, 0] * reach
    v = directions[:, 2] * reach
    level = _level(reach * np.float32(step), dither)
    cover = atlas.sample(
        np.full(len(up), light.cloud_tile), u, v, level, level + 1
    )[:, 3]
    cover = np.clip(2.2 * (cover / 255 - 0.5 + light.cloud_cover), 0, 1)
    cover *= np.clip(up * 7, 0, 1) * (0.9 * (2 - cover))
    white = np.array([1.0, 0.99, 0.97], np.float32) * light.horizon.max() * 1.1
    return colour + cover[:, None] * (white - colour)

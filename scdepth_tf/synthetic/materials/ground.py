"""Road, pavement, kerb and grass."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.materials.canvas import Canvas

ROAD_DENSITY = (16.0, 25.0)
"""Texels per metre along and across the road."""

ROAD_MIDDLE = 128.0
"""u of the centre line."""

_ROAD_SHAPE = (2048, 256)
_WHITE = 0.93


def road(
    rng: np.random.Generator, half_width: float, shade: float, lane_line: str
) -> np.ndarray:
    """Asphalt with patches, cracks, covers and markings; 128 × 10 m.

    Args:
      rng: source of randomness.
      half_width: metres from the centre line to the kerb.
      shade: display brightness of clean asphalt, [0, 1].
      lane_line: "dashed", "solid", "double" or "none".
    """
    along, across = ROAD_DENSITY
    rows, columns = _ROAD_SHAPE
    canvas = Canvas(_ROAD_SHAPE, shade, size=(columns / across, rows / along))
    _draw_patches(rng, canvas, half_width, shade)
    side = np.abs(np.arange(columns) + 0.5 - ROAD_MIDDLE) / across
    lane = np.abs(side - half_width / 2)
    canvas.grain(
        0.05 * np.exp(-(((lane - 0.75) / 0.25) ** 2)),  # polished by wheels
        -0.08 * np.exp(-((lane / 0.3) ** 2)),  # oil between them
        -0.2 * np.exp(-(((side - half_width) / 0.35) ** 2)),  # gutter
        0.09 * canvas.noise(rng, 1.3, largest=120),
        0.06 * canvas.noise(rng, 1.8),
        0.10 * canvas.noise(rng, 0.0),
    )
    _draw_cracks(rng, canvas, half_width)
    _draw_markings(rng, canvas, half_width, lane_line)
    for _ in range(10):  # covers
        x = canvas.width / 2 + rng.uniform(-0.8, 0.8) * half_width
        z = rng.uniform(1, canvas.height - 1)
        canvas.disc(x, z, 0.38, 0.85 * shade)
        canvas.disc(x, z, 0.31, rng.uniform(0.2, 0.3))
    return canvas.texels


def _draw_patches(rng, canvas, half_width, shade):
    middle = canvas.width / 2
    for _ in range(int(rng.integers(26, 50))):
        x = middle + rng.uniform(-half_width, half_width - 0.5)
        z = rng.uniform(0, canvas.height)
        wide, long = rng.uniform(0.5, 2.4), rng.uniform(0.8, 7.0)
        tone = shade * rng.uniform(0.72, 1.2)
        canvas.box(x, z, x + wide, z + long, tone)
    if rng.random() < 0.6:  # a trench, filled again
        x = middle + rng.uniform(-0.8, 0.6) * half_width
        wide = rng.uniform(0.5, 1.0)
        canvas.box(x, 0, x + wide, canvas.height, 0.82 * shade)


def _draw_cracks(rng, canvas, half_width):
    texels = canvas.texels[..., :3]
    rows, columns = texels.shape[:2]
    along, across = ROAD_DENSITY
    for _ in range(36):
        steps = np.arange(int(rng.uniform(30, 180)))
        walk = np.cumsum(rng.normal(0, 0.5, steps.size))
        u = ROAD_MIDDLE + rng.uniform(-1, 1) * half_width * across
        v = rng.uniform(0, rows)
        lengthwise = rng.random() < 0.6
        u = u + (0.6 * walk if lengthwise else 0.8 * steps)
        v = v + (steps if lengthwise else 1.3 * walk)
        u, v = u.astype(int) % columns, v.astype(int) % rows
        texels[v, u] *= 0.62
        texels[v, (u + 1) % columns] *= 0.85
    joints = np.arange(rng.uniform(4, 12), canvas.height, rng.uniform(11, 24))
    texels[(joints * along).astype(int)] *= 0.7


def _draw_markings(rng, canvas, half_width, lane_line):
    middle, end = canvas.width / 2, canvas.height
    asphalt = canvas.texels.copy()
    canvas.texels[:] = 0
    if lane_line == "dashed":
        period = end / round(end / rng.choice([6.0, 9.0, 12.0]))
        for z in np.arange(0, end, period):
            canvas.bar(middle, z, 0.14, period / 3, _WHITE)
    elif lane_line == "solid":
        canvas.bar(middle, 0, 0.14, end, _WHITE)
    elif lane_line == "double":
        canvas.bar(middle - 0.13, 0, 0.12, end, _WHITE)
        canvas.bar(middle + 0.13, 0, 0.12, end, _WHITE)
    if rng.random() < 0.6:
        edge = half_width - rng.uniform(0.25, 0.5)
        canvas.bar(middle - edge, 0, 0.12, end, _WHITE)
        canvas.bar(middle + edge, 0, 0.12, end, _WHITE)
    for z in np.arange(rng.uniform(20, 60), end - 6, rng.uniform(50, 90)):
        for x in np.arange(-half_width + 0.65, half_width - 0.25, 1.0):
            canvas.bar(middle + x, z, 0.5, 3.0, _WHITE)  # zebra crossing
    worn = 0.82 + 0.18 * np.clip(canvas.noise(rng, 0.8) + 0.9, 0, 1)
    cover = 0.75 * (canvas.texels[..., :1] > 0)
    canvas.texels *= worn[..., None]
    canvas.texels[:] = asphalt + cover * (canvas.texels - asphalt)


def paving(rng: np.random.Generator, kind: str, colour) -> np.ndarray:
    """Pavement of "slabs", "setts" or "asphalt"; 4 m square."""
    canvas = Canvas((256, 256), colour)
    if kind == "asphalt":
        canvas.grain(0.08 * canvas.noise(rng, 0.3))
    else:
        height, width = {"slabs": (32, 32), "setts": (8, 16)}[kind]
        v, u = np.mgrid[:256, :256]
        u = u + v // height % 2 * (width // 2)  # every other row shifted
        tone = rng.normal(0, 0.07, (256 // height, 256 // width))
        joint = (v % height == 0) | (u % width == 0)
        canvas.grain(
            tone[v // height, u // width % tone.shape[1]],
            -0.25 * joint,
            0.06 * canvas.noise(rng, 0.2),
        )
    canvas.grain(0.07 * canvas.noise(rng, 1.5))
    return canvas.texels


def grass(rng: np.random.Generator, colour) -> np.ndarray:
    """Lawn, 4 m square."""
    canvas = Canvas((256, 256), colour)
    canvas.grain(0.22 * canvas.noise(rng, 0.5), 0.12 * canvas.noise(rng, 1.6))
    dry = 0.35 * np.clip(canvas.noise(rng, 1.4) - 0.6, 0, 1)[..., None]
    canvas.texels[..., :3] += dry * (
        (0.62, 0.56, 0.34) - canvas.texels[..., :3]
    )
    return canvas.texels


def kerb(rng: np.random.Generator) -> np.ndarray:
    """Kerb stones, 1 m square."""
    canvas = Canvas((64, 64), 0.62)
    canvas.grain(0.12 * canvas.noise(rng, 0.7))
    canvas.texels[:, :2, :3] *= 0.7
    return canvas.texels

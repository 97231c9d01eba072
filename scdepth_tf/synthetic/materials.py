"""Painted tiles: asphalt, walls, leaves, the sides of cars.

Tiles are `[height, width, 4]` float32 in [0, 1]: RGB as displayed (the
square root of linear), A the weight of the surface's own tint.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.textures import noise

ROAD_DENSITY = (16.0, 25.0)
"""Texels per metre along and across the road."""

_ROAD_SIZE = (2048, 256)
DETAIL_DENSITY = 64.0
"""Texels per metre of small repeating tiles."""


def _canvas(shape, colour, tinted: float = 0.0) -> np.ndarray:
    tile = np.empty((*shape, 4), np.float32)
    tile[..., :3] = colour
    tile[..., 3] = tinted
    return tile


def _grain(tile: np.ndarray, amount: np.ndarray) -> None:
    """Scale brightness by 1 + amount `[height, width]`."""
    tile[..., :3] *= (1 + amount)[..., None]


@dataclasses.dataclass
class _Painter:
    """Rectangles and ellipses on a tile, in a unit of its own."""

    tile: np.ndarray
    width: float
    height: float

    def _span(self, low, high, length, texels):
        return (
            int(np.clip(round(low / length * texels), 0, texels)),
            int(np.clip(round(high / length * texels), 0, texels)),
        )

    def rectangle(self, x0, y0, x1, y1, colour, tinted=0.0):
        rows, columns = self.tile.shape[:2]
        left, right = self._span(x0, x1, self.width, columns)
        top, bottom = self._span(y0, y1, self.height, rows)
        self.tile[top:bottom, left:right, :3] = colour
        self.tile[top:bottom, left:right, 3] = tinted

    def ellipse(self, x, y, radius_x, radius_y, colour, tinted=0.0):
        rows, columns = self.tile.shape[:2]
        u = (np.arange(columns) + 0.5) * self.width / columns
        v = (np.arange(rows)[:, None] + 0.5) * self.height / rows
        inside = ((u - x) / radius_x) ** 2 + ((v - y) / radius_y) ** 2 <= 1
        self.tile[inside, :3] = colour
        self.tile[inside, 3] = tinted


# Ground -------------------------------------------------------------------


def road(
    rng: np.random.Generator, half_width: float, shade: float, lane_line: str
) -> np.ndarray:
    """Asphalt with markings, patches, cracks, joints and covers.

    u runs across the road, its middle at the tile's; v along it.

    Args:
      rng: source of randomness.
      half_width: metres from the centre line to the kerb.
      shade: display brightness of clean asphalt, [0, 1].
      lane_line: "dashed", "solid", "double" or "none".
    """
    rows, columns = _ROAD_SIZE
    tile = _canvas(_ROAD_SIZE, shade * np.array([1.0, 1.0, 1.02]))
    along, across = ROAD_DENSITY
    paint = _Painter(tile, columns / across, rows / along)
    middle = paint.width / 2
    for _ in range(int(rng.integers(26, 50))):
        x = middle + rng.uniform(-half_width, half_width - 0.5)
        z = rng.uniform(0, paint.height)
        size = rng.uniform(0.5, 2.4), rng.uniform(0.8, 7.0)
        paint.rectangle(
            x, z, x + size[0], z + size[1], shade * rng.uniform(0.72, 1.2)
        )
    if rng.random() < 0.6:  # a trench, filled again
        x = middle + rng.uniform(-0.8, 0.6) * half_width
        paint.rectangle(
            x, 0, x + rng.uniform(0.5, 1.0), paint.height, shade * 0.82
        )
    # Wheel tracks are polished, the strip between them oily.
    across = (np.arange(columns) + 0.5) / across - middle
    lane = half_width / 2
    tracks = np.exp(-(((np.abs(np.abs(across) - lane) - 0.75) / 0.25) ** 2))
    oil = np.exp(-(((np.abs(across) - lane) / 0.3) ** 2))
    gutter = np.exp(-(((np.abs(across) - half_width) / 0.35) ** 2))
    _grain(
        tile,
        0.05 * tracks - 0.08 * oil - 0.2 * gutter
        + 0.09 * noise(rng, _ROAD_SIZE, 1.3, 120)
        + 0.06 * noise(rng, _ROAD_SIZE, 1.8)
        + 0.10 * noise(rng, _ROAD_SIZE, 0.0),
    )  # fmt: skip
    _draw_cracks(rng, tile, paint, middle, half_width)
    worn = 0.82 + 0.18 * np.clip(noise(rng, _ROAD_SIZE, 0.8) + 0.9, 0, 1)
    lines = _canvas(_ROAD_SIZE, 0.0)
    _draw_lines(rng, _Painter(lines, paint.width, paint.height), half_width, lane_line)
    marked = lines[..., 0] > 0
    tile[marked, :3] = (
        tile[marked, :3] * 0.25
        + lines[marked, :3] * 0.75 * worn[marked, None]
    )
    for _ in range(10):
        x = middle + rng.uniform(-0.8, 0.8) * half_width
        z = rng.uniform(1, paint.height - 1)
        paint.ellipse(x, z, 0.38, 0.38, shade * 0.85)
        paint.ellipse(x, z, 0.31, 0.31, rng.uniform(0.2, 0.3))
    return tile


def _draw_cracks(rng, tile, paint, middle, half_width):
    rows, columns = tile.shape[:2]
    for _ in range(36):
        along = rng.random() < 0.6
        length = int(rng.uniform(30, 180))
        walk = np.cumsum(rng.normal(0, 0.55, length)) * (0.6 if along else 1.0)
        start_u = (middle + rng.uniform(-1, 1) * half_width) * ROAD_DENSITY[1]
        start_v = rng.uniform(0, rows)
        steps = np.arange(length)
        u, v = (walk, steps) if along else (steps * 0.8, walk * 1.3)
        u = (start_u + u).astype(int) % columns
        v = (start_v + v).astype(int) % rows
        tile[v, u, :3] *= 0.62
        tile[v, (u + 1) % columns, :3] *= 0.85
    for z in np.arange(rng.uniform(4, 12), paint.height, rng.uniform(11, 24)):
        row = int(z * ROAD_DENSITY[0])
        tile[row : row + 2, :, :3] *= 0.75


def _draw_lines(rng, paint, half_width, lane_line):
    middle, white = paint.width / 2, 0.93
    edge = half_width - rng.uniform(0.25, 0.5)
    period = paint.height / round(paint.height / rng.choice([6.0, 9.0, 12.0]))
    if lane_line == "dashed":
        for z in np.arange(0, paint.height, period):
            paint.rectangle(
                middle - 0.07, z, middle + 0.07, z + period / 3, white
            )
    elif lane_line == "solid":
        paint.rectangle(middle - 0.07, 0, middle + 0.07, paint.height, white)
    elif lane_line == "double":
        for side in (-0.13, 0.13):
            paint.rectangle(
                middle + side - 0.06, 0, middle + side + 0.06, paint.height,
                white,
            )  # fmt: skip
    if rng.random() < 0.6:
        for side in (-1, 1):
            x = middle + side * edge
            paint.rectangle(x - 0.06, 0, x + 0.06, paint.height, white)
    for z in np.arange(
        rng.uniform(20, 60), paint.height - 6, rng.uniform(50, 90)
    ):  # zebra crossings
        for x in np.arange(-half_width + 0.4, half_width - 0.5, 1.0):
            paint.rectangle(middle + x, z, middle + x + 0.5, z + 3.0, white)


def paving(rng: np.random.Generator, kind: str, colour) -> np.ndarray:
    """Pavement: "slabs", "setts" or "asphalt"; 4 m square."""
    shape = (256, 256)
    tile = _canvas(shape, colour)
    if kind == "asphalt":
        _grain(tile, 0.08 * noise(rng, shape, 0.3) + 0.06 * noise(rng, shape, 1.5))
        return tile
    slab = {"slabs": (32, 32), "setts": (8, 16)}[kind]
    rows, columns = shape[0] // slab[0], shape[1] // slab[1]
    tone = rng.normal(0, 0.07, (rows, columns))
    v, u = np.mgrid[:256, :256]
    u = u + (v // slab[0] % 2) * (slab[1] // 2)
    cells = tone[v // slab[0], u // slab[1] % columns]
    joint = (v % slab[0] == 0) | (u % slab[1] == 0)
    _grain(
        tile,
        cells - 0.25 * joint
        + 0.06 * noise(rng, shape, 0.2) + 0.07 * noise(rng, shape, 1.5),
    )  # fmt: skip
    return tile


def grass(rng: np.random.Generator, colour) -> np.ndarray:
    """Lawn, 4 m square."""
    shape = (256, 256)
    tile = _canvas(shape, colour)
    _grain(
        tile,
        0.22 * noise(rng, shape, 0.5) + 0.12 * noise(rng, shape, 1.6),
    )
    dry = np.clip(noise(rng, shape, 1.4) - 0.6, 0, 1)[..., None] * 0.35
    tile[..., :3] += dry * (np.array([0.62, 0.56, 0.34]) - tile[..., :3])
    return tile


def kerb(rng: np.random.Generator) -> np.ndarray:
    shape = (64, 64)
    tile = _canvas(shape, 0.62)
    _grain(tile, 0.12 * noise(rng, shape, 0.7))
    tile[:, :2, :3] *= 0.7
    return tile


# Walls --------------------------------------------------------------------


def wall(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Bare wall to be tinted: "brick", "plaster" or "boards"; 4 m square."""
    shape = (256, 256)
    tile = _canvas(shape, 0.86, tinted=1.0)
    _grain(tile, _wall_relief(rng, kind, shape, DETAIL_DENSITY))
    return tile


def _wall_relief(rng, kind, shape, density):
    rows, columns = shape
    weather = 0.05 * noise(rng, shape, 1.4) + 0.03 * noise(rng, shape, 0.2)
    v, u = np.mgrid[:rows, :columns]
    if kind == "plaster":
        return weather + 0.03 * noise(rng, shape, 0.6)
    if kind == "boards":
        step = max(int(0.18 * density), 3)
        return weather - 0.22 * (v % step == 0) + 0.03 * (v // step % 3 - 1)
    height = max(int(0.09 * density), 3)
    length = max(int(0.26 * density), 6)
    course = v // height
    shifted = u + (course % 2) * (length // 2)
    tone = rng.normal(0, 0.10, (rows // height + 1, columns // length + 2))
    bricks = tone[course, shifted // length]
    joint = (v % height == 0) | (shifted % length == 0)
    return weather + np.where(joint, 0.18, bricks)


@dataclasses.dataclass(frozen=True)
class Facade:
    """What one house front shows.

    Attributes:
      width, height: metres.
      storeys: rows of windows.
      kind: wall material, as `wall` takes it.
      colour: display RGB of the wall.
      trim: display RGB of frames and sills.
      shop: the ground floor is one.
    """

    width: float
    height: float
    storeys: int
    kind: str
    colour: np.ndarray
    trim: np.ndarray
    shop: bool


def facade(rng: np.random.Generator, design: Facade) -> np.ndarray:
    """A house front from eaves (v = 0) to ground; 256 texels square."""
    shape = (256, 256)
    tile = _canvas(shape, design.colour)
    density = 256 / max(design.width, design.height)
    _grain(tile, _wall_relief(rng, design.kind, shape, density))
    paint = _Painter(tile, design.width, design.height)
    storey = design.height / design.storeys
    bays = max(2, round(design.width / rng.uniform(2.3, 3.4)))
    bay = design.width / bays
    size = min(bay * rng.uniform(0.38, 0.58), 1.9), storey * rng.uniform(0.46, 0.6)
    panes = int(rng.integers(1, 4))
    shutters = rng.random() < 0.3
    shutter = rng.uniform(0.15, 0.6, 3)
    door_bay = int(rng.integers(bays))
    accent = rng.random() < 0.5
    for floor in range(design.storeys):
        top = floor * storey
        ground = floor == design.storeys - 1
        if accent and floor:
            paint.rectangle(
                0, top - 0.09, design.width, top + 0.09, design.trim * 0.95
            )
        if ground and design.shop:
            _draw_shop(rng, paint, design, top, storey)
            continue
        for column in range(bays):
            x = (column + 0.5) * bay
            y = top + storey * 0.24
            if ground and column == door_bay:
                _draw_door(rng, paint, design, x, top + storey)
                continue
            if shutters:
                wide = size[0] * 0.45
                for side in (-1, 1):
                    centre = x + side * (size[0] / 2 + wide / 2 + 0.08)
                    paint.rectangle(
                        centre - wide / 2, y - 0.05,
                        centre + wide / 2, y + size[1] + 0.05, shutter,
                    )  # fmt: skip
            _draw_window(rng, paint, design, x, y, size, panes)
    if design.kind == "plaster" or rng.random() < 0.4:
        paint.rectangle(
            0, design.height - rng.uniform(0.3, 0.8), design.width,
            design.height, design.colour * rng.uniform(0.55, 0.8),
        )  # fmt: skip
    # Rain stains from the eaves, splashes from the ground.
    v = (np.arange(256)[:, None] + 0.5) / 256
    streaks = np.clip(noise(rng, shape, 0.9, 40)[:1] + 0.3, 0, 1)
    _grain(
        tile,
        -0.12 * streaks * np.exp(-v * 6)
        - 0.18 * np.exp(-((1 - v) * design.height / 0.5))
        + 0.03 * noise(rng, shape, 0.3),
    )
    return tile


def _draw_window(rng, paint, design, x, y, size, panes):
    half, tall = size[0] / 2, size[1]
    paint.rectangle(
        x - half - 0.1, y - 0.12, x + half + 0.1, y + tall + 0.1, design.trim
    )
    paint.rectangle(
        x - half - 0.18, y + tall + 0.06, x + half + 0.18, y + tall + 0.18,
        design.trim * 0.8,
    )  # fmt: skip
    dark = rng.uniform(0.14, 0.3)
    glass = dark * np.array([0.9, 1.0, 1.15])
    paint.rectangle(x - half, y, x + half, y + tall, glass)
    # The sky mirrored in the upper part, curtains or blinds behind.
    paint.rectangle(x - half, y, x + half, y + tall * rng.uniform(0.2, 0.5), glass + 0.16)
    inside = rng.random()
    if inside < 0.35:
        cloth = rng.uniform(0.55, 0.9) * np.array([1.0, 0.97, 0.9])
        for side in (-1, 1):
            edge = x + side * half
            inner = edge - side * half * rng.uniform(0.3, 0.6)
            paint.rectangle(
                min(edge, inner), y, max(edge, inner), y + tall, cloth * 0.8
            )
    elif inside < 0.5:
        paint.rectangle(
            x - half, y, x + half, y + tall * rng.uniform(0.3, 0.9), 0.72
        )
    for bar in range(1, panes):
        at = x - half + size[0] * bar / panes
        paint.rectangle(at - 0.04, y, at + 0.04, y + tall, design.trim)
    paint.rectangle(
        x - half, y + tall * 0.38, x + half, y + tall * 0.38 + 0.06, design.trim
    )
    paint.rectangle(x - half, y, x + half, y + 0.1, glass * 0.6)


def _draw_door(rng, paint, design, x, bottom):
    colour = rng.uniform(0.15, 0.65, 3)
    tall = 2.15
    paint.rectangle(x - 0.65, bottom - tall - 0.45, x + 0.65, bottom, design.trim)
    paint.rectangle(x - 0.5, bottom - tall, x + 0.5, bottom, colour)
    paint.rectangle(x - 0.5, bottom - tall - 0.35, x + 0.5, bottom - tall - 0.08, 0.25)
    for row in (0.25, 1.15):
        paint.rectangle(
            x - 0.35, bottom - tall + row, x + 0.35,
            bottom - tall + row + 0.7, colour * 0.75,
        )  # fmt: skip
    paint.rectangle(x - 0.8, bottom - 0.15, x + 0.8, bottom, 0.55)


def _draw_shop(rng, paint, design, top, storey):
    board = rng.uniform(0.1, 0.8, 3)
    w = design.width
    paint.rectangle(0.2, top + 0.1, w - 0.2, top + storey, board * 0.7)
    paint.rectangle(0.2, top + 0.15, w - 0.2, top + 0.75, board)
    x = 0.8
    while x < w - 1.2:  # lettering
        step = rng.uniform(0.15, 0.4)
        paint.rectangle(x, top + 0.3, x + step, top + 0.6, 0.92)
        x += step + rng.choice([0.1, 0.12, 0.5])
    for x in np.arange(0.5, w - 1.6, 2.0):
        paint.rectangle(x, top + 0.95, x + 1.7, top + storey - 0.35, (0.2, 0.23, 0.26))
        for _ in range(7):
            gx, gy = x + rng.uniform(0.05, 1.4), top + storey - rng.uniform(0.6, 1.6)
            paint.rectangle(
                gx, gy, gx + rng.uniform(0.1, 0.4), gy + rng.uniform(0.15, 0.5),
                rng.uniform(0.2, 0.9, 3),
            )  # fmt: skip
        paint.rectangle(x, top + 0.95, x + 1.7, top + 1.15, (0.5, 0.55, 0.6))


def roof_tiles(rng: np.random.Generator) -> np.ndarray:
    """Rows of roof tiles to be tinted, 4 m square."""
    shape = (256, 256)
    tile = _canvas(shape, 0.8, tinted=1.0)
    v, u = np.mgrid[:256, :256]
    tone = rng.normal(0, 0.10, (16, 32))[v // 16, u // 8]
    _grain(
        tile,
        tone - 0.3 * (v % 16 < 2) - 0.12 * (u % 8 == 0)
        + 0.05 * noise(rng, shape, 1.4) + 0.05 * noise(rng, shape, 0.2),
    )  # fmt: skip
    return tile


# Plants -------------------------------------------------------------------


def leaves(rng: np.random.Generator, holes: float) -> np.ndarray:
    """Foliage to be tinted, 4 m square; A is coverage.

    Args:
      rng: source of randomness.
      holes: share of the surface left open, [0, 1).
    """
    shape = (256, 256)
    tile = _canvas(shape, 0.62)
    clumps = noise(rng, shape, 1.2, 28)
    fine = noise(rng, shape, 0.5, 8)
    _grain(
        tile,
        0.26 * np.clip(clumps, -1.8, 2) + 0.2 * np.clip(fine, -2, 2)
        + 0.08 * noise(rng, shape, 0.0),
    )  # fmt: skip
    height = clumps + 0.5 * fine
    edge = np.quantile(height, holes)
    tile[..., 3] = np.clip((height - edge) * 2 + 0.5, 0, 1)
    return tile


def hedge(rng: np.random.Generator) -> np.ndarray:
    """Clipped foliage to be tinted, 4 m square, without holes."""
    tile = leaves(rng, holes=0.1)
    tile[..., 3] = 1.0
    return tile


def bark(rng: np.random.Generator) -> np.ndarray:
    shape = (128, 128)
    tile = _canvas(shape, 0.4, tinted=1.0)
    _grain(tile, 0.25 * noise(rng, shape, 0.8, 24, stretch=0.25))
    return tile


# Things -------------------------------------------------------------------


def plain(rng: np.random.Generator, grain: float = 0.05) -> np.ndarray:
    """Near white, to be tinted: metal, paint, plastic; 64 texels square."""
    shape = (64, 64)
    tile = _canvas(shape, 0.95, tinted=1.0)
    _grain(tile, grain * noise(rng, shape, 0.8))
    return tile


def fence(rng: np.random.Generator) -> np.ndarray:
    """Upright boards to be tinted; 2 m square."""
    shape = (128, 128)
    tile = _canvas(shape, 0.85, tinted=1.0)
    v, u = np.mgrid[:128, :128]
    tone = rng.normal(0, 0.09, 16)[u // 8]
    _grain(
        tile, tone - 0.4 * (u % 8 == 0) + 0.08 * noise(rng, shape, 0.9, stretch=0.3)
    )
    return tile


_GLYPHS = {
    "3": ("###", "..#", "###", "..#", "###"),
    "5": ("###", "#..", "###", "..#", "###"),
    "7": ("###", "..#", ".#.", ".#.", ".#."),
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "P": ("###", "#.#", "###", "#..", "#.."),
    "!": (".#.", ".#.", ".#.", "...", ".#."),
    "^": (".#.", "###", ".#.", ".#.", ".#."),
    "-": ("...", "...", "###", "###", "..."),
}


def sign(border, face, text: str, ink) -> np.ndarray:
    """A road sign, 64 texels square: a disc on its border, with glyphs."""
    tile = _canvas((64, 64), border)
    paint = _Painter(tile, 1, 1)
    paint.ellipse(0.5, 0.5, 0.39, 0.39, face)
    size = 0.36 / max(2.6, 3.6 * len(text) - 0.6) * 1.7
    left = 0.5 - size * (4 * len(text) - 1) / 2
    for place, glyph in enumerate(text):
        for row, line in enumerate(_GLYPHS[glyph]):
            for column, dot in enumerate(line):
                x = left + size * (4 * place + column)
                y = 0.5 + size * 1.15 * (row - 2.5)
                if dot == "#":
                    paint.rectangle(x, y, x + size, y + size * 1.15, ink)
    return tile


def window(rng: np.random.Generator, trim) -> np.ndarray:
    """One window with its frame, 64 texels square."""
    tile = _canvas((64, 64), trim)
    design = Facade(1.0, 1.4, 1, "plaster", np.ones(3), np.asarray(trim), False)
    paint = _Painter(tile, 1.0, 1.4)
    _draw_window(rng, paint, design, 0.5, 0.1, (0.82, 1.2), 2)
    return tile


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Cover of clouds in A, 512 texels square."""
    shape = (512, 512)
    tile = _canvas(shape, 1.0)
    tile[..., 3] = np.clip(noise(rng, shape, 1.9, 200) * 0.25 + 0.5, 0, 1)
    return tile


def car_side(rng: np.random.Generator, length: float, height: float, axles):
    """Door lines, sill, handles and wheel arches; u from nose to tail."""
    tile = _canvas((64, 256), 0.93, tinted=1.0)
    paint = _Painter(tile, length, height)
    _grain(tile, 0.02 * noise(rng, (64, 256), 1.2))
    seams = length * np.array([0.27, 0.50, 0.72])
    for x in seams:
        paint.rectangle(x - 0.012, 0, x + 0.012, height * 0.8, 0.45, 1.0)
    for x in seams[1:]:
        paint.rectangle(x - 0.25, 0.12, x - 0.07, 0.17, 0.5, 1.0)
    paint.rectangle(0, height * 0.34, length, height * 0.37, 0.72, 1.0)
    paint.rectangle(0, height * 0.84, length, height, 0.16)
    paint.rectangle(0, 0.03, 0.22, height * 0.28, 0.85)
    paint.rectangle(length - 0.2, 0.03, length, height * 0.32, (0.6, 0.08, 0.06))
    for x in axles:
        paint.ellipse(x, height + 0.03, 0.40, 0.42, 0.07)
    return tile


def car_face(rng: np.random.Generator, rear: bool) -> np.ndarray:
    """Front or rear: lights, grille, bumper, plate; 2:1."""
    tile = _canvas((64, 128), 0.93, tinted=1.0)
    paint = _Painter(tile, 2, 1)
    _grain(tile, 0.02 * noise(rng, (64, 128), 1.2))
    lamp = (0.62, 0.05, 0.05) if rear else (0.92, 0.92, 0.86)
    for x in (0.03, 1.55):
        paint.rectangle(x, 0.1, x + 0.42, 0.38, lamp)
        if rear:
            paint.rectangle(x + 0.12, 0.28, x + 0.3, 0.36, (0.9, 0.55, 0.3))
        else:
            paint.ellipse(x + 0.21, 0.24, 0.1, 0.1, 0.7)
    if not rear:
        paint.rectangle(0.5, 0.12, 1.5, 0.36, 0.13)
        for y in (0.17, 0.24, 0.31):
            paint.rectangle(0.52, y, 1.48, y + 0.02, 0.5)
    paint.rectangle(0, 0.62, 2, 0.66, 0.5, 1.0)
    paint.rectangle(0, 0.82, 2, 1, 0.14)
    paint.rectangle(0.3, 0.72, 1.7, 0.84, 0.2)
    y = 0.46 if rear else 0.64
    paint.rectangle(0.72, y, 1.28, y + 0.14, (0.9, 0.9, 0.84))
    for x in np.arange(0.78, 1.2, 0.08):
        paint.rectangle(x, y + 0.04, x + 0.045, y + 0.1, 0.15)
    return tile


def car_glass(rng: np.random.Generator, posts) -> np.ndarray:
    """Windows between body-coloured posts, darker towards the belt.

    `posts` are (from, to) shares of the width left in body colour.
    """
    tile = _canvas((64, 128), 0.9, tinted=1.0)
    v = np.linspace(0, 1, 64)[:, None]
    glass = 0.42 - 0.3 * v**0.7 + 0.02 * noise(rng, (64, 128), 1.6)
    clear = np.ones(128, bool)
    for low, high in posts:
        clear[int(low * 128) : int(np.ceil(high * 128))] = False
    window = clear & (v > 0.1) & (v < 0.97)
    tile[window, :3] = (
        glass[window, None] * np.array([0.92, 1.0, 1.08])
    )
    tile[window, 3] = 0.0
    return tile


def wheel(rng: np.random.Generator) -> np.ndarray:
    """Tyre and hub seen from the side; 64 texels across the wheel."""
    tile = _canvas((64, 64), 0.1)
    spokes = int(rng.integers(5, 9))
    v, u = (np.mgrid[:64, :64] + 0.5) / 32 - 1
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    rim = radius < 0.68
    open_part = rim & (np.cos(angle * spokes) < -0.2) & (radius > 0.2)
    tile[rim, :3] = 0.66
    tile[open_part, :3] = 0.16
    return tile

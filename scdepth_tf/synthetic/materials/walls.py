"""House fronts, bare walls, roofs, windows and fences."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.materials.canvas import DENSITY, Canvas

FRONT_TEXELS = 256
"""Side of a painted house front."""

WINDOW_TEXELS = 64
"""Side of a single painted window."""


@dataclasses.dataclass(frozen=True)
class Facade:
    """What a house front shows.

    Attributes:
      width: metres.
      height: metres from ground to eaves.
      storeys: rows of windows.
      kind: material, as `wall` takes it.
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

    @property
    def storey(self) -> float:
        """Height of a storey, metres."""
        return self.height / self.storeys


def wall(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Bare "brick", "plaster" or "boards" to be tinted; 4 m square."""
    canvas = Canvas((256, 256), 0.86, tinted=1.0)
    canvas.grain(_relief(rng, canvas, kind, DENSITY, DENSITY))
    return canvas.texels


def _relief(rng, canvas, kind, across, up):
    """Brightness of a wall material; `across`, `up` are texels a metre."""
    rows, columns = canvas.texels.shape[:2]
    v, u = np.mgrid[:rows, :columns]
    weather = 0.05 * canvas.noise(rng, 1.4) + 0.03 * canvas.noise(rng, 0.2)
    if kind == "plaster":
        return weather + 0.03 * canvas.noise(rng, 0.6)
    if kind == "boards":
        step = max(round(0.18 * up), 3)
        return weather - 0.22 * (v % step == 0) + 0.03 * (v // step % 3 - 1)
    height, length = max(round(0.1 * up), 3), max(round(0.28 * across), 6)
    u = u + v // height % 2 * (length // 2)  # every other course shifted
    tone = rng.normal(0, 0.1, (rows // height + 1, columns // length + 2))
    mortar = (v % height == 0) | (u % length == 0)
    return weather + np.where(mortar, 0.18, tone[v // height, u // length])


def facade(rng: np.random.Generator, front: Facade) -> np.ndarray:
    """A house front from eaves (v = 0) to ground."""
    canvas = Canvas(
        (FRONT_TEXELS, FRONT_TEXELS),
        front.colour,
        size=(front.width, front.height),
    )
    densities = FRONT_TEXELS / front.width, FRONT_TEXELS / front.height
    canvas.grain(_relief(rng, canvas, front.kind, *densities))
    bays = max(2, round(front.width / rng.uniform(2.3, 3.4)))
    bay = front.width / bays
    size = (
        min(bay * rng.uniform(0.38, 0.58), 1.9),
        front.storey * rng.uniform(0.46, 0.6),
    )
    panes, door = int(rng.integers(1, 4)), int(rng.integers(bays))
    shutters = _sober(rng) if rng.random() < 0.3 else None
    if rng.random() < 0.5:
        for storey in range(1, front.storeys):
            y = storey * front.storey
            canvas.box(0, y - 0.09, front.width, y + 0.09, 0.95 * front.trim)
    if front.kind == "plaster" or rng.random() < 0.4:
        base = front.height - rng.uniform(0.3, 0.8)
        tone = front.colour * rng.uniform(0.55, 0.8)
        canvas.box(0, base, front.width, front.height, tone)
    for storey in range(front.storeys):
        on_ground = storey == front.storeys - 1
        if on_ground and front.shop:
            _draw_shop(rng, canvas, front)
            continue
        for column in range(bays):
            x = (column + 0.5) * bay
            if on_ground and column == door:
                _draw_door(rng, canvas, front.trim, x)
                continue
            y = (storey + 0.24) * front.storey
            if shutters is not None:
                _draw_shutters(canvas, x, y, size, shutters)
            _draw_window(rng, canvas, front.trim, x, y, size, panes)
    # Rain streaks from the eaves, splashes from the ground.
    down = (np.arange(FRONT_TEXELS) + 0.5)[:, None] / FRONT_TEXELS
    streaks = np.clip(canvas.noise(rng, 0.9, largest=40)[:1] + 0.3, 0, 1)
    canvas.grain(
        -0.12 * streaks * np.exp(-6 * down),
        -0.18 * np.exp((down - 1) * front.height / 0.5),
        0.03 * canvas.noise(rng, 0.3),
    )
    return canvas.texels


def window(rng: np.random.Generator) -> np.ndarray:
    """One window with its frame."""
    trim = np.full(3, rng.uniform(0.75, 0.92))
    canvas = Canvas((WINDOW_TEXELS, WINDOW_TEXELS), trim, size=(1.0, 1.4))
    _draw_window(rng, canvas, trim, 0.5, 0.1, (0.82, 1.2), panes=2)
    return canvas.texels


def _sober(rng):
    """Display RGB of doors, shutters and boards: nothing garish."""
    colour = rng.uniform(0.1, 0.6, 3)
    return colour.mean() + 0.6 * (colour - colour.mean())


def _draw_window(rng, canvas, trim, x, y, size, panes):
    """A window centred at x whose glass begins at y."""
    wide, tall = size
    canvas.bar(x, y - 0.12, wide + 0.2, tall + 0.22, trim)
    canvas.bar(x, y + tall + 0.06, wide + 0.36, 0.12, 0.8 * trim)
    glass = rng.uniform(0.14, 0.3) * np.array([0.9, 1.0, 1.15])
    canvas.bar(x, y, wide, tall, glass)
    # The sky mirrored above; behind, curtains or a blind.
    canvas.bar(x, y, wide, tall * rng.uniform(0.2, 0.5), glass + 0.16)
    behind = rng.random()
    if behind < 0.35:
        cloth = rng.uniform(0.45, 0.72) * np.array([1.0, 0.97, 0.9])
        share = rng.uniform(0.15, 0.3)
        for side in (-1, 1):
            middle = x + side * wide * (0.5 - share / 2)
            canvas.bar(middle, y, share * wide, tall, cloth)
    elif behind < 0.5:
        canvas.bar(x, y, wide, tall * rng.uniform(0.3, 0.9), 0.72)
    for pane in range(1, panes):
        canvas.bar(x + wide * (pane / panes - 0.5), y, 0.08, tall, trim)
    canvas.bar(x, y + 0.38 * tall, wide, 0.06, trim)
    canvas.bar(x, y, wide, 0.1, 0.6 * glass)


def _draw_shutters(canvas, x, y, size, colour):
    wide, tall = size
    for side in (-1, 1):
        middle = x + side * (0.725 * wide + 0.08)
        canvas.bar(middle, y - 0.05, 0.45 * wide, tall + 0.1, colour)


def _draw_door(rng, canvas, trim, x):
    colour = _sober(rng)
    top = canvas.height - 2.15
    canvas.bar(x, top - 0.45, 1.3, 2.6, trim)
    canvas.bar(x, top, 1.0, 2.15, colour)
    canvas.bar(x, top - 0.35, 1.0, 0.27, 0.25)
    for y in (top + 0.25, top + 1.15):
        canvas.bar(x, y, 0.7, 0.7, 0.75 * colour)
    canvas.bar(x, canvas.height - 0.15, 1.6, 0.15, 0.55)


def _draw_shop(rng, canvas, front):
    top, bottom = front.height - front.storey, front.height
    middle, wide = front.width / 2, front.width - 0.4
    board = _sober(rng)
    canvas.bar(middle, top + 0.1, wide, front.storey, 0.7 * board)
    canvas.bar(middle, top + 0.15, wide, 0.6, board)
    x = 0.8
    while x < front.width - 1.2:  # lettering
        letter = rng.uniform(0.15, 0.4)
        canvas.box(x, top + 0.3, x + letter, top + 0.6, 0.92)
        x += letter + rng.choice([0.1, 0.12, 0.5])
    for x in np.arange(0.5, front.width - 1.6, 2.0):
        canvas.box(x, top + 0.95, x + 1.7, bottom - 0.35, (0.2, 0.23, 0.26))
        canvas.box(x, top + 0.95, x + 1.7, top + 1.15, (0.5, 0.55, 0.6))
        for _ in range(7):  # goods
            left = x + rng.uniform(0.05, 1.4)
            upper = bottom - rng.uniform(0.6, 1.6)
            wide, tall = rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.5)
            colour = rng.uniform(0.3, 0.8) * rng.uniform(0.7, 1.2, 3)
            canvas.box(left, upper, left + wide, upper + tall, colour)


def roof_tiles(rng: np.random.Generator) -> np.ndarray:
    """Rows of roof tiles to be tinted, 4 m square."""
    canvas = Canvas((256, 256), 0.8, tinted=1.0)
    v, u = np.mgrid[:256, :256]
    canvas.grain(
        rng.normal(0, 0.1, (16, 32))[v // 16, u // 8],
        -0.3 * (v % 16 < 2) - 0.12 * (u % 8 == 0),
        0.05 * canvas.noise(rng, 1.4),
        0.05 * canvas.noise(rng, 0.2),
    )
    return canvas.texels


def fence(rng: np.random.Generator) -> np.ndarray:
    """Upright boards to be tinted, 2 m square."""
    canvas = Canvas((128, 128), 0.85, tinted=1.0)
    u = np.arange(128)
    canvas.grain(
        rng.normal(0, 0.09, 16)[u // 8] - 0.4 * (u % 8 == 0),
        0.08 * canvas.noise(rng, 0.9, stretch=0.3),
    )
    return canvas.texels

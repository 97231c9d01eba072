"""A tile to paint on, measured in a unit of its own."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.textures import noise

DENSITY = 64.0
"""Texels per metre of tiles that repeat."""


class Canvas:
    """One colour to begin with; later strokes cover earlier ones.

    Attributes:
      texels: `[rows, columns, 4]`, the tile.
      width: of the tile, in the unit of every position below.
      height: of the tile.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        colour,
        *,
        tinted: float = 0.0,
        size: tuple[float, float] = (1.0, 1.0),
    ):
        self.texels = np.empty((*shape, 4), np.float32)
        self.texels[..., :3] = colour
        self.texels[..., 3] = tinted
        self.width, self.height = size

    def grain(self, *amounts: np.ndarray) -> None:
        """Scale brightness by 1 + the sum of amounts `[rows, columns]`."""
        self.texels[..., :3] *= (1 + sum(amounts))[..., None]

    def noise(self, rng: np.random.Generator, exponent: float, **options):
        """`textures.noise` of the tile's shape."""
        return noise(rng, self.texels.shape[:2], exponent, **options)

    def fill(self, inside: np.ndarray, colour, tinted: float = 0.0) -> None:
        """Paint where a mask `[rows, columns]` is True."""
        self.texels[inside, :3] = colour
        self.texels[inside, 3] = tinted

    def box(self, x0, y0, x1, y1, colour, tinted: float = 0.0) -> None:
        """Paint a rectangle from (x0, y0) to (x1, y1)."""
        rows, columns = self.texels.shape[:2]
        left, right = (
            int(np.clip(round(x / self.width * columns), 0, columns))
            for x in (x0, x1)
        )
        top, bottom = (
            int(np.clip(round(y / self.height * rows), 0, rows))
            for y in (y0, y1)
        )
        self.texels[top:bottom, left:right, :3] = colour
        self.texels[top:bottom, left:right, 3] = tinted

    def bar(self, x, y, width, height, colour, tinted: float = 0.0) -> None:
        """Paint a rectangle centred at x whose top is at y."""
        self.box(x - width / 2, y, x + width / 2, y + height, colour, tinted)

    def disc(self, x, y, radius, colour) -> None:
        """Paint a disc."""
        rows, columns = self.texels.shape[:2]
        u = (np.arange(columns) + 0.5) * self.width / columns
        v = (np.arange(rows) + 0.5) * self.height / rows
        columns = np.flatnonzero(np.abs(u - x) < radius)
        rows = np.flatnonzero(np.abs(v - y) < radius)
        inside = np.hypot(u[columns] - x, v[rows, None] - y) < radius
        window = self.texels[np.ix_(rows, columns)]
        window[inside] = (*np.broadcast_to(colour, 3), 0.0)
        self.texels[np.ix_(rows, columns)] = window

"""House fronts with roofs, chimneys, dormers, bays and balconies."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic.materials.walls import (
    FRONT_TEXELS,
    WINDOW_TEXELS,
    Facade,
)
from scdepth_tf.synthetic.shapes import Face, Model, box

_EAVES = 0.35
"""Metres by which a roof overhangs the wall."""

_WINDOW_UV = [(0, 0), (WINDOW_TEXELS, 0), (0, WINDOW_TEXELS)]


@dataclasses.dataclass(frozen=True)
class HouseTiles:
    """Tiles of the atlas that a house is covered with."""

    front: int
    wall: int
    roof: int
    window: int
    plain: int


@dataclasses.dataclass(frozen=True)
class House:
    """A house whose front lies in x = 0 and looks towards −X, centred in z.

    Attributes:
      front: what the front shows, and its size.
      tiles: coverings.
      depth: metres from front to back.
      roof: "eaves" (ridge along the street), "gable" (ridge across it) or
        "flat".
      roof_height: metres from the top of the wall to the ridge.
      roof_tint: linear RGB.
    """

    front: Facade
    tiles: HouseTiles
    depth: float
    roof: str
    roof_height: float
    roof_tint: np.ndarray

    def build(self, rng: np.random.Generator) -> Model:
        """The house with what `rng` adds: chimneys, dormers, balconies."""
        shift = rng.uniform(0, 256, 2)
        roof = {
            "eaves": self._eaves_roof,
            "gable": self._gable_roof,
            "flat": self._flat_roof,
        }[self.roof]
        faces = self._walls(shift) + roof(shift) + self._side_windows(rng)
        if self.roof != "flat":
            for _ in range(int(rng.integers(1, 3))):
                faces += self._chimney(rng)
        if self.roof == "eaves" and self.roof_height > 2 and rng.random() < 0.6:
            for share in np.linspace(-0.3, 0.3, int(rng.integers(2, 4))):
                faces += self._dormer(share * self.front.width)
        if self.front.shop:
            faces += self._awning(rng)
        elif self.front.storeys > 2 and rng.random() < 0.5:
            faces += self._balconies(rng.uniform(-0.25, 0.25))
        elif rng.random() < 0.4:
            faces += self._bay(rng.choice([-0.28, 0.28]))
        return Model.of(faces)

    @property
    def _half(self) -> float:
        return self.front.width / 2

    @property
    def _wall_look(self):
        # Squared: display to linear; the wall tile itself is light grey.
        return {"tile": self.tiles.wall, "tint": self.front.colour**2 * 1.3}

    @property
    def _roof_look(self):
        return {"tile": self.tiles.roof, "tint": self.roof_tint}

    def _trim_look(self, brightness: float):
        return {
            "tile": self.tiles.plain,
            "tint": self.front.trim**2 * brightness,
        }

    def _walls(self, shift):
        h, half = self.front.height, self._half
        inside = (self.depth / 2, h / 2, 0)
        front = [(0, h, half), (0, h, -half), (0, 0, -half), (0, 0, half)]
        faces = [
            Face(
                front,
                self.tiles.front,
                inside,
                uv=[(0, 0), (FRONT_TEXELS, 0), (0, FRONT_TEXELS)],
            )
        ]
        for z in (-half, half):
            side = [
                (0, h, z),
                (self.depth, h, z),
                (self.depth, 0, z),
                (0, 0, z),
            ]
            faces.append(
                Face(side, inside=inside, offset=shift, **self._wall_look)
            )
        return faces

    def _side_windows(self, rng):
        faces = []
        size = rng.uniform(0.8, 1.1), rng.uniform(1.1, 1.5)
        for x in self.depth * np.array([0.3, 0.7]):
            for floor in range(self.front.storeys):
                if rng.random() < 0.35:
                    continue
                top = (floor + 0.76) * self.front.storey
                for z, side in ((-self._half - 0.05, "z"), (self._half, "Z")):
                    faces += box(
                        (x - size[0] / 2, x + size[0] / 2),
                        (top - size[1], top),
                        (z, z + 0.05),
                        self.tiles.window,
                        sides=side,
                        uv=_WINDOW_UV,
                    )
        return faces

    def _flat_roof(self, shift):
        h, half = self.front.height, self._half
        return box(
            (-0.25, self.depth + 0.2),
            (h, h + 0.45),
            (-half - 0.05, half + 0.05),
            **self._trim_look(0.8),
        )

    def _eaves_roof(self, shift):
        h, half = self.front.height, self._half
        ridge, top = self.depth / 2, h + self.roof_height
        low = h - self.roof_height * _EAVES / ridge
        under = (ridge, h, 0)
        faces = []
        for edge in (-_EAVES, self.depth + _EAVES):
            slope = [
                (ridge, top, -half - 0.2),
                (ridge, top, half + 0.2),
                (edge, low, half + 0.2),
                (edge, low, -half - 0.2),
            ]
            faces.append(
                Face(
                    slope,
                    inside=under,
                    offset=shift,
                    two_sided=True,
                    **self._roof_look,
                )
            )
        for z in (-half, half):
            gable = [(0, h, z), (self.depth, h, z), (ridge, top, z)]
            faces.append(
                Face(gable, inside=under, offset=shift, **self._wall_look)
            )
        gutter = box(
            (-_EAVES - 0.1, -_EAVES + 0.02),
            (low - 0.12, low + 0.02),
            (-half - 0.2, half + 0.2),
            **self._trim_look(0.5),
        )
        return faces + gutter

    def _gable_roof(self, shift):
        h, half = self.front.height, self._half
        top = h + self.roof_height
        low = h - self.roof_height * _EAVES / half
        faces = []
        for side in (-1, 1):
            edge = side * (half + _EAVES)
            slope = [
                (-_EAVES, top, 0),
                (self.depth, top, 0),
                (self.depth, low, edge),
                (-_EAVES, low, edge),
            ]
            faces.append(
                Face(
                    slope,
                    inside=(self.depth / 2, h, 0),
                    offset=shift,
                    two_sided=True,
                    **self._roof_look,
                )
            )
        gable = [(0, h, half), (0, h, -half), (0, top, 0)]
        faces.append(
            Face(
                gable,
                inside=(self.depth / 2, h, 0),
                offset=shift,
                **self._wall_look,
            )
        )
        window = box(
            (-0.05, 0),
            (h + 0.12 * self.roof_height, h + 0.5 * self.roof_height),
            (-0.45, 0.45),
            self.tiles.window,
            sides="x",
            uv=_WINDOW_UV,
        )
        return faces + window

    def _chimney(self, rng):
        x = self.depth * rng.uniform(0.35, 0.65)
        z = rng.uniform(-0.35, 0.35) * self.front.width
        base = self.front.height + 0.2 * self.roof_height
        top = self.front.height + self.roof_height + rng.uniform(0.6, 1.3)
        return box(
            (x - 0.4, x + 0.4),
            (base, top),
            (z - 0.35, z + 0.35),
            self.tiles.wall,
            tint=self._wall_look["tint"] * 0.65,
        )

    def _dormer(self, z):
        low = self.front.height + 0.18 * self.roof_height
        back = 0.37 * self.depth
        walls = box(
            (0.5, back), (low, low + 1.35), (z - 0.7, z + 0.7),
            sides="xzZ", **self._trim_look(0.9),
        )  # fmt: skip
        window = box(
            (0.45, 0.5), (low + 0.2, low + 1.25), (z - 0.5, z + 0.5),
            self.tiles.window, sides="x", uv=_WINDOW_UV,
        )  # fmt: skip
        lid = box(
            (0.3, back), (low + 1.35, low + 1.5), (z - 0.85, z + 0.85),
            **self._roof_look,
        )  # fmt: skip
        return walls + window + lid

    def _awning(self, rng):
        top, low = 0.92 * self.front.storey, 0.74 * self.front.storey
        reach = 0.42 * self.front.width
        cloth = [
            (0, top, -reach),
            (0, top, reach),
            (-1.1, low, reach),
            (-1.1, low, -reach),
        ]
        return [
            Face(
                cloth,
                self.tiles.plain,
                inside=(0, 0, 0),
                tint=rng.uniform(0.1, 0.6) * rng.uniform(0.5, 1.0, 3),
                two_sided=True,
            )
        ]

    def _balconies(self, share):
        z = share * self.front.width
        faces = []
        for floor in range(1, self.front.storeys):
            up = floor * self.front.storey
            faces += box(
                (-1.0, 0), (up - 0.12, up + 0.08), (z - 1.4, z + 1.4),
                **self._trim_look(0.7),
            )  # fmt: skip
            faces += box(
                (-1.0, -0.94), (up + 0.08, up + 0.95), (z - 1.4, z + 1.4),
                **self._trim_look(0.35),
            )  # fmt: skip
        return faces

    def _bay(self, share):
        z = share * self.front.width
        tall = 0.95 * self.front.storey
        walls = box(
            (-0.9, 0), (0, tall), (z - 1.2, z + 1.2), sides="xzZ",
            **self._wall_look,
        )  # fmt: skip
        windows = [
            face
            for k in (-0.52, 0.52)
            for face in box(
                (-0.95, -0.9), (0.85, tall - 0.3), (z + k - 0.45, z + k + 0.45),
                self.tiles.window, sides="x", uv=_WINDOW_UV,
            )
        ]  # fmt: skip
        lid = box(
            (-1.05, 0), (tall, tall + 0.18), (z - 1.35, z + 1.35),
            **self._roof_look,
        )  # fmt: skip
        return walls + windows + lid

"""Cars, composed of a body, a cabin and wheels."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from scdepth_tf.synthetic.materials import cars as materials
from scdepth_tf.synthetic.shapes import PARKED, Ball, Face, Model
from scdepth_tf.synthetic.textures import AtlasBuilder


@dataclasses.dataclass(frozen=True)
class CarDesign:
    """Proportions of a car, metres.

    Attributes:
      length: from nose to tail.
      width: without mirrors.
      ground: height of the sill.
      belt: height of the window line.
      roof: height of the roof.
      nose: height of the bonnet's front end.
      bonnet: height of the bonnet's rear end.
      tail: height of the boot's rear end.
      cabin: shares of the length from the nose where the windscreen begins
        and reaches the roof, and where the rear window leaves it and ends.
    """

    length: float
    width: float
    ground: float
    belt: float
    roof: float
    nose: float
    bonnet: float
    tail: float
    cabin: tuple[float, float, float, float]


HATCHBACK = CarDesign(
    length=3.9, width=1.70, ground=0.22, belt=0.92, roof=1.46, nose=0.68,
    bonnet=0.90, tail=0.90, cabin=(0.24, 0.42, 0.84, 0.98),
)  # fmt: skip
SALOON = CarDesign(
    length=4.5, width=1.78, ground=0.21, belt=0.92, roof=1.43, nose=0.66,
    bonnet=0.90, tail=0.94, cabin=(0.27, 0.43, 0.69, 0.85),
)  # fmt: skip
ESTATE = CarDesign(
    length=4.6, width=1.78, ground=0.21, belt=0.93, roof=1.47, nose=0.67,
    bonnet=0.91, tail=0.93, cabin=(0.26, 0.41, 0.90, 0.985),
)  # fmt: skip
OFF_ROADER = CarDesign(
    length=4.4, width=1.85, ground=0.30, belt=1.08, roof=1.68, nose=0.85,
    bonnet=1.06, tail=1.06, cabin=(0.25, 0.40, 0.88, 0.98),
)  # fmt: skip
VAN = CarDesign(
    length=4.9, width=1.92, ground=0.26, belt=1.12, roof=1.98, nose=0.85,
    bonnet=1.10, tail=1.12, cabin=(0.14, 0.31, 0.97, 0.995),
)  # fmt: skip

CAR_DESIGNS = (HATCHBACK, SALOON, ESTATE, OFF_ROADER, VAN)

_AXLES = np.array([0.185, 0.79])
"""Shares of the length behind the nose."""

_LEAN = 0.06
"""Metres by which a side leans inwards per metre of height."""

_INSIDE = (0.0, 0.5, 0.0)


class CarFactory:
    """Paints the tiles of every design once, then builds cars in colours."""

    def __init__(self, rng: np.random.Generator, atlas: AtlasBuilder):
        self._paint = atlas.add(materials.paint(rng))
        self._front = atlas.add(materials.front(rng))
        self._rear = atlas.add(materials.rear(rng))
        self._wheel = atlas.add(materials.wheel(rng))
        self._screen = atlas.add(
            materials.glass(rng, posts=((0, 0.05), (0.95, 1)))
        )
        self._windows = atlas.add(
            materials.glass(rng, posts=((0, 0.06), (0.42, 0.47), (0.94, 1)))
        )
        self._sides = {
            design: atlas.add(
                materials.side(
                    rng,
                    design.length,
                    design.belt - design.ground,
                    design.length * _AXLES,
                )
            )
            for design in CAR_DESIGNS
        }

    def build(self, design: CarDesign, tint: np.ndarray) -> Model:
        """A car that looks along +Z, its paint of a linear RGB."""
        faces = self._body(design) + self._cabin(design)
        return Model.of(
            [face._replace(tint=tint) for face in faces],
            self._wheels(design),
            PARKED,
        )

    def _body(self, d):
        """Five sections from nose to tail, each with a top and two sides."""
        half, nose = d.width / 2, d.length / 2
        shares = np.array([0, 0.06, d.cabin[0], d.cabin[3], 0.99, 1])
        ups = [d.nose, d.nose + 0.08, d.bonnet, d.belt, d.tail, d.tail - 0.06]
        skirts = half * np.array([0.86, 0.96, 1.0, 1.0, 0.97, 0.92])
        # The same lean everywhere keeps every section of the side flat.
        wides = skirts - _LEAN * (np.array(ups) - d.ground)
        sections = list(
            zip(nose - shares * d.length, ups, wides, skirts, strict=True)
        )
        faces = []
        for section in itertools.pairwise(sections):
            (z0, up0, wide0, skirt0), (z1, up1, wide1, skirt1) = section
            top = [
                (-wide0, up0, z0),
                (wide0, up0, z0),
                (wide1, up1, z1),
                (-wide1, up1, z1),
            ]
            faces.append(Face(top, self._paint, _INSIDE, uv=_whole(30, 30)))
            for sign in (-1, 1):
                flank = [
                    (sign * wide0, up0, z0),
                    (sign * wide1, up1, z1),
                    (sign * skirt1, d.ground, z1),
                    (sign * skirt0, d.ground, z0),
                ]
                # Rows of the tile follow height, so its lines run level.
                uv = [
                    (256 * (nose - z) / d.length,
                     64 * (d.belt - up) / (d.belt - d.ground))
                    for z, up in ((z0, up0), (z1, up1), (z0, d.ground))
                ]  # fmt: skip
                faces.append(Face(flank, self._sides[d], _INSIDE, uv=uv))
        for (z, up, wide, skirt), tile in (
            (sections[0], self._front),
            (sections[-1], self._rear),
        ):
            end = [
                (-wide, up, z),
                (wide, up, z),
                (skirt, d.ground, z),
                (-skirt, d.ground, z),
            ]
            faces.append(Face(end, tile, _INSIDE, uv=_whole(128, 64)))
        return faces

    def _cabin(self, d):
        """Two screens, two rows of windows that lean inwards, a roof."""
        belt, roof = 0.475 * d.width, 0.38 * d.width
        z0, z1, z2, z3 = d.length * (0.5 - np.array(d.cabin))
        faces = []
        for low, high in ((z0, z1), (z3, z2)):
            screen = [
                (-roof, d.roof, high),
                (roof, d.roof, high),
                (belt, d.belt, low),
                (-belt, d.belt, low),
            ]
            uv = [(8, 0), (120, 0), (8, 64)]
            faces.append(Face(screen, self._screen, _INSIDE, uv=uv))
        for sign in (-1, 1):
            windows = [
                (sign * roof, d.roof, z1),
                (sign * roof, d.roof, z2),
                (sign * belt, d.belt, z3),
                (sign * belt, d.belt, z0),
            ]
            u1, u2 = 128 * (z0 - np.array([z1, z2])) / (z0 - z3)
            uv = [(u1, 0), (u2, 0), (0, 64)]
            faces.append(Face(windows, self._windows, _INSIDE, uv=uv))
        top = [
            (-roof, d.roof, z1),
            (roof, d.roof, z1),
            (roof, d.roof, z2),
            (-roof, d.roof, z2),
        ]
        return [*faces, Face(top, self._paint, _INSIDE, uv=_whole(40, 40))]

    def _wheels(self, d):
        return [
            Ball(
                (sign * (d.width / 2 - 0.1), 0.32, z),
                (0.13, 0.32, 0.32),
                self._wheel,
                density=100.0,
                offset=(32, 32),
            )
            for sign in (-1, 1)
            for z in d.length * (0.5 - _AXLES)
        ]


def _whole(width, height):
    """Texture coordinates that stretch a tile over a quad."""
    return [(0, 0), (width, 0), (0, height)]

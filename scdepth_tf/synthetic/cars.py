"""Cars, composed of a body, a cabin and wheels."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic import materials
from scdepth_tf.synthetic.shapes import PARKED, Ball, Face, Model
from scdepth_tf.synthetic.textures import AtlasBuilder

@dataclasses.dataclass(frozen=True)
class CarDesign:
    """Proportions of a car, metres, z from tail (−length/2) to nose.

    Attributes:
      length, width: outside.
      ground, belt, roof: heights of sill, window line and roof.
      nose, bonnet: heights of the bonnet's front and rear end.
      windscreen, roof_front, roof_rear, rear_screen: shares of the length
        from the nose where the cabin begins, reaches the roof, leaves it and
        ends.
      tail: height of the boot's rear end.
    """

    length: float
    width: float
    ground: float
    belt: float
    roof: float
    nose: float
    bonnet: float
    windscreen: float
    roof_front: float
    roof_rear: float
    rear_screen: float
    tail: float


CAR_DESIGNS = (
    # hatchback, saloon, estate, SUV, van
    CarDesign(3.9, 1.70, 0.22, 0.92, 1.46, 0.68, 0.90, 0.24, 0.42, 0.84, 0.98, 0.90),
    CarDesign(4.5, 1.78, 0.21, 0.92, 1.43, 0.66, 0.90, 0.27, 0.43, 0.69, 0.85, 0.94),
    CarDesign(4.6, 1.78, 0.21, 0.93, 1.47, 0.67, 0.91, 0.26, 0.41, 0.90, 0.985, 0.93),
    CarDesign(4.4, 1.85, 0.30, 1.08, 1.68, 0.85, 1.06, 0.25, 0.40, 0.88, 0.98, 1.06),
    CarDesign(4.9, 1.92, 0.26, 1.12, 1.98, 0.85, 1.10, 0.14, 0.31, 0.97, 0.995, 1.12),
)  # fmt: skip


_LEAN = 0.06
"""Metres by which a side leans inwards per metre of height."""


class CarFactory:
    """Paints the tiles of every design once, then builds cars in colours."""

    def __init__(self, rng: np.random.Generator, atlas: AtlasBuilder):
        self._plain = atlas.add(materials.plain(rng, 0.025))
        self._front = atlas.add(materials.car_face(rng, rear=False))
        self._rear = atlas.add(materials.car_face(rng, rear=True))
        self._wheel = atlas.add(materials.wheel(rng))
        self._screen = atlas.add(
            materials.car_glass(rng, [(0, 0.05), (0.95, 1)])
        )
        self._glass = atlas.add(
            materials.car_glass(rng, [(0, 0.06), (0.42, 0.47), (0.94, 1)])
        )
        self._sides = [
            atlas.add(
                materials.car_side(
                    rng, d.length, d.belt - d.ground, _axles(d)
                )
            )
            for d in CAR_DESIGNS
        ]

    def build(self, kind: int, colour) -> Model:
        """A car of CAR_DESIGNS[kind] that looks along +Z."""
        d = CAR_DESIGNS[kind]
        side_tile = self._sides[kind]
        front = d.length / 2
        half = d.width / 2
        inside = (0.0, 0.5, 0.0)

        def station(share):
            return front - share * d.length

        faces = []

        def add(corners, tile, uv):
            faces.append(Face(corners, tile, inside, uv=uv, tint=colour))

        whole = [(0, 0), (1, 0), (0, 1)]

        def fitted(width, height):
            return np.array(whole) * (width, height)

        # Top line of the body: nose, bonnet edge, belt, boot, tail.
        top_z = [front, station(0.06), station(d.windscreen),
                 station(d.rear_screen), station(0.99), -front]  # fmt: skip
        top_up = [d.nose, d.nose + 0.08, d.bonnet, d.belt, d.tail, d.tail - 0.06]
        skirt = [half * s for s in (0.86, 0.96, 1.0, 1.0, 0.97, 0.92)]
        # The same lean everywhere keeps every section of the side flat.
        top_half = [
            wide - _LEAN * (up - d.ground)
            for wide, up in zip(skirt, top_up, strict=True)
        ]
        tall = d.belt - d.ground
        for k in range(5):
            add(
                [
                    (-top_half[k], top_up[k], top_z[k]),
                    (top_half[k], top_up[k], top_z[k]),
                    (top_half[k + 1], top_up[k + 1], top_z[k + 1]),
                    (-top_half[k + 1], top_up[k + 1], top_z[k + 1]),
                ],
                self._plain,
                fitted(30, 30),
            )
            for side in (-1, 1):
                u0 = (front - top_z[k]) / d.length * 256
                u1 = (front - top_z[k + 1]) / d.length * 256
                v0 = (d.belt - top_up[k]) / tall * 64
                # Texture rows follow height, so lines run level.
                add(
                    [
                        (side * top_half[k], top_up[k], top_z[k]),
                        (side * top_half[k + 1], top_up[k + 1], top_z[k + 1]),
                        (side * skirt[k + 1], d.ground, top_z[k + 1]),
                        (side * skirt[k], d.ground, top_z[k]),
                    ],
                    side_tile,
                    [
                        (u0, v0),
                        (u1, (d.belt - top_up[k + 1]) / tall * 64),
                        (u0, 64),
                    ],
                )
        for end, tile in ((0, self._front), (5, self._rear)):
            z, up = top_z[end], top_up[end]
            add(
                [
                    (-top_half[end], up, z), (top_half[end], up, z),
                    (skirt[end], d.ground, z), (-skirt[end], d.ground, z),
                ],
                tile,
                fitted(128, 64),
            )  # fmt: skip
        # The cabin leans inwards.
        belt, roof = half * 0.95, half * 0.76
        z0, z1, z2, z3 = (
            station(s)
            for s in (d.windscreen, d.roof_front, d.roof_rear, d.rear_screen)
        )
        for za, zb in ((z0, z1), (z3, z2)):
            add(
                [(-roof, d.roof, zb), (roof, d.roof, zb),
                 (belt, d.belt, za), (-belt, d.belt, za)],
                self._screen,
                [(8, 0), (120, 0), (8, 64)],
            )  # fmt: skip
        for side in (-1, 1):
            add(
                [(side * roof, d.roof, z1), (side * roof, d.roof, z2),
                 (side * belt, d.belt, z3), (side * belt, d.belt, z0)],
                self._glass,
                [(128 * (z0 - z1) / (z0 - z3), 0),
                 (128 * (z0 - z2) / (z0 - z3), 0), (0, 64)],
            )  # fmt: skip
        add(
            [(-roof, d.roof, z1), (roof, d.roof, z1),
             (roof, d.roof, z2), (-roof, d.roof, z2)],
            self._plain,
            fitted(40, 40),
        )  # fmt: skip
        wheels = [
            Ball(
                (side * (half - 0.1), 0.32, z),
                (0.13, 0.32, 0.32),
                self._wheel,
                density=100.0,
                offset=(32, 32),
            )
            for side in (-1, 1)
            for z in (front - a for a in _axles(d))
        ]
        return Model.of(faces, wheels, PARKED)


def _axles(design: CarDesign) -> tuple[float, float]:
    """Distances of the axles behind the nose, metres."""
    return 0.185 * design.length, 0.79 * design.length

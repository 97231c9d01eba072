"""One street from one seed: what stands where, who drives, how light falls."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic import furniture, materials, plants, shapes
from scdepth_tf.synthetic.cars import CarFactory
from scdepth_tf.synthetic.houses import House, HouseTiles
from scdepth_tf.synthetic.path import Bend, CameraPath
from scdepth_tf.synthetic.shading import Light
from scdepth_tf.synthetic.shadows import Footprint, ShadowMap
from scdepth_tf.synthetic.shapes import MOVING, Face, Model, Quads, Rounds
from scdepth_tf.synthetic.textures import Atlas, AtlasBuilder

_BEHIND = -28.0
"""Streets begin this many metres behind the first camera."""

_AHEAD = 190.0
"""Streets go on this many metres beyond the last camera."""

_KERB = 0.12


@dataclasses.dataclass(frozen=True)
class Mover:
    """A car in motion.

    Attributes:
      model: the car at the origin, looking along +Z.
      lane: metres right of the centre line.
      start: z in frame 0, metres.
      speed: metres a frame along the street, negative towards the camera;
        None follows the camera at `start` metres ahead.
      sway: metres by which a followed distance swings.
      loop: metres after which an oncoming car is sent again.
    """

    model: Model
    lane: float
    start: float
    speed: float | None
    sway: float = 0.0
    loop: float = 200.0

    def z(self, frame_index: int, camera_z: float) -> float:
        if self.speed is None:
            return (
                camera_z
                + self.start
                + self.sway * np.sin(0.11 * frame_index + self.start)
            )
        place = self.start + self.speed * frame_index - camera_z
        return camera_z + (place + 25.0) % self.loop - 25.0


@dataclasses.dataclass(frozen=True)
class Street:
    """Everything `render_frame` needs; made by `make_street`."""

    seed: int
    quads: Quads
    rounds: Rounds
    atlas: Atlas
    shadows: ShadowMap
    light: Light
    bend: Bend
    path: CameraPath
    traffic: tuple[Mover, ...]

    def at(self, frame_index: int) -> tuple[Quads, Rounds, ShadowMap]:
        """Surfaces and shadows with the traffic where it is in a frame."""
        camera_z = self.path.distance(frame_index)
        models, footprints = [], []
        for mover in self.traffic:
            z = mover.z(frame_index, camera_z)
            heading = self.bend.heading(z)
            x = float(self.bend(z)) + mover.lane
            oncoming = mover.speed is not None and mover.speed < 0
            models.append(
                mover.model.placed(x, z, heading + np.pi * oncoming)
            )
            footprints.append(_under_car(x, z, heading))
        if not models:
            return self.quads, self.rounds, self.shadows
        moving_quads = shapes.concatenate([q for m in models for q in m.quads])
        moving_rounds = shapes.concatenate(
            [r for m in models for r in m.rounds]
        )
        shadows = self.shadows.copy()
        shadows.add(moving_quads, moving_rounds, self.atlas)
        for footprint in footprints:
            shadows.shade(footprint)
        return (
            shapes.concatenate([self.quads, moving_quads]),
            shapes.concatenate([self.rounds, moving_rounds]),
            shadows,
        )


def make_street(seed: int, frames: int = 40) -> Street:
    """Build the street of a seed, long enough to drive `frames` frames."""
    return _Planner(seed, frames).plan()


def _under_car(x, z, heading) -> Footprint:
    return Footprint(x, z, heading, 0.72, 1.9, 0.7, 0.85)


_STYLES = {
    # name: house widths, storeys, gap probability, gap, setback, kinds
    "terrace": ((5.0, 8.0), (2, 3), 0.08, (3, 9), (0.3, 2.0)),
    "town": ((9.0, 15.0), (3, 4), 0.15, (3, 8), (0.0, 0.6)),
    "suburb": ((8.0, 13.0), (1, 2), 0.95, (3, 9), (4.0, 7.0)),
    "village": ((7.0, 12.0), (1, 2), 0.55, (1.5, 12), (0.5, 3.0)),
    "modern": ((12.0, 20.0), (3, 5), 0.5, (4, 12), (2.0, 5.0)),
}

_WALL_COLOURS = {
    "terrace": [(0.60, 0.42, 0.34), (0.66, 0.48, 0.36), (0.54, 0.38, 0.33), (0.70, 0.60, 0.47), (0.50, 0.36, 0.30)],
    "town": [(0.83, 0.77, 0.64), (0.80, 0.68, 0.55), (0.74, 0.74, 0.72), (0.86, 0.80, 0.70), (0.70, 0.52, 0.42), (0.76, 0.80, 0.76)],
    "suburb": [(0.88, 0.86, 0.81), (0.82, 0.77, 0.64), (0.66, 0.48, 0.38), (0.78, 0.81, 0.83), (0.72, 0.66, 0.52)],
    "village": [(0.90, 0.78, 0.55), (0.88, 0.86, 0.80), (0.83, 0.62, 0.50), (0.72, 0.80, 0.74), (0.70, 0.78, 0.86), (0.86, 0.70, 0.66)],
    "modern": [(0.84, 0.84, 0.83), (0.66, 0.67, 0.68), (0.58, 0.46, 0.40), (0.78, 0.74, 0.66), (0.52, 0.55, 0.58)],
}  # fmt: skip

_CAR_COLOURS = [
    (0.62, 0.63, 0.65), (0.03, 0.03, 0.035), (0.42, 0.03, 0.03),
    (0.04, 0.09, 0.30), (0.80, 0.80, 0.78), (0.14, 0.15, 0.16),
    (0.08, 0.17, 0.10), (0.35, 0.38, 0.42), (0.55, 0.30, 0.05),
    (0.10, 0.28, 0.42), (0.72, 0.68, 0.55),
]  # fmt: skip


class _Planner:
    """Draws one street. Every kind of thing has its own random numbers, so
    that a longer street begins like a shorter one."""

    def __init__(self, seed: int, frames: int):
        self._seed = seed
        rng = self._rng(0)
        self._style = str(rng.choice(list(_STYLES)))
        self._path, self._bend = self._plan_drive(frames)
        self._end = self._path.distance(frames - 1) + _AHEAD
        self._builder = AtlasBuilder()
        self._models: list[Model] = []
        self._footprints: list[Footprint] = []
        self._cars = CarFactory(self._rng(1), self._builder)

    def plan(self) -> Street:
        """Plant, build and park everything, then let the sun shine."""
        self._plan_plants()
        self._plan_ground()
        self._plan_houses()
        self._plan_verges()
        self._plan_parking()
        self._plan_furniture()
        self._plan_horizon()
        traffic = self._plan_traffic()
        light = self._plan_light()
        atlas = self._builder.build()
        quads = shapes.concatenate(
            [q for m in self._models for q in m.quads]
        )
        rounds = shapes.concatenate(
            [r for m in self._models for r in m.rounds]
        )
        centre = self._bend(np.arange(_BEHIND, self._end))
        shadows = ShadowMap.empty(
            (float(centre.min()) - 18, float(centre.max()) + 18),
            (_BEHIND, self._end),
            light.to_sun,
        )
        shadows.add(quads, rounds, atlas)
        for footprint in self._footprints:
            shadows.shade(footprint)
        return Street(
            self._seed, quads, rounds, atlas, shadows, light, self._bend,
            self._path, traffic,
        )  # fmt: skip

    def _rng(self, kind: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, kind])

    def _place(self, model: Model, offset, z, *, heading=0.0, up=0.0):
        """Put a model `offset` metres right of the centre line at z."""
        self._models.append(
            model.placed(
                float(self._bend(z)) + offset,
                z,
                self._bend.heading(z) + heading,
                up,
            )
        )

    def _plan_drive(self, frames):
        rng = self._rng(2)
        self._parking = str(rng.choice(["both", "both", "right", "left"]))
        lane = rng.uniform(2.7, 3.2)
        self._half = lane + (2.0 if self._parking == "both" else 1.3)
        self._lane = lane / 2 + (0.0 if self._parking == "both" else 0.1)
        bend = Bend(
            amplitude=float(rng.uniform(0, 7) * rng.choice([0, 1, 1])),
            wavelength=float(rng.uniform(170, 320)),
            phase=float(rng.uniform(0, 2 * np.pi)),
        )
        path = CameraPath(
            bend=bend,
            lane=self._lane,
            speed=float(rng.uniform(0.5, 1.1)),
            surge=float(rng.uniform(0.02, 0.12)),
            weave=float(rng.uniform(0.05, 0.3)),
            weave_length=float(rng.uniform(28, 60)),
            phase=float(rng.uniform(0, 2 * np.pi)),
            bounce=float(rng.uniform(0.004, 0.012)),
        )
        return path, bend

    # Ground -------------------------------------------------------------

    def _plan_ground(self):
        rng, add = self._rng(3), self._builder.add
        line = str(rng.choice(["dashed", "dashed", "solid", "double", "none"]))
        road = add(
            materials.road(rng, self._half, rng.uniform(0.34, 0.48), line)
        )
        pave_kind = str(rng.choice(["slabs", "setts", "asphalt"]))
        tone = rng.uniform(0.48, 0.68)
        paving = add(
            materials.paving(
                rng, pave_kind, tone * rng.uniform([1, 0.95, 0.88], 1.0)
            )
        )
        green = rng.uniform([0.30, 0.40, 0.16], [0.42, 0.50, 0.24])
        grass = add(materials.grass(rng, green))
        kerb = add(materials.kerb(rng))
        self._plain = add(materials.plain(rng))
        self._verge = {
            "terrace": 0.0, "town": 0.0, "suburb": rng.uniform(0, 1.8),
            "village": rng.uniform(0, 1.2), "modern": rng.uniform(0, 2.0),
        }[self._style]  # fmt: skip
        if self._verge < 0.6:
            self._verge = 0.0
        pavement = rng.uniform(1.7, 3.2)
        self._plot = self._half + 0.15 + self._verge + pavement
        strips = [
            (self._half, self._half + 0.15, kerb, 64.0),
            (self._half + 0.15, self._half + 0.15 + self._verge, grass, 64.0),
            (self._plot - pavement, self._plot, paving, 64.0),
        ]
        far = self._end + 260
        self._models.append(
            Model(
                (
                    self._strip(-60, 60, 0.0, [_BEHIND - 20, far], road,
                                materials.ROAD_DENSITY, 128.0),
                )
            )
        )  # fmt: skip
        stations = np.arange(_BEHIND - 8, self._end + 6, 6.0)
        garden = paving if self._style in ("town", "modern") else grass
        for side in (-1, 1):
            parts = [
                self._strip(side * a, side * b, _KERB, stations, tile, density)
                for a, b, tile, density in strips
                if b > a
            ]
            reach = 12.0
            parts.append(
                self._strip(side * self._plot, side * reach, _KERB + 0.02,
                            stations, garden, 64.0)
            )  # fmt: skip
            parts.append(
                self._strip(side * reach, side * 320, _KERB, [_BEHIND - 20, far], grass, 64.0)
            )  # fmt: skip
            parts.append(self._kerb_faces(side * self._half, stations, kerb))
            self._models.append(Model(tuple(parts)))

    def _strip(self, low, high, up, stations, tile, density, middle=0.0):
        """Level ground from offset low to high, cut at the stations."""
        z = np.asarray(stations, np.float64)
        centre = self._bend(z) if len(z) > 2 else np.zeros(2)
        left, right = (
            np.stack([centre + offset, np.full_like(z, -up), z], axis=1)
            for offset in (min(low, high), max(low, high))
        )
        count = len(z) - 1
        corners = np.stack(
            [left[:-1], right[:-1], right[1:], left[1:]], axis=1
        )
        along, across = np.broadcast_to(density, 2)
        axes = np.array([[across, 0, 0], [0, 0, along]])
        return Quads(
            corners=corners,
            normals=np.tile([0.0, -1.0, 0.0], (count, 1)),
            tile=np.full(count, tile, np.int32),
            uv_axes=np.tile(axes, (count, 1, 1)),
            uv_offset=np.tile([middle, 0.0], (count, 1)),
            tint=np.ones((count, 3)),
            instance=np.zeros(count, np.uint8),
            two_sided=np.zeros(count, bool),
            follows_bend=np.ones(count, bool),
        )

    def _kerb_faces(self, offset, stations, tile):
        z = np.asarray(stations, np.float64)
        x = self._bend(z) + offset
        faces = [
            Face(
                [(x[k], _KERB, z[k]), (x[k + 1], _KERB, z[k + 1]),
                 (x[k + 1], 0, z[k + 1]), (x[k], 0, z[k])],
                tile, (x[k] + offset, 0, z[k]),
            )
            for k in range(len(z) - 1)
        ]  # fmt: skip
        return shapes.quads(faces)

    # Houses -------------------------------------------------------------

    def _plan_houses(self):
        rng, add = self._rng(4), self._builder.add
        widths, storeys, gap_chance, gap, setback = _STYLES[self._style]
        kinds = {
            "terrace": ["brick", "brick", "plaster"],
            "town": ["plaster", "plaster", "brick"],
            "suburb": ["plaster", "brick", "boards"],
            "village": ["plaster", "plaster", "boards"],
            "modern": ["plaster", "brick", "boards"],
        }[self._style]
        walls = {
            kind: add(materials.wall(rng, kind)) for kind in sorted(set(kinds))
        }
        roof_tile = add(materials.roof_tiles(rng))
        window_tile = add(materials.window(rng, rng.uniform(0.75, 0.92)))
        palette = _WALL_COLOURS[self._style]
        designs = []
        for _ in range(9):
            floors = int(rng.integers(storeys[0], storeys[1] + 1))
            kind = str(rng.choice(kinds))
            colour = np.array(palette[rng.integers(len(palette))])
            design = materials.Facade(
                width=float(rng.uniform(*widths)),
                height=floors * float(rng.uniform(2.7, 3.4)) + 0.4,
                storeys=floors,
                kind=kind,
                colour=np.clip(colour * rng.uniform(0.9, 1.08, 3), 0, 0.95),
                trim=np.clip(
                    rng.choice([0.35, 0.8, 0.9, 0.93])
                    * rng.uniform(0.92, 1.0, 3),
                    0,
                    1,
                ),
                shop=bool(self._style == "town" and rng.random() < 0.5),
            )
            designs.append((design, add(materials.facade(rng, design))))
        roofs = {
            "terrace": ["eaves"], "town": ["eaves", "eaves", "flat"],
            "suburb": ["eaves", "gable", "eaves"],
            "village": ["gable", "eaves"], "modern": ["flat", "flat", "eaves"],
        }[self._style]  # fmt: skip
        roof_tints = [(0.30, 0.10, 0.06), (0.12, 0.11, 0.12), (0.22, 0.15, 0.11), (0.36, 0.17, 0.10)]
        self._hedges = []
        for side in (-1, 1):
            rng = self._rng(5 + side)
            back = self._plot + rng.uniform(*setback)
            self._front = getattr(self, "_front", {}) | {side: back}
            z = _BEHIND
            last = -1
            while z < self._end:
                pick = int(rng.integers(len(designs)))
                pick = (pick + 1) % len(designs) if pick == last else pick
                last = pick
                design, tile = designs[pick]
                z += design.width / 2
                depth = float(rng.uniform(8, 11))
                house = House(
                    front=design,
                    tiles=HouseTiles(
                        front=tile,
                        wall=walls[design.kind],
                        roof=roof_tile,
                        window=window_tile,
                        plain=self._plain,
                    ),
                    depth=depth,
                    roof=str(rng.choice(roofs)),
                    roof_height=float(rng.uniform(1.8, 3.4)),
                    roof_tint=np.array(roof_tints[rng.integers(4)]),
                )
                model = house.build(rng)
                shift = float(rng.uniform(0, 1.0)) if gap_chance > 0.3 else 0.0
                self._place(
                    model, side * (back + shift), z,
                    heading=0.0 if side > 0 else np.pi,
                )  # fmt: skip
                self._footprints.append(
                    Footprint(
                        float(self._bend(z)) + side * (back + shift + depth / 2),
                        z, self._bend.heading(z), depth / 2, design.width / 2,
                        1.6, 0.45,
                    )
                )  # fmt: skip
                z += design.width / 2
                if rng.random() < gap_chance:
                    wide = float(rng.uniform(*gap))
                    if rng.random() < 0.08:
                        wide += 9.0
                    z += wide

    # Plants -------------------------------------------------------------

    def _plan_plants(self):
        rng, add = self._rng(8), self._builder.add
        self._leaf = add(materials.leaves(rng, holes=0.34))
        self._needles = add(materials.leaves(rng, holes=0.12))
        self._bark = add(materials.bark(rng))
        self._hedge = add(materials.hedge(rng))
        season = str(rng.choice(["spring", "summer", "summer", "autumn"]))
        green = [(0.16, 0.30, 0.06), (0.22, 0.34, 0.09), (0.10, 0.22, 0.06)]
        self._leaf_tints = {
            "spring": [*green, (0.34, 0.46, 0.12), (0.75, 0.50, 0.55)],
            "summer": green,
            "autumn": [*green, (0.62, 0.34, 0.05), (0.52, 0.16, 0.04), (0.60, 0.48, 0.08)],
        }[season]  # fmt: skip

    def _leaf_tint(self, rng):
        return np.array(self._leaf_tints[rng.integers(len(self._leaf_tints))])

    def _plan_verges(self):
        kinds = {
            "terrace": ["young", "round"], "town": ["round", "column", "young"],
            "suburb": ["round", "broad", "fir", "young"],
            "village": ["broad", "round", "fir"],
            "modern": ["column", "round", "young"],
        }[self._style]  # fmt: skip
        street_rng = self._rng(9)
        avenue = street_rng.random() < 0.5
        own_kind = str(street_rng.choice(kinds))
        spacing = street_rng.uniform(7, 14)
        hedged = {"terrace": 0.3, "town": 0.0, "suburb": 0.75,
                  "village": 0.5, "modern": 0.3}[self._style]  # fmt: skip
        barrier = str(street_rng.choice(["hedge", "wall", "fence"]))
        fence_tile = self._builder.add(materials.fence(street_rng))
        wall_tile = self._builder.add(materials.wall(street_rng, "brick"))
        for side in (-1, 1):
            rng = self._rng(10 + side)
            room = self._front[side] - self._plot
            at_kerb = self._verge > 0 or room < 2.5
            offset = self._half + 0.75 if at_kerb else self._plot + room * 0.45
            z = _BEHIND + rng.uniform(0, spacing)
            while z < self._end:
                if rng.random() < (0.85 if avenue else 0.4):
                    kind = own_kind if avenue else str(rng.choice(kinds))
                    if kind == "fir" and at_kerb:
                        kind = "young"
                    size = rng.uniform(0.8, 1.25) * (0.85 if at_kerb else 1.0)
                    leaf = self._needles if kind == "fir" else self._leaf
                    tint = self._leaf_tint(rng)
                    if kind == "fir":
                        tint = np.array([0.07, 0.16, 0.07])
                    model = plants.tree(rng, kind, leaf, self._bark, tint, size)
                    self._place(model, side * offset, z, heading=rng.uniform(0, 6))
                    self._shade_ground(side * offset, z, 0.3, 1.3, 0.35)
                z += spacing * rng.uniform(0.7, 1.4)
            z = _BEHIND
            while room > 0.25 and z < self._end:
                length = rng.uniform(3, 9)
                if rng.random() < hedged:
                    self._add_barrier(
                        rng, barrier, side * (self._plot + 0.2), z + length / 2,
                        length, fence_tile, wall_tile,
                    )  # fmt: skip
                z += length + rng.choice([0.0, 1.2, 3.0])
            z = _BEHIND
            while room > 1.0 and z < self._end:
                if rng.random() < 0.55:
                    size = rng.uniform(0.4, 0.9)
                    self._place(
                        plants.bush(rng, self._needles, self._leaf_tint(rng), size),
                        side * (self._front[side] - rng.uniform(0.4, room - 0.3)),
                        z,
                    )  # fmt: skip
                z += rng.uniform(1.5, 6)

    def _add_barrier(self, rng, kind, offset, z, length, fence_tile, wall_tile):
        tile, height, depth, tint = {
            "hedge": (self._hedge, 0.9, 0.6, (0.14, 0.26, 0.08)),
            "wall": (wall_tile, 0.75, 0.25, (0.42, 0.24, 0.17)),
            "fence": (fence_tile, 1.0, 0.08, (0.55, 0.50, 0.42)),
        }[kind]
        height *= rng.uniform(0.85, 1.3)
        self._place(
            furniture.barrier(tile, length, height, depth, tint), offset, z
        )
        self._shade_ground(offset, z, depth / 2, 0.5, 0.5, length / 2)

    def _shade_ground(self, offset, z, half, softness, strength, length=None):
        self._footprints.append(
            Footprint(
                float(self._bend(z)) + offset, z, self._bend.heading(z), half,
                length or half, softness, strength,
            )
        )  # fmt: skip

    # Cars and furniture -------------------------------------------------

    def _a_car(self, rng):
        kind = int(rng.choice(5, p=[0.3, 0.25, 0.2, 0.17, 0.08]))
        colour = np.array(_CAR_COLOURS[rng.integers(len(_CAR_COLOURS))])
        return self._cars.build(kind, colour * rng.uniform(0.85, 1.1))

    def _plan_parking(self):
        for side, name in ((-1, "left"), (1, "right")):
            if self._parking not in ("both", name):
                continue
            rng = self._rng(12 + side)
            crowd = rng.uniform(0.35, 0.85)
            z = _BEHIND + rng.uniform(0, 5)
            while z < self._end:
                if rng.random() < crowd:
                    offset = side * (self._half - 1.05 + rng.uniform(-0.08, 0.1))
                    around = (side < 0) != (rng.random() < 0.12)
                    self._place(
                        self._a_car(rng), offset, z,
                        heading=np.pi * around + rng.normal(0, 0.015),
                    )  # fmt: skip
                    self._footprints.append(
                        _under_car(
                            float(self._bend(z)) + offset, z,
                            self._bend.heading(z),
                        )
                    )  # fmt: skip
                z += rng.uniform(5.4, 7.5)

    def _plan_furniture(self):
        rng = self._rng(14)
        add = self._builder.add
        red, blue, white, black = (0.75, 0.08, 0.1), (0.12, 0.3, 0.7), 0.94, 0.1
        signs = [
            (shape, add(materials.sign(border, face, text, ink)))
            for shape, border, face, text, ink in (
                ("disc", red, white, str(rng.choice(["30", "50", "70"])), black),
                ("disc", red, red, "-", white),
                ("disc", blue, blue, "^", white),
                ("square", blue, blue, "P", white),
                ("triangle", red, white, "!", black),
            )
        ]
        height, reach = rng.uniform(5.5, 8.0), rng.uniform(0.8, 2.2)
        tint = rng.uniform(0.05, 0.5) * np.array([1.0, 1.0, 1.02])
        spacing = rng.uniform(22, 32)
        sides = (-1, 1) if rng.random() < 0.4 else (int(rng.choice([-1, 1])),)
        for side in sides:
            for z in np.arange(_BEHIND + rng.uniform(0, 20), self._end, spacing):
                self._place(
                    furniture.lamp(self._plain, height, reach, tint),
                    side * (self._half + 0.45), z,
                    heading=0.0 if side > 0 else np.pi,
                )  # fmt: skip
        for side in (-1, 1):
            rng = self._rng(15 + side)
            z = _BEHIND + rng.uniform(0, 25)
            while z < self._end:
                shape, tile = signs[rng.integers(len(signs))]
                self._place(
                    furniture.sign(self._plain, tile, shape, 0.35),
                    side * (self._half + 0.5), z,
                    heading=0.0 if side > 0 else np.pi,
                )  # fmt: skip
                z += rng.uniform(22, 60)
            z = _BEHIND
            while z < self._end:
                if rng.random() < 0.5:
                    for k in range(int(rng.integers(1, 4))):
                        self._place(
                            furniture.bin_(rng, self._plain),
                            side * (self._plot - 0.45), z + 0.8 * k,
                            heading=rng.uniform(-0.2, 0.2), up=_KERB,
                        )  # fmt: skip
                z += rng.uniform(8, 25)

    def _plan_traffic(self):
        rng = self._rng(17)
        movers = []
        z = rng.uniform(18, 40)
        for _ in range(int(rng.integers(2, 5))):
            movers.append(
                Mover(
                    self._a_car(rng).labelled(MOVING), -self._lane, z,
                    -float(rng.uniform(0.6, 1.0)),
                )
            )  # fmt: skip
            # One speed for all would keep order; gaps do it well enough.
            z += rng.uniform(30, 55)
        if rng.random() < 0.7:
            movers.append(
                Mover(
                    self._a_car(rng).labelled(MOVING), self._lane,
                    float(rng.uniform(10, 20)), None,
                    sway=float(rng.uniform(0.3, 2.5)),
                )
            )  # fmt: skip
        return tuple(movers)

    # Light --------------------------------------------------------------

    def _plan_horizon(self):
        rng = self._rng(18)
        for _ in range(9):
            self._models.append(
                plants.hill(
                    rng, self._needles, self._leaf_tint(rng) * 0.8
                ).placed(rng.uniform(-220, 220), self._end + rng.uniform(60, 160), 0.0)
            )
        for side in (-1, 1):
            z = _BEHIND + 20
            while z < self._end + 60:
                kind = str(rng.choice(["broad", "round", "fir"]))
                model = plants.tree(
                    rng, kind, self._needles, self._bark, self._leaf_tint(rng),
                    rng.uniform(1.2, 1.9),
                )  # fmt: skip
                self._place(model, side * rng.uniform(26, 46), z)
                z += rng.uniform(6, 14)

    def _plan_light(self):
        rng = self._rng(19)
        weather = str(rng.choice(["clear", "clear", "fair", "overcast", "golden"]))
        elevation = np.radians(
            {"golden": rng.uniform(14, 22)}.get(weather, rng.uniform(32, 58))
        )
        azimuth = rng.uniform(0, 2 * np.pi)
        to_sun = np.array(
            [
                np.cos(elevation) * np.sin(azimuth),
                -np.sin(elevation),
                np.cos(elevation) * np.cos(azimuth),
            ]
        )
        sun, ambient, horizon, zenith, cover = {
            "clear": ((2.7, 2.55, 2.25), (0.60, 0.70, 0.88), (0.85, 1.0, 1.2), (0.10, 0.28, 0.72), -0.14),
            "fair": ((2.3, 2.2, 2.0), (0.68, 0.75, 0.86), (0.95, 1.05, 1.2), (0.16, 0.34, 0.74), 0.06),
            "overcast": ((0.45, 0.45, 0.45), (1.15, 1.17, 1.22), (1.3, 1.34, 1.4), (0.80, 0.86, 0.96), 0.3),
            "golden": ((3.0, 2.2, 1.35), (0.60, 0.64, 0.80), (1.35, 1.08, 0.80), (0.26, 0.38, 0.68), -0.05),
        }[weather]  # fmt: skip
        return Light(
            to_sun=to_sun,
            sun=np.array(sun),
            ambient=np.array(ambient),
            horizon=np.array(horizon),
            zenith=np.array(zenith),
            haze_distance=float(rng.uniform(350, 800)),
            exposure=float(rng.uniform(0.95, 1.25)),
            cloud_tile=self._builder.add(materials.clouds(rng)),
            cloud_cover=cover + float(rng.uniform(-0.1, 0.1)),
        )

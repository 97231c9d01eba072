"""A street from a seed: what stands where, who drives, how light falls."""

from __future__ import annotations

import itertools
import zlib

import numpy as np

from scdepth_tf.synthetic import furniture, plants, shapes, styles
from scdepth_tf.synthetic.cars import CAR_DESIGNS, CarFactory
from scdepth_tf.synthetic.houses import House, HouseTiles
from scdepth_tf.synthetic.materials import ground, nature, things, walls
from scdepth_tf.synthetic.path import Bend, CameraPath
from scdepth_tf.synthetic.shading import Light
from scdepth_tf.synthetic.shadows import Footprint, ShadowMap
from scdepth_tf.synthetic.shapes import MOVING, Face, Model, Quads
from scdepth_tf.synthetic.street import Leading, Oncoming, Street, under_car
from scdepth_tf.synthetic.styles import pick
from scdepth_tf.synthetic.textures import AtlasBuilder

_START = -28.0
"""z at which streets begin; the first camera stands at 0."""

_AHEAD = 190.0
"""Metres that streets go on beyond the last camera."""

_KERB = 0.12
"""Height of the pavement, metres."""

_SIDES = {"left": -1, "right": 1}
"""Sign of X on either side of the street."""


def make_street(seed: int, frames: int = 40) -> Street:
    """Build the street of a seed, long enough for a drive of `frames`.

    Raises:
      ValueError: a negative seed or fewer than one frame.
    """
    if seed < 0 or frames < 1:
        raise ValueError(
            "expected a seed of at least 0 and at least one frame, got seed "
            f"{seed} and {frames} frames"
        )
    return _Planner(seed, frames).plan()


class _Planner:
    """Draws one street, each kind of thing with random numbers of its own:
    a change to the trees leaves the houses as they are.
    """

    def __init__(self, seed: int, frames: int):
        self._seed, self._frames = seed, frames
        self._builder = AtlasBuilder()
        self._models: list[Model] = []
        self._footprints: list[Footprint] = []

        rng = self._rng("style")
        self._style = pick(rng, styles.STYLES)
        self._draw_cross_section(rng)
        self._bend, self._path = self._plan_drive()
        self._end = self._path.distance(frames - 1) + _AHEAD

        rng = self._rng("tiles")
        add = self._builder.add
        self._cars = CarFactory(rng, self._builder)
        self._plain = add(things.plain(rng))
        self._leaf = add(nature.leaves(rng, holes=0.34))
        self._needles = add(nature.leaves(rng, holes=0.12))
        self._hedge = add(nature.hedge(rng))
        self._bark = add(nature.bark(rng))
        seasons = ("spring", "summer", "summer", "autumn")
        self._leaf_tints = styles.LEAF_TINTS[pick(rng, seasons)]
        self._signs = [
            furniture.sign(self._plain, add(things.sign(rng, kind)), shape)
            for kind, shape in things.SIGNS.items()
        ]
        brick, boards = walls.wall(rng, "brick"), walls.fence(rng)
        self._fence = pick(
            rng,
            (  # tile, height, depth, tint
                (self._hedge, 0.9, 0.6, (0.14, 0.26, 0.08)),
                (add(brick), 0.75, 0.25, (0.42, 0.24, 0.17)),
                (add(boards), 1.0, 0.08, (0.55, 0.50, 0.42)),
            ),
        )

    def plan(self) -> Street:
        """Lay the ground, build, plant and park; then let the sun shine."""
        self._plan_ground()
        for name, side in _SIDES.items():
            self._plan_trees(name, side)
            self._plan_gardens(name, side)
            self._plan_signs(name, side)
            self._plan_bins(name, side)
            if name in self._parking:
                self._park_cars(name, side)
        self._plan_houses()
        self._plan_lamps()
        self._plan_horizon()
        traffic = self._plan_traffic()
        light = self._plan_light()
        atlas = self._builder.build()
        quads = shapes.concatenate([q for m in self._models for q in m.quads])
        rounds = shapes.concatenate([r for m in self._models for r in m.rounds])

        centre = self._bend(np.arange(_START, self._end))
        shadows = ShadowMap.empty(
            (float(centre.min()) - 18, float(centre.max()) + 18),
            (_START, self._end),
            light.to_sun,
        )
        shadows.add_quads(quads)
        shadows.add_rounds(rounds, atlas)
        for footprint in self._footprints:
            shadows.shade(footprint)
        return Street(
            self._seed, self._frames, quads, rounds, atlas, shadows, light,
            self._bend, self._path, traffic,
        )  # fmt: skip

    def _rng(self, *kind: str) -> np.random.Generator:
        key = zlib.crc32(" ".join(kind).encode())
        return np.random.default_rng([self._seed, key])

    def _place(self, model: Model, offset, z, *, heading=0.0, up=0.0):
        """Put a model `offset` metres right of the centre line at z."""
        x = float(self._bend(z)) + offset
        heading += self._bend.heading(z)
        self._models.append(model.placed(x, float(z), heading, up))

    def _darken(self, offset, z, half_width, half_length, softness, strength):
        """Take skylight from the ground there."""
        self._footprints.append(
            Footprint(
                float(self._bend(z)) + offset, z, self._bend.heading(z),
                half_width, half_length, softness, strength,
            )
        )  # fmt: skip

    # The drive ----------------------------------------------------------

    def _draw_cross_section(self, rng):
        """Distances from the centre line, metres."""
        self._parking = pick(
            rng, (("left", "right"), ("left", "right"), ("right",), ("left",))
        )
        lane = rng.uniform(2.7, 3.2)
        both = len(self._parking) == 2
        self._kerb_offset = lane + (2.0 if both else 1.3)
        self._lane = lane / 2 + (0.0 if both else 0.1)
        self._pavement = rng.uniform(1.7, 3.2)
        verge = rng.uniform(*self._style.verge)
        self._verge = verge if verge >= 0.6 else 0.0
        self._plot = self._kerb_offset + 0.15 + self._verge + self._pavement
        self._front = {
            side: self._plot + rng.uniform(*self._style.setback)
            for side in _SIDES.values()
        }

    def _plan_drive(self):
        rng = self._rng("drive")
        slope = rng.uniform(0.05, 0.28) * pick(rng, (0, 1, 1, 1))
        wavelength = rng.uniform(180, 340)
        bend = Bend(
            amplitude=slope * wavelength / (2 * np.pi),
            wavelength=wavelength,
            phase=rng.uniform(0, 2 * np.pi),
        )
        path = CameraPath(
            bend=bend,
            lane=self._lane,
            speed=rng.uniform(0.5, 1.1),
            surge=rng.uniform(0.02, 0.12),
            weave=rng.uniform(0.05, 0.3),
            weave_length=rng.uniform(28, 60),
            phase=rng.uniform(0, 2 * np.pi),
            bounce=rng.uniform(0.004, 0.012),
        )
        return bend, path

    # Ground -------------------------------------------------------------

    def _plan_ground(self):
        rng, add = self._rng("ground"), self._builder.add
        line = pick(rng, ("dashed", "dashed", "solid", "double", "none"))
        road = add(
            ground.road(rng, self._kerb_offset, rng.uniform(0.34, 0.48), line)
        )
        paving = add(
            ground.paving(
                rng,
                pick(rng, ("slabs", "setts", "asphalt")),
                rng.uniform(0.48, 0.68) * rng.uniform([1, 0.95, 0.88], 1),
            )
        )
        green = rng.uniform([0.30, 0.40, 0.16], [0.42, 0.50, 0.24])
        grass = add(ground.grass(rng, green))
        kerb = add(ground.kerb(rng))

        kerb_back = self._kerb_offset + 0.15
        strips = [
            (self._kerb_offset, kerb_back, kerb),
            (kerb_back, kerb_back + self._verge, grass),
            (kerb_back + self._verge, self._plot, paving),
            (self._plot, 13.0, grass if self._style.lawns else paving),
            (13.0, 320.0, grass),
        ]
        far = self._end + 260
        stations = np.arange(_START - 20, self._end + 6, 6.0)
        ends = [stations[0], far]
        parts = [
            _strip(
                np.zeros(2), (-60, 60), 0.0, ends, road,
                ground.ROAD_DENSITY, middle=ground.ROAD_MIDDLE,
            ),
            _strip(np.zeros(2), (-320, 320), _KERB, [stations[-1], far], grass),
        ]  # fmt: skip
        centre = self._bend(stations)
        for side in _SIDES.values():
            for near, distant, tile in strips:
                if distant > near:
                    reach = sorted((side * near, side * distant))
                    parts.append(_strip(centre, reach, _KERB, stations, tile))
            parts.append(
                _kerb_faces(centre, side * self._kerb_offset, stations, kerb)
            )
        self._models.append(Model(tuple(parts)))

    # Houses -------------------------------------------------------------

    def _plan_houses(self):
        rng, add, style = self._rng("houses"), self._builder.add, self._style
        wall_tiles = {
            kind: add(walls.wall(rng, kind))
            for kind in sorted(set(style.walls))
        }
        roof = add(walls.roof_tiles(rng))
        window = add(walls.window(rng))
        fronts = [self._draw_facade(rng) for _ in range(9)]
        tiles = [
            HouseTiles(
                front=add(walls.facade(rng, front)),
                wall=wall_tiles[front.kind],
                roof=roof,
                window=window,
                plain=self._plain,
            )
            for front in fronts
        ]
        for name, side in _SIDES.items():
            rng = self._rng("houses", name)
            z, chosen = _START, 0
            while z < self._end:
                # Never the same front twice in a row.
                chosen = (chosen + int(rng.integers(1, 9))) % 9
                house = House(
                    front=fronts[chosen],
                    tiles=tiles[chosen],
                    depth=rng.uniform(8, 11),
                    roof=pick(rng, style.roofs),
                    roof_height=rng.uniform(1.8, 3.4),
                    roof_tint=np.array(pick(rng, styles.ROOF_TINTS)),
                )
                self._place_house(rng, house, side, z)
                z += house.front.width
                if rng.random() < style.gap_chance:
                    side_street = 9.0 * (rng.random() < 0.08)
                    z += rng.uniform(*style.gap) + side_street

    def _place_house(self, rng, house, side, z):
        offset = self._front[side] + rng.uniform(
            0, 0.8 * self._style.gap_chance
        )
        middle = z + house.front.width / 2
        self._place(
            house.build(rng),
            side * offset,
            middle,
            heading=0.0 if side > 0 else np.pi,
        )
        self._darken(
            side * (offset + house.depth / 2), middle, house.depth / 2,
            house.front.width / 2, softness=1.6, strength=0.45,
        )  # fmt: skip

    def _draw_facade(self, rng):
        style = self._style
        storeys = int(rng.integers(style.storeys[0], style.storeys[1] + 1))
        colour = np.array(pick(rng, style.wall_colours))
        colour *= rng.uniform(0.88, 1.06) * rng.uniform(0.97, 1.03, 3)
        trim = pick(rng, (0.35, 0.8, 0.9, 0.93)) * rng.uniform(0.94, 1.0, 3)
        return walls.Facade(
            width=rng.uniform(*style.house_width),
            height=storeys * rng.uniform(2.7, 3.4) + 0.4,
            storeys=storeys,
            kind=pick(rng, style.walls),
            colour=np.clip(colour, 0, 0.93),
            trim=trim,
            shop=rng.random() < style.shops,
        )

    # Plants and fences --------------------------------------------------

    def _tree(self, rng, kind, size):
        fir = kind == "fir"
        tint = styles.FIR_TINT if fir else pick(rng, self._leaf_tints)
        leaf = self._needles if fir else self._leaf
        return plants.tree(rng, kind, leaf, self._bark, np.array(tint), size)

    def _plan_trees(self, name, side):
        rng = self._rng("trees")  # both sides alike …
        avenue, spacing = rng.random() < 0.5, rng.uniform(7, 14)
        favourite = pick(rng, self._style.trees)
        rng = self._rng("trees", name)  # … but not mirrored
        room = self._front[side] - self._plot
        at_kerb = self._verge > 0 or room < 2.5
        offset = (
            self._kerb_offset + 0.75 if at_kerb else self._plot + 0.45 * room
        )
        z = _START + rng.uniform(0, spacing)
        while z < self._end:
            if rng.random() < (0.85 if avenue else 0.4):
                kind = favourite if avenue else pick(rng, self._style.trees)
                if kind == "fir" and at_kerb:
                    kind = "young"
                size = rng.uniform(0.8, 1.25) * (0.85 if at_kerb else 1.0)
                self._place(
                    self._tree(rng, kind, size), side * offset, z,
                    heading=rng.uniform(0, 6),
                )  # fmt: skip
                self._darken(side * offset, z, 0.3, 0.3, 1.3, 0.35)
            z += spacing * rng.uniform(0.7, 1.4)

    def _plan_gardens(self, name, side):
        """Hedges, walls or fences along the pavement, bushes behind."""
        room = self._front[side] - self._plot
        if room < 0.25:
            return
        tile, height, depth, tint = self._fence
        rng = self._rng("fences", name)
        z = _START
        while z < self._end:
            length = rng.uniform(3, 9)
            if rng.random() < self._style.fenced:
                fence = furniture.barrier(
                    tile, length, height * rng.uniform(0.85, 1.3), depth, tint
                )
                offset, middle = side * (self._plot + 0.3), z + length / 2
                self._place(fence, offset, middle)
                self._darken(offset, middle, depth / 2, length / 2, 0.5, 0.5)
            z += length + pick(rng, (0.0, 1.2, 3.0))
        rng = self._rng("bushes", name)
        z = _START
        while room > 1.2 and z < self._end:
            if rng.random() < 0.55:
                tint = np.array(pick(rng, self._leaf_tints))
                bush = plants.bush(
                    rng, self._needles, tint, rng.uniform(0.4, 0.9)
                )
                offset = self._front[side] - rng.uniform(0.4, room - 0.3)
                self._place(bush, side * offset, z)
            z += rng.uniform(1.5, 6)

    def _plan_horizon(self):
        """Trees behind the houses, wooded hills where the street ends."""
        rng = self._rng("hills")
        for _ in range(9):
            tint = np.array(pick(rng, self._leaf_tints)) * 0.8
            hill = plants.hill(rng, self._needles, tint)
            x, z = rng.uniform(-220, 220), self._end + rng.uniform(60, 160)
            self._models.append(hill.placed(x, z, 0.0))
        for name, side in _SIDES.items():
            rng = self._rng("backdrop", name)
            z = _START + 20
            while z < self._end + 60:
                kind = pick(rng, ("broad", "round", "fir"))
                self._place(
                    self._tree(rng, kind, rng.uniform(1.2, 1.9)),
                    side * rng.uniform(26, 46), z,
                )  # fmt: skip
                z += rng.uniform(6, 14)

    # Street furniture ---------------------------------------------------

    def _plan_lamps(self):
        rng = self._rng("lamps")
        lamp = furniture.lamp(
            self._plain,
            height=rng.uniform(5.5, 8.0),
            reach=rng.uniform(0.8, 2.2),
            tint=rng.uniform(0.05, 0.5) * np.array([1.0, 1.0, 1.02]),
        )
        spacing = rng.uniform(22, 32)
        for side in pick(rng, ((-1, 1), (-1,), (1,))):
            first = _START + rng.uniform(0, 20)
            for z in np.arange(first, self._end, spacing):
                self._place(
                    lamp, side * (self._kerb_offset + 0.45), z,
                    heading=0.0 if side > 0 else np.pi,
                )  # fmt: skip

    def _plan_signs(self, name, side):
        rng = self._rng("signs", name)
        z = _START + rng.uniform(0, 40)
        while z < self._end:
            self._place(
                pick(rng, self._signs), side * (self._kerb_offset + 0.5), z,
                heading=0.0 if side > 0 else np.pi,
            )  # fmt: skip
            z += rng.uniform(22, 60)

    def _plan_bins(self, name, side):
        rng = self._rng("bins", name)
        z = _START + rng.uniform(0, 20)
        while z < self._end:
            for k in range(int(rng.integers(0, 4))):
                self._place(
                    furniture.wheeled_bin(rng, self._plain),
                    side * (self._plot - 0.45), z + 0.8 * k,
                    heading=rng.uniform(-0.2, 0.2), up=_KERB,
                )  # fmt: skip
            z += rng.uniform(12, 35)

    # Cars ---------------------------------------------------------------

    def _a_car(self, rng):
        kind = rng.choice(len(CAR_DESIGNS), p=(0.3, 0.25, 0.2, 0.17, 0.08))
        tint = np.array(pick(rng, styles.CAR_TINTS)) * rng.uniform(0.85, 1.1)
        return self._cars.build(CAR_DESIGNS[kind], tint)

    def _park_cars(self, name, side):
        rng = self._rng("parked", name)
        crowd = rng.uniform(0.35, 0.85)
        z = _START + rng.uniform(0, 5)
        while z < self._end:
            if rng.random() < crowd:
                offset = side * (self._kerb_offset - 1.05)
                offset += rng.uniform(-0.1, 0.1)
                contrary = rng.random() < 0.12
                heading = np.pi * ((side < 0) != contrary)
                self._place(
                    self._a_car(rng), offset, z,
                    heading=heading + rng.normal(0, 0.015),
                )  # fmt: skip
                self._footprints.append(
                    under_car(
                        float(self._bend(z)) + offset, z, self._bend.heading(z)
                    )
                )
            z += rng.uniform(5.4, 7.5)

    def _plan_traffic(self):
        rng = self._rng("traffic")
        speed, z, starts = rng.uniform(0.6, 1.0), rng.uniform(18, 40), []
        for _ in range(int(rng.integers(2, 5))):
            starts.append(z)
            z += rng.uniform(30, 55)
        traffic = [
            Oncoming(
                self._a_car(rng).labelled(MOVING), -self._lane, start, speed,
                loop=max(z, 180.0),
            )
            for start in starts
        ]  # fmt: skip
        if rng.random() < 0.7:
            traffic.append(
                Leading(
                    self._a_car(rng).labelled(MOVING), self._lane,
                    distance=rng.uniform(10, 20), sway=rng.uniform(0.3, 2.5),
                )
            )  # fmt: skip
        return tuple(traffic)

    # Light --------------------------------------------------------------

    def _plan_light(self):
        rng = self._rng("light")
        weather = pick(rng, styles.WEATHERS)
        elevation = np.radians(rng.uniform(*weather.elevation))
        azimuth = rng.uniform(0, 2 * np.pi)
        level = np.cos(elevation)
        return Light(
            to_sun=np.array(
                [
                    level * np.sin(azimuth),
                    -np.sin(elevation),
                    level * np.cos(azimuth),
                ]
            ),
            sun=np.array(weather.sun),
            ambient=np.array(weather.ambient),
            horizon=np.array(weather.horizon),
            zenith=np.array(weather.zenith),
            haze_distance=rng.uniform(350, 800),
            exposure=rng.uniform(0.95, 1.25),
            cloud_tile=self._builder.add(nature.clouds(rng)),
            cloud_cover=weather.clouds + rng.uniform(-0.1, 0.1),
        )


def _strip(centre, reach, up, stations, tile, density=64.0, middle=0.0):
    """Level ground beside the centre line, cut at the stations.

    Args:
      centre: `[n]` x of the centre line at the stations, metres.
      reach: (low, high) metres right of it.
      up: height, metres.
      stations: `[n]` increasing z, metres.
      tile: tile of the atlas; u runs across the street, v along it.
      density: texels per metre, or (along, across).
      middle: u on the centre line.
    """
    z = np.asarray(stations, np.float64)
    left, right = (
        np.stack([centre + offset, np.full_like(z, -up), z], axis=1)
        for offset in reach
    )
    corners = np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=1)
    count = len(corners)
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
        ground=np.ones(count, bool),
    )


def _kerb_faces(centre, offset, stations, tile):
    """The upright side of the kerb, `offset` metres right of the centre."""
    faces = []
    edge = zip(centre + offset, stations, strict=True)
    for (x0, z0), (x1, z1) in itertools.pairwise(edge):
        corners = [(x0, _KERB, z0), (x1, _KERB, z1), (x1, 0, z1), (x0, 0, z0)]
        faces.append(Face(corners, tile, inside=(x0 + offset, 0, z0)))
    return shapes.quads(faces)

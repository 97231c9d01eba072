"""Neighbourhoods and weathers that streets are drawn from."""

from __future__ import annotations

import dataclasses

import numpy as np

Colour = tuple[float, float, float]
Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Style:
    """A kind of neighbourhood.

    Attributes:
      house_width, gap, setback, verge: metres, (low, high); a verge narrower
        than 0.6 m is left out.
      storeys: (low, high), both included.
      gap_chance: probability of a gap between two houses.
      walls: kinds of wall, as `materials.wall` takes them.
      wall_colours: display RGB.
      roofs: kinds of roof, as `houses.House` takes them.
      trees: kinds, as `plants.tree` takes them.
      fenced: share of front gardens behind a hedge, wall or fence.
      lawns: front gardens are grass, not paving.
      shops: share of ground floors that are shops.
    """

    house_width: Range
    gap: Range
    setback: Range
    verge: Range
    storeys: tuple[int, int]
    gap_chance: float
    walls: tuple[str, ...]
    wall_colours: tuple[Colour, ...]
    roofs: tuple[str, ...]
    trees: tuple[str, ...]
    fenced: float
    lawns: bool
    shops: float


TERRACE = Style(
    house_width=(5.0, 8.0),
    gap=(3.0, 9.0),
    setback=(0.3, 2.0),
    verge=(0.0, 0.0),
    storeys=(2, 3),
    gap_chance=0.08,
    walls=("brick", "brick", "plaster"),
    wall_colours=(
        (0.60, 0.42, 0.34), (0.66, 0.48, 0.36), (0.54, 0.38, 0.33),
        (0.70, 0.60, 0.47), (0.50, 0.36, 0.30),
    ),
    roofs=("eaves",),
    trees=("young", "round"),
    fenced=0.3,
    lawns=True,
    shops=0.0,
)  # fmt: skip

TOWN = Style(
    house_width=(9.0, 15.0),
    gap=(3.0, 8.0),
    setback=(0.0, 0.6),
    verge=(0.0, 0.0),
    storeys=(3, 4),
    gap_chance=0.15,
    walls=("plaster", "plaster", "brick"),
    wall_colours=(
        (0.83, 0.77, 0.64), (0.80, 0.68, 0.55), (0.74, 0.74, 0.72),
        (0.86, 0.80, 0.70), (0.70, 0.52, 0.42), (0.76, 0.80, 0.76),
    ),
    roofs=("eaves", "eaves", "flat"),
    trees=("round", "column", "young"),
    fenced=0.0,
    lawns=False,
    shops=0.5,
)  # fmt: skip

SUBURB = Style(
    house_width=(8.0, 13.0),
    gap=(3.0, 9.0),
    setback=(4.0, 7.0),
    verge=(0.0, 1.8),
    storeys=(1, 2),
    gap_chance=0.95,
    walls=("plaster", "brick", "boards"),
    wall_colours=(
        (0.88, 0.86, 0.81), (0.82, 0.77, 0.64), (0.66, 0.48, 0.38),
        (0.78, 0.81, 0.83), (0.72, 0.66, 0.52),
    ),
    roofs=("eaves", "gable", "eaves"),
    trees=("round", "broad", "fir", "young"),
    fenced=0.75,
    lawns=True,
    shops=0.0,
)  # fmt: skip

VILLAGE = Style(
    house_width=(7.0, 12.0),
    gap=(1.5, 12.0),
    setback=(0.5, 3.0),
    verge=(0.0, 1.2),
    storeys=(1, 2),
    gap_chance=0.55,
    walls=("plaster", "plaster", "boards"),
    wall_colours=(
        (0.90, 0.78, 0.55), (0.88, 0.86, 0.80), (0.83, 0.62, 0.50),
        (0.72, 0.80, 0.74), (0.70, 0.78, 0.86), (0.86, 0.70, 0.66),
    ),
    roofs=("gable", "eaves"),
    trees=("broad", "round", "fir"),
    fenced=0.5,
    lawns=True,
    shops=0.05,
)  # fmt: skip

MODERN = Style(
    house_width=(12.0, 20.0),
    gap=(4.0, 12.0),
    setback=(2.0, 5.0),
    verge=(0.0, 2.0),
    storeys=(3, 5),
    gap_chance=0.5,
    walls=("plaster", "brick", "boards"),
    wall_colours=(
        (0.84, 0.84, 0.83), (0.66, 0.67, 0.68), (0.58, 0.46, 0.40),
        (0.78, 0.74, 0.66), (0.52, 0.55, 0.58),
    ),
    roofs=("flat", "flat", "eaves"),
    trees=("column", "round", "young"),
    fenced=0.3,
    lawns=False,
    shops=0.1,
)  # fmt: skip

STYLES = (TERRACE, TOWN, SUBURB, VILLAGE, MODERN)

ROOF_TINTS = (
    (0.30, 0.10, 0.06), (0.12, 0.11, 0.12), (0.22, 0.15, 0.11),
    (0.36, 0.17, 0.10),
)  # fmt: skip

CAR_TINTS = (
    (0.62, 0.63, 0.65), (0.03, 0.03, 0.035), (0.42, 0.03, 0.03),
    (0.04, 0.09, 0.30), (0.80, 0.80, 0.78), (0.14, 0.15, 0.16),
    (0.08, 0.17, 0.10), (0.35, 0.38, 0.42), (0.55, 0.30, 0.05),
    (0.10, 0.28, 0.42), (0.72, 0.68, 0.55),
)  # fmt: skip

_GREENS = ((0.16, 0.30, 0.06), (0.22, 0.34, 0.09), (0.10, 0.22, 0.06))

LEAF_TINTS = {
    "spring": (*_GREENS, (0.34, 0.46, 0.12), (0.75, 0.50, 0.55)),
    "summer": _GREENS,
    "autumn": (
        *_GREENS, (0.62, 0.34, 0.05), (0.52, 0.16, 0.04), (0.60, 0.48, 0.08),
    ),
}  # fmt: skip

FIR_TINT = (0.07, 0.16, 0.07)


@dataclasses.dataclass(frozen=True)
class Weather:
    """Sun and sky; colours are linear RGB.

    Attributes:
      elevation: of the sun, degrees, (low, high).
      sun, ambient, horizon, zenith: light.
      clouds: added to the cover of clouds.
    """

    elevation: Range
    sun: Colour
    ambient: Colour
    horizon: Colour
    zenith: Colour
    clouds: float


CLEAR = Weather(
    elevation=(30, 58),
    sun=(2.7, 2.55, 2.25),
    ambient=(0.60, 0.70, 0.88),
    horizon=(0.85, 1.0, 1.2),
    zenith=(0.10, 0.28, 0.72),
    clouds=-0.14,
)
FAIR = Weather(
    elevation=(32, 58),
    sun=(2.3, 2.2, 2.0),
    ambient=(0.68, 0.75, 0.86),
    horizon=(0.95, 1.05, 1.2),
    zenith=(0.16, 0.34, 0.74),
    clouds=0.06,
)
OVERCAST = Weather(
    elevation=(35, 58),
    sun=(0.45, 0.45, 0.45),
    ambient=(1.15, 1.17, 1.22),
    horizon=(1.3, 1.34, 1.4),
    zenith=(0.80, 0.86, 0.96),
    clouds=0.3,
)
GOLDEN = Weather(
    elevation=(14, 22),
    sun=(3.0, 2.2, 1.35),
    ambient=(0.60, 0.64, 0.80),
    horizon=(1.35, 1.08, 0.80),
    zenith=(0.26, 0.38, 0.68),
    clouds=-0.05,
)
WEATHERS = (CLEAR, CLEAR, FAIR, OVERCAST, GOLDEN)


def pick(rng: np.random.Generator, choices):
    """One of a sequence, as it is."""
    return choices[int(rng.integers(len(choices)))]

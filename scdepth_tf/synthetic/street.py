"""One street: its surfaces, its light, its traffic, and the drive along it."""

from __future__ import annotations

import dataclasses

import numpy as np

from scdepth_tf.synthetic import shapes
from scdepth_tf.synthetic.path import Bend, CameraPath
from scdepth_tf.synthetic.shading import Light
from scdepth_tf.synthetic.shadows import Footprint, ShadowMap
from scdepth_tf.synthetic.shapes import Model, Quads, Rounds
from scdepth_tf.synthetic.textures import Atlas

_PASSED = 25.0
"""Oncoming cars are sent again this many metres behind the camera."""


@dataclasses.dataclass(frozen=True)
class Oncoming:
    """A car that comes towards the camera, again and again.

    Attributes:
      model: the car at the origin, looking along +Z.
      lane: metres right of the centre line.
      start: z in frame 0, metres.
      speed: metres a frame.
      loop: metres of street it shares with the cars behind it.
    """

    model: Model
    lane: float
    start: float
    speed: float
    loop: float

    def z(self, frame_index: int, camera_z: float) -> float:
        ahead = self.start - self.speed * frame_index - camera_z
        return camera_z + (ahead + _PASSED) % self.loop - _PASSED

    def turned(self) -> float:
        """Radians by which it is turned from the street's direction."""
        return np.pi


@dataclasses.dataclass(frozen=True)
class Leading:
    """A car that drives ahead of the camera at about its speed.

    Attributes:
      model: the car at the origin, looking along +Z.
      lane: metres right of the centre line.
      distance: mean metres ahead.
      sway: metres by which the distance swings.
    """

    model: Model
    lane: float
    distance: float
    sway: float

    def z(self, frame_index: int, camera_z: float) -> float:
        swing = np.sin(0.11 * frame_index + self.distance)
        return camera_z + self.distance + self.sway * float(swing)

    def turned(self) -> float:
        """Radians by which it is turned from the street's direction."""
        return 0.0


@dataclasses.dataclass(frozen=True)
class Street:
    """Everything `render_frame` needs; made by `make_street`.

    Attributes:
      seed, frames: what `make_street` was asked for.
      quads, rounds: what stands still.
      atlas: tiles of all surfaces.
      shadows: sun and sky without the traffic.
      light: sun and sky.
      bend: the centre line.
      path: the camera's drive.
      traffic: what moves.
    """

    seed: int
    frames: int
    quads: Quads
    rounds: Rounds
    atlas: Atlas
    shadows: ShadowMap
    light: Light
    bend: Bend
    path: CameraPath
    traffic: tuple[Oncoming | Leading, ...]

    def at(self, frame_index: int) -> tuple[Quads, Rounds, ShadowMap]:
        """Surfaces and shadows with the traffic where it is in a frame."""
        camera_z = self.path.distance(frame_index)
        shadows = self.shadows.copy()
        quads, rounds = [self.quads], [self.rounds]
        for car in self.traffic:
            z = car.z(frame_index, camera_z)
            x, heading = float(self.bend(z)) + car.lane, self.bend.heading(z)
            model = car.model.placed(x, z, heading + car.turned())
            for part in model.quads:
                shadows.add_quads(part)
            shadows.shade(under_car(x, z, heading))
            quads += model.quads
            rounds += model.rounds
        return shapes.concatenate(quads), shapes.concatenate(rounds), shadows


def under_car(x: float, z: float, heading: float) -> Footprint:
    """The dark ground under a car."""
    return Footprint(x, z, heading, 0.72, 1.9, 0.7, 0.85)

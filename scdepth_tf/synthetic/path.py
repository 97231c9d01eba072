"""The street's centre line and the camera's drive along it."""

from __future__ import annotations

import dataclasses

import numpy as np

CAMERA_HEIGHT = 1.65
"""Metres above the road, as KITTI's."""


@dataclasses.dataclass(frozen=True)
class Bend:
    """Centre line x = amplitude · sin(2π z / wavelength + phase), metres."""

    amplitude: float
    wavelength: float
    phase: float

    def __call__(self, z):
        return self.amplitude * np.sin(self._angle(z))

    def heading(self, z: float) -> float:
        """Direction of the street at z, radians right of +Z."""
        slope = (
            self.amplitude
            * (2 * np.pi / self.wavelength)
            * np.cos(self._angle(z))
        )
        return float(np.arctan(slope))

    def _angle(self, z):
        return 2 * np.pi / self.wavelength * np.asarray(z) + self.phase


@dataclasses.dataclass(frozen=True)
class CameraPath:
    """A car's drive: along the lane, weaving a little, never quite level.

    Attributes:
      bend: the street's centre line.
      lane: metres right of it.
      speed: mean metres a frame.
      surge: relative swing of the speed.
      weave, weave_length: metres to either side, metres per swing.
      phase: radians, where in its swings the drive begins.
      bounce: metres of heave; pitch and roll go with it.
    """

    bend: Bend
    lane: float
    speed: float
    surge: float
    weave: float
    weave_length: float
    phase: float
    bounce: float

    def distance(self, frame_index: int) -> float:
        """Metres along Z that the camera has come; 0 in frame 0."""
        swing = 0.13
        return float(
            self.speed
            * (
                frame_index
                + self.surge
                / swing
                * (
                    np.sin(swing * frame_index + self.phase)
                    - np.sin(self.phase)
                )
            )
        )

    def world_from_camera(self, frame_index: int) -> np.ndarray:
        """`[4, 4]` pose: X right, Y down, Z forward, metres."""
        z = self.distance(frame_index)
        turn = 2 * np.pi / self.weave_length
        angle = turn * z + self.phase
        x = float(self.bend(z)) + self.lane + self.weave * np.sin(angle)
        yaw = self.bend.heading(z) + np.arctan(
            self.weave * turn * np.cos(angle)
        )
        k = frame_index
        height = CAMERA_HEIGHT + self.bounce * np.sin(1.7 * k + self.phase)
        pitch = 0.3 * self.bounce * np.sin(1.1 * k + 2 * self.phase)
        roll = 0.2 * self.bounce * np.sin(0.7 * k + 3 * self.phase)
        pose = np.eye(4)
        pose[:3, :3] = _rotation_y(yaw) @ _rotation_x(pitch) @ _rotation_z(roll)
        pose[:3, 3] = x, -height, z
        return pose


def _rotation_x(angle):
    s, c = np.sin(angle), np.cos(angle)
    return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])


def _rotation_y(angle):
    s, c = np.sin(angle), np.cos(angle)
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


def _rotation_z(angle):
    s, c = np.sin(angle), np.cos(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

"""Trajectories of our own making, exact and the same on every machine."""

import numpy as np


def rotation(x=0.0, y=0.0, z=0.0):
    """Rx·Ry·Rz `[..., 3, 3]` of angles in radians."""
    x, y, z = np.broadcast_arrays(x, y, z)
    cos, sin, one, zero = np.cos, np.sin, np.ones(x.shape), np.zeros(x.shape)

    def stack(rows):
        return np.stack([np.stack(row, -1) for row in rows], -2)

    return (
        stack(
            [[one, zero, zero], [zero, cos(x), -sin(x)], [zero, sin(x), cos(x)]]
        )
        @ stack(
            [[cos(y), zero, sin(y)], [zero, one, zero], [-sin(y), zero, cos(y)]]
        )
        @ stack(
            [[cos(z), -sin(z), zero], [sin(z), cos(z), zero], [zero, zero, one]]
        )
    )


def poses(positions, rotations):
    made = np.tile(np.eye(4), (len(positions), 1, 1))
    made[:, :3, :3], made[:, :3, 3] = rotations, positions
    return made


def straight(frames, speed=1.0):
    """Along Z, `speed` metres a frame, without turning."""
    positions = np.zeros((frames, 3))
    positions[:, 2] = speed * np.arange(frames)
    return poses(positions, np.eye(3))


def winding(frames=400):
    """A drive of some 440 m through bends and over hills."""
    t = np.arange(frames) / frames
    heading = 1.5 * np.sin(7 * t) + 0.8 * np.sin(19 * t)
    pitch = 0.05 * np.sin(23 * t)
    velocity = rotation(x=pitch, y=heading)[:, :, 2] * 1.1
    positions = np.cumsum(velocity, axis=0) + np.array([3.0, -1.0, 7.0])
    return poses(
        positions, rotation(x=pitch, y=heading, z=0.02 * np.sin(31 * t))
    )


def perturbed(truth, scale=0.031):
    """An estimate of `truth` as a network would make it: each step a little
    wrong, the scale another, the world its own. Sines in place of random
    numbers keep the figures the same with every version of NumPy.
    """
    steps = np.linalg.inv(truth[:-1]) @ truth[1:]
    i = np.arange(len(steps))
    wobble = poses(
        0.05
        * np.stack([np.sin(3.1 * i), np.sin(4.7 * i), np.sin(0.9 * i)], -1),
        rotation(
            x=1e-3 * np.sin(2.3 * i),
            y=2e-3 * np.sin(0.017 * i) + 1e-3 * np.sin(5.9 * i),
            z=1e-3 * np.sin(1.3 * i),
        ),
    )
    chained = [np.eye(4)]
    for step in steps @ wobble:
        chained.append(chained[-1] @ step)
    estimate = np.stack(chained)
    estimate[:, :3, 3] *= scale
    world = poses(np.array([[0.3, 0.2, -0.1]]), rotation(0.2, -0.4, 0.1)[None])
    return world @ estimate

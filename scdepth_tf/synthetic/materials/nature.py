"""Leaves, bark and clouds."""

from __future__ import annotations

import numpy as np

from scdepth_tf.synthetic.materials.canvas import Canvas


def leaves(rng: np.random.Generator, holes: float) -> np.ndarray:
    """Foliage, 4 m square; A is coverage, not the weight of the tint.

    Args:
      rng: source of randomness.
      holes: share of the surface left open, [0, 1).
    """
    canvas = Canvas((256, 256), 0.62)
    clumps = canvas.noise(rng, 1.2, largest=28)
    fine = canvas.noise(rng, 0.5, largest=8)
    canvas.grain(
        0.26 * np.clip(clumps, -1.8, 2),
        0.2 * np.clip(fine, -2, 2),
        0.08 * canvas.noise(rng, 0.0),
    )
    depth = clumps + 0.5 * fine
    edge = np.quantile(depth, holes)
    canvas.texels[..., 3] = np.clip(2 * (depth - edge) + 0.5, 0, 1)
    return canvas.texels


def hedge(rng: np.random.Generator) -> np.ndarray:
    """Clipped foliage to be tinted, without holes, 4 m square."""
    texels = leaves(rng, holes=0.1)
    texels[..., 3] = 1.0
    return texels


def bark(rng: np.random.Generator) -> np.ndarray:
    """Bark to be tinted, 2 m square."""
    canvas = Canvas((128, 128), 0.4, tinted=1.0)
    canvas.grain(0.25 * canvas.noise(rng, 0.8, largest=24, stretch=0.25))
    return canvas.texels


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Cover of clouds in A, half of it on average."""
    canvas = Canvas((512, 512), 1.0)
    cover = 0.5 + 0.25 * canvas.noise(rng, 1.9, largest=200)
    canvas.texels[..., 3] = np.clip(cover, 0, 1)
    return canvas.texels

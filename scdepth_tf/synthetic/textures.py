"""Tileable textures, filtered once along each axis, in one packed array.

Streets are seen at grazing angles: a metre of road far ahead is one row high
but many columns wide. A mip-map would blur it by the longer side, so every
tile is stored as a rip-map, halved independently along u and v (an
axis-aligned anisotropic filter), and looked up bilinearly at the level pair
that fits the pixel's footprint.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_MAX_LEVELS = 13


@dataclasses.dataclass(frozen=True)
class Atlas:
    """All tiles of one street.

    Attributes:
      texels: `[T]` uint32, packed RGBA; RGB is the square root of linear
        reflectance, A the tint weight (or the coverage of leaves).
      starts: `[tiles × levels × levels]` int32, where each level begins.
      log_widths, log_heights: `[tiles]` int32, log2 of the size in texels.
    """

    texels: np.ndarray
    starts: np.ndarray
    log_widths: np.ndarray
    log_heights: np.ndarray

    def sample(
        self,
        tile: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        level_u: np.ndarray,
        level_v: np.ndarray,
    ) -> np.ndarray:
        """Bilinear look-up.

        Args:
          tile: `[n]` int tile numbers.
          u: `[n]` float32 position along a row in texels of the finest
            level; texel k spans [k, k + 1); tiles repeat.
          v: `[n]` the same along a column.
          level_u: `[n]` int ≥ 0, halvings along u; at most what the tile has.
          level_v: `[n]` the same along v.

        Returns:
          `[n, 4]` float32 in [0, 255].
        """
        log_width = self.log_widths[tile]
        log_height = self.log_heights[tile]
        level_u = np.clip(level_u, 0, log_width)
        level_v = np.clip(level_v, 0, log_height)
        start = self.starts[
            (tile * _MAX_LEVELS + level_u) * _MAX_LEVELS + level_v
        ]
        log_width = log_width - level_u
        mask_u = (1 << log_width) - 1
        mask_v = (1 << (log_height - level_v)) - 1

        u = u * _HALVINGS[level_u] - np.float32(0.5)
        v = v * _HALVINGS[level_v] - np.float32(0.5)
        left, top = np.floor(u), np.floor(v)
        right_share = (u - left)[:, None]
        bottom_share = (v - top)[:, None]
        left, top = left.astype(np.int32), top.astype(np.int32)
        columns = left & mask_u, (left + 1) & mask_u
        rows = (
            start + ((top & mask_v) << log_width),
            start + (((top + 1) & mask_v) << log_width),
        )
        above = _mix(
            self._texel(rows[0] + columns[0]),
            self._texel(rows[0] + columns[1]),
            right_share,
        )
        below = _mix(
            self._texel(rows[1] + columns[0]),
            self._texel(rows[1] + columns[1]),
            right_share,
        )
        return _mix(above, below, bottom_share)

    def covered(self, tile: int, u, v, level: int):
        """Whether A of the nearest texel is at least one half: `[n]` bool."""
        log_width = self.log_widths[tile] - level
        log_height = self.log_heights[tile] - level
        start = self.starts[(tile * _MAX_LEVELS + level) * _MAX_LEVELS + level]
        halving = _HALVINGS[level]
        column = np.floor(u * halving).astype(np.int32) & ((1 << log_width) - 1)
        row = np.floor(v * halving).astype(np.int32) & ((1 << log_height) - 1)
        return self.texels[start + (row << log_width) + column] >= 0x80000000

    def _texel(self, index):
        packed = self.texels[index]
        return packed.view(np.uint8).reshape(-1, 4).astype(np.float32)


_HALVINGS = np.exp2(-np.arange(_MAX_LEVELS)).astype(np.float32)


def _mix(a, b, share):
    b -= a
    b *= share
    b += a
    return b


class AtlasBuilder:
    """Collects tiles; `build` packs them."""

    def __init__(self):
        self._levels: list[np.ndarray] = []
        self._starts: list[np.ndarray] = []
        self._log_sizes: list[tuple[int, int]] = []
        self._size = 0

    def add(self, tile: np.ndarray) -> int:
        """Add a tile `[2^b, 2^a, 4]` float in [0, 1] and return its number."""
        height, width = tile.shape[:2]
        log_width, log_height = width.bit_length() - 1, height.bit_length() - 1
        starts = np.zeros((_MAX_LEVELS, _MAX_LEVELS), np.int32)
        # Light adds up linearly: average reflectances, not their roots.
        across = tile.astype(np.float32).clip(0, 1)
        across[..., :3] **= 2
        for level_u in range(log_width + 1):
            along = across
            for level_v in range(log_height + 1):
                starts[level_u, level_v] = self._size
                self._append(along)
                if level_v < log_height:
                    along = 0.5 * (along[0::2] + along[1::2])
            if level_u < log_width:
                across = 0.5 * (across[:, 0::2] + across[:, 1::2])
        self._starts.append(starts)
        self._log_sizes.append((log_width, log_height))
        return len(self._starts) - 1

    def _append(self, linear: np.ndarray) -> None:
        texels = linear.reshape(-1, 4).copy()
        np.sqrt(texels[:, :3], out=texels[:, :3])
        packed = (texels * 255 + 0.5).astype(np.uint8).view("<u4").ravel()
        self._levels.append(packed)
        self._size += packed.size

    def build(self) -> Atlas:
        log_sizes = np.array(self._log_sizes, np.int32)
        return Atlas(
            texels=np.concatenate(self._levels),
            starts=np.stack(self._starts).ravel(),
            log_widths=log_sizes[:, 0].copy(),
            log_heights=log_sizes[:, 1].copy(),
        )


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    exponent: float = 1.0,
    largest: float | None = None,
    stretch: float = 1.0,
) -> np.ndarray:
    """Tileable Gaussian noise, amplitude falling as frequency^−exponent.

    Args:
      rng: source of randomness.
      shape: (height, width) in texels.
      exponent: 0 is white, 1 cloudy, 2 smooth.
      largest: features larger than this many texels are faded out.
      stretch: > 1 draws features out along the rows (u).

    Returns:
      `[height, width]` float32, mean 0, standard deviation 1.
    """
    height, width = shape
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    frequency = np.hypot(
        np.fft.fftfreq(height)[:, None], stretch * np.fft.rfftfreq(width)
    )
    frequency[0, 0] = 1.0
    gain = frequency**-exponent
    if largest is not None:
        gain *= 1 - np.exp(-((frequency * largest) ** 2))
    gain[0, 0] = 0.0
    field = np.fft.irfft2(spectrum * gain.astype(np.float32), s=shape)
    return field / field.std()

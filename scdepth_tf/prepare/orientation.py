"""From the picture as the sensor stored it to the picture as it is shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """Mirror left to right (or not), then turn."""

    quarter_turns: int = 0
    """Counterclockwise, 0 to 3."""

    mirrored: bool = False

    @classmethod
    def from_exif(cls, code: int) -> Orientation:
        """EXIF tag 0x0112; anything but 2 to 8 is upright."""
        return _EXIF.get(code, cls())

    @property
    def swaps_sides(self) -> bool:
        """Portrait becomes landscape."""
        return self.quarter_turns % 2 == 1

    def show(self, stored: np.ndarray) -> np.ndarray:
        """Stored [H, W, ...] to displayed."""
        mirrored = stored[:, ::-1] if self.mirrored else stored
        return np.ascontiguousarray(np.rot90(mirrored, self.quarter_turns))

    def store(self, displayed: np.ndarray) -> np.ndarray:
        """Displayed [H, W, ...] to stored: the inverse of `show`."""
        turned = np.rot90(displayed, -self.quarter_turns)
        return np.ascontiguousarray(
            turned[:, ::-1] if self.mirrored else turned
        )

    def show_size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the displayed picture."""
        return stored[::-1] if self.swaps_sides else stored

    def show_intrinsics(
        self, intrinsics: np.ndarray, stored: tuple[int, int]
    ) -> np.ndarray:
        """Intrinsics [3, 3] without skew, of a picture of the height and width
        `stored`, after `show`.
        """
        height, width = stored
        fx, fy = intrinsics[0, 0], intrinsics[1, 1]
        cx, cy = intrinsics[0, 2], intrinsics[1, 2]
        if self.mirrored:
            cx = width - 1 - cx
        for _ in range(self.quarter_turns):
            fx, fy = fy, fx
            cx, cy = cy, width - 1 - cx
            height, width = width, height
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


_EXIF = {
    2: Orientation(0, True),
    3: Orientation(2),
    4: Orientation(2, True),
    5: Orientation(1, True),
    6: Orientation(3),
    7: Orientation(3, True),
    8: Orientation(1),
}

"""Text tables of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 80
NAME_WIDTH = 14
CELL_WIDTH = 5


def paragraph(text: str) -> list[str]:
    """Wrapped lines."""
    return textwrap.wrap(text, WIDTH)


def row(name: str, cells: Iterable[object], width: int = CELL_WIDTH) -> str:
    """A name and right-aligned cells; numbers get `width` characters."""
    written = (
        cell if isinstance(cell, str) else number(cell, width) for cell in cells
    )
    aligned = "".join(f" {cell:>{width}}" for cell in written)
    return f"{name:<{NAME_WIDTH}.{NAME_WIDTH}}{aligned}"


def number(value: float | None, width: int = CELL_WIDTH) -> str:
    """As many digits, at most three after the point, as fit into `width`.

    None, for what could not be measured, is a dash.
    """
    if value is None:
        return "-"
    for digits in (3, 2, 1, 0):
        text = f"{value:.{digits}f}"
        if len(text) <= width:
            return text
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""Progress of long work: bars on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

Report = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and how much in all (0:
unknown)."""

_SECONDS_IN_A_LOG = 30.0


def bar(*args: Any, **kwargs: Any) -> tqdm:
    """tqdm, which into a log writes a line each half minute, and none of work
    that takes less.
    """
    if not sys.stderr.isatty():
        kwargs |= {
            "mininterval": _SECONDS_IN_A_LOG,
            "delay": _SECONDS_IN_A_LOG,
        }
    return tqdm(*args, dynamic_ncols=True, **kwargs)


@contextlib.contextmanager
def reports(unit: str) -> Iterator[Report]:
    """Yields what takes reports, and draws a bar for each kind of work in turn.

    Args:
        unit: what is counted.
    """
    bars = _Bars(unit)
    with logging_redirect_tqdm():
        try:
            yield bars.report
        finally:
            bars.close()


class _Bars:
    def __init__(self, unit: str):
        self._unit = unit
        self._what: str | None = None
        self._bar: tqdm | None = None

    def report(self, what: str, done: int, total: int) -> None:
        if self._bar is None or what != self._what or done < self._bar.n:
            self.close()
            self._what = what
            # What was done before, by a process that was killed, is no speed.
            self._bar = bar(desc=what, unit=self._unit, initial=done)
        self._bar.total = max(done, total) if total else None
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

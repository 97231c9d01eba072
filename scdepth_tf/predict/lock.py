"""One process at a time writes into a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows has no such locks
    fcntl = None


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder inside the block.

    The folder is made; if nothing was put into it, it is gone afterwards. The
    lock is the system's own on the folder itself: it leaves no file, and goes
    with the process however that ends. Where the file system knows no locks,
    as some network drives do not, nobody is kept out.

    Raises:
        ValueError: another process is in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{folder} is a file; choose another --out") from None
    except OSError as error:
        raise ValueError(
            f"cannot make {folder}: {error.strerror}; choose another --out"
        ) from None
    with _lock(folder) if fcntl else contextlib.nullcontext():
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is empty


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock_handle(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock_handle(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"another process is predicting into {folder}; wait until it has "
            "ended, or choose another --out"
        ) from None
    except OSError:
        return  # no locks on this file system

"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when the block succeeds.

    Missing folders are made. When the block fails, `path` is as it was and
    nothing new is left beside it.

    Raises:
        ValueError: `path` cannot be written; where that can be known, before
            the block is entered.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.touch()
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        # What the block says of other files is not about writing this one.
        ours = {str(name) for name in (unfinished, path, *path.parents)}
        if error.errno and error.filename and str(error.filename) not in ours:
            raise
        raise ValueError(
            f"cannot write {path}: {error.strerror}; choose a path in a "
            "folder that you may write to, with room on the disk"
        ) from error


@contextlib.contextmanager
def replace_folder(
    path: str | Path, replaces: str | None = None
) -> Iterator[Path]:
    """A new folder beside `path` that takes its place when the block succeeds.

    Folders above it are made. When the block fails, `path` is as it was and
    nothing new is left beside it.

    Args:
        path: folder to make.
        replaces: a folder at `path` that holds this file is replaced.

    Raises:
        ValueError: `path` exists or cannot be written; where that can be
            known, before the block is entered.
    """
    path = Path(path)
    check_can_make(path, replaces)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.replaced")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if path.exists():
            path.rename(replaced)
        unfinished.rename(path)
    except OSError as error:
        raise ValueError(
            f"cannot write {path}: {error.strerror}; choose a path in a "
            "folder that you may write to, with room on the disk"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def check_can_make(path: str | Path, replaces: str | None = None) -> None:
    """Find out before long work that its folder could not be made.

    Args:
        path: folder to make later.
        replaces: a folder at `path` may be replaced if it holds this file.

    Raises:
        ValueError: it exists, or cannot be made.
    """
    path = Path(path)
    if path.exists():
        if replaces is None:
            raise ValueError(
                f"{path} exists; choose another folder, or overwrite it "
                "(--overwrite, in Python overwrite=True)"
            )
        if not (path / replaces).is_file():
            raise ValueError(
                f"{path} is not overwritten: it has no {replaces}, so it is "
                "something else; choose another folder"
            )
    _check_parents(path)


def check_can_write(path: str | Path, suffixes: Collection[str] = ()) -> None:
    """Find out before long work that its result could not be written.

    Args:
        path: file to write later.
        suffixes: the endings it may have, in small letters; empty: any.

    Raises:
        ValueError: it cannot be written, or ends in something else.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(
            f"cannot write {path}: its name must end in {' or '.join(suffixes)}"
        )
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file")
    _check_parents(path)


def check_room(path: str | Path, size: int) -> None:
    """Find out before a library writes a file that the disk would fill up:
    HDF5 ends the process then.

    Args:
        path: file to write.
        size: bytes that it will have at most.

    Raises:
        ValueError: there is no room for it.
    """
    path = Path(path)
    nearest = next(p for p in path.absolute().parents if p.exists())
    free = shutil.disk_usage(nearest).free
    if free < size:
        raise ValueError(
            f"cannot write {path}: it takes up to {size / 1e6:.0f} MB, and "
            f"{free / 1e6:.0f} MB are free; make room, or choose a path on "
            "another disk"
        )


def write_whole(path: str | Path, text: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all.

    Raises:
        ValueError: `path` cannot be written.
    """
    with replace_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _check_parents(path: Path) -> None:
    nearest = next(p for p in path.absolute().parents if p.exists())
    if not nearest.is_dir():
        raise ValueError(
            f"cannot write {path}: {nearest} is no folder; choose another path"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(
            f"cannot write {path}: you may not write to {nearest}; choose "
            "another path"
        )

"""Files packed into TFRecord shards, found without reading them.

A TFRecord is length, checksum, content, checksum; the content of ours is a
`tf.train.Example`. Walking the fields of the protocol buffer tells where each
frame lies, so that any one is read by itself, as from a folder. Standard
library only.
"""

from __future__ import annotations

import dataclasses
import io
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_HEADER = struct.Struct("<QI")  # length of the content, its checksum
_FOOTER_SIZE = 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


class Span(NamedTuple):
    """Where a byte string lies in its file."""

    offset: int
    length: int


@dataclasses.dataclass(frozen=True)
class PackedFile:
    """A file inside another one, with what our readers use of a `Path`."""

    container: Path
    """The file that holds it."""

    span: Span
    """Where."""

    name: str
    """What to call it: SCENE/NUMBER."""

    @property
    def stem(self) -> str:
        """The last part of the name, without suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix of the name."""
        return PurePosixPath(self.name).suffix

    def read_bytes(self) -> bytes:
        """The content."""
        with self.container.open("rb") as file:
            file.seek(self.span.offset)
            return file.read(self.span.length)

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The content as a binary file to read."""
        if mode != "rb":
            raise ValueError(f"mode is {mode!r}; a packed file is only read")
        return io.BytesIO(self.read_bytes())

    def __str__(self) -> str:
        return f"{self.name} in {self.container}"


def read_examples(path: Path) -> Iterator[dict[str, list]]:
    """The features of each `tf.train.Example` of a TFRecord shard.

    Yields:
        Integers as they are; of byte strings only their `Span` in the file.

    Raises:
        ValueError: the file is truncated or holds something else.
    """
    if path.stat().st_size == 0:  # an empty shard; cannot be mapped
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        try:
            for record in _records(content):
                yield _features(content, record)
        except (IndexError, KeyError, struct.error, UnicodeDecodeError):
            raise ValueError(
                f"{path}: not a whole TFRecord file of tf.train.Example; build "
                "the dataset again"
            ) from None


def _records(content: mmap.mmap) -> Iterator[Span]:
    position = 0
    while position < len(content):
        length, _ = _HEADER.unpack_from(content, position)
        record = Span(position + _HEADER.size, length)
        position = record.offset + length + _FOOTER_SIZE
        if position > len(content):
            raise IndexError
        yield record


def _features(content: mmap.mmap, record: Span) -> dict[str, list]:
    """Example {Features features = 1}; Features {map<string, Feature> = 1}."""
    found = {}
    for _, features in _fields(content, record):
        for _, entry in _fields(content, features):
            parts = dict(_fields(content, entry))
            found[_text(content, parts[1])] = _values(content, parts[2])
    return found


def _values(content: mmap.mmap, feature: Span) -> list:
    """Feature {oneof: BytesList = 1, FloatList = 2, Int64List = 3}, each with
    its values in field 1, numbers packed or not.
    """
    values: list = []
    for kind, items in _fields(content, feature):
        if kind == _FLOAT_LIST:
            continue
        for _, item in _fields(content, items):
            if kind == _INT64_LIST and isinstance(item, Span):
                values += _packed_integers(content, item)
            elif kind == _INT64_LIST:
                values.append(_signed(item))
            else:
                values.append(item)
    return values


def _packed_integers(content: mmap.mmap, span: Span) -> list[int]:
    position, integers = span.offset, []
    while position < span.offset + span.length:
        value, position = _varint(content, position)
        integers.append(_signed(value))
    return integers


def _fields(content: mmap.mmap, span: Span) -> Iterator[tuple[int, Span | int]]:
    """Field numbers of a message with their values: where bytes lie, or a
    number.
    """
    position, end = span.offset, span.offset + span.length
    while position < end:
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(content, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise IndexError
        if position + length > end:
            raise IndexError
        yield number, Span(position, length)
        position += length


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    """The number at `position` and the position after it."""
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(content: mmap.mmap, span: Span) -> str:
    return content[span.offset : span.offset + span.length].decode()

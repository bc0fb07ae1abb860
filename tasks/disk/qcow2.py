"""QEMU's own format, as far as it says which clusters an image has (interop/qcow2.txt in QEMU's docs). Read only."""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.tasks.errors import BootsmithError

MAGIC: Final = b"QFI\xfb"
_HEADER: Final = struct.Struct(">4sIQIIQIIQ")
_FEATURES: Final = 72  # incompatible ones, of version 3
_SNAPSHOTS: Final = 60  # how many
_COMPATIBLE: Final = 80  # features that may be ignored; the first is lazy reference counts
_COUNTS: Final = 99  # how wide a reference count is, as a power of two, in the last byte of four
_USUAL_COUNTS: Final = 16  # bits, and the only width of version 2
_LENGTH: Final = 100  # of the header
_BITMAPS: Final = 0x23852875  # the extension that has them, and first how many
_LARGEST_CLUSTER: Final = 21  # as a power of two
_PACKING: Final = 104  # how clusters are compressed, where it is not by zlib
_OTHER_PACKING: Final = 1 << 3
_HEADER_ROOM: Final = 112
_LONG_ENTRIES: Final = 1 << 4  # a second word for each cluster: which parts of it are there
_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_ZERO: Final = 1
_LARGEST_TABLE: Final = 32 << 20  # bytes of the first table that QEMU accepts


def check_whole(image: Path) -> None:
    """Refuse an image that was cut off: what its tables name beyond its end QEMU reads as zeros, without a word.

    Raises BootsmithError. What is wrong with it otherwise is for QEMU to say.
    """
    with image.open("rb") as file:
        descriptor, size = file.fileno(), os.fstat(file.fileno()).st_size
        if any(offset >= size for offset in _offsets(descriptor)):
            raise BootsmithError(
                f"{image} is damaged or cut off: it ends after {size} bytes, and what it holds goes on",
                "Make or copy it again; `qemu-img check` tells more.",
            )


class Shape(NamedTuple):
    """How an image is laid out, as another is to be: `compress` is none, zlib or zstd.

    `snapshots` and `bitmaps` are how many it keeps; `odd` is what images made here never are, by qemu-img's names.
    """

    compat: str
    cluster: int
    lazy: bool
    compress: str
    snapshots: int
    bitmaps: int
    odd: tuple[str, ...]


def shape(image: Path) -> Shape:
    """Return how an image is laid out. Raises OSError."""
    with image.open("rb") as file:
        header = os.pread(file.fileno(), _HEADER_ROOM, 0).ljust(_HEADER_ROOM, b"\0")
        _, version, _, _, bits, *_ = _HEADER.unpack_from(header)
        (snapshots,) = struct.unpack_from(">I", header, _SNAPSHOTS)
        (compatible,) = struct.unpack_from(">Q", header, _COMPATIBLE) if version > 2 else (0,)
        incompatible = struct.unpack_from(">Q", header, _FEATURES)[0] if version > 2 else 0
        packing = header[_PACKING] if incompatible & _OTHER_PACKING else 0
        packed = any(_packed(file.fileno(), header))
        extensions = dict(_extensions(file.fileno(), header))
    compress = ("zlib", "zstd")[packing & 1] if packed else "none"
    bitmaps = int.from_bytes(extensions.get(_BITMAPS, b"")[:4], "big")
    counts = 1 << header[_COUNTS] if version > 2 else _USUAL_COUNTS
    long, other = bool(incompatible & _LONG_ENTRIES), counts != _USUAL_COUNTS
    odd = (*["extended_l2=on"] * long, *[f"refcount_bits={counts}"] * other)
    compat = "0.10" if version == 2 else "1.1"
    return Shape(compat, 1 << bits, bool(compatible & 1), compress, snapshots, bitmaps, odd)


def _extensions(file: int, header: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what stands behind the header, in its cluster: of each piece its kind, and its data."""
    _, version, _, _, bits, *_ = _HEADER.unpack_from(header)
    (at,) = struct.unpack_from(">I", header, _LENGTH) if version > 2 else (_FEATURES,)
    data = os.pread(file, 1 << min(bits, _LARGEST_CLUSTER), 0)
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(">II", data, at)
        if not kind:
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8


def _packed(file: int, header: bytes) -> Iterator[bool]:
    """Yield of each cluster whether it is compressed, of an image that is whole."""
    _, version, _, _, bits, _, _, count, first = _HEADER.unpack_from(header)
    features = struct.unpack_from(">Q", header, _FEATURES)[0] if version > 2 else 0
    step = 2 if features & _LONG_ENTRIES else 1
    if not 9 <= bits <= _LARGEST_CLUSTER or 8 * count > _LARGEST_TABLE:
        return
    for table in {entry & _OFFSET for entry in _words(file, first, 8 * count)} - {0}:
        yield from (bool(entry & _COMPRESSED) for entry in _words(file, table, 1 << bits)[::step])


def _offsets(file: int) -> Iterator[int]:
    """Yield where each table, and each cluster of the disk that is not all zeros, begins in the file."""
    header = os.pread(file, _FEATURES + 8, 0).ljust(_FEATURES + 8, b"\0")
    magic, version, _, _, bits, _, _, count, first = _HEADER.unpack_from(header)
    if magic != MAGIC or not 9 <= bits <= _LARGEST_CLUSTER or 8 * count > _LARGEST_TABLE:
        return
    (features,) = struct.unpack_from(">Q", header, _FEATURES) if version > 2 else (0,)
    step = 2 if features & _LONG_ENTRIES else 1
    in_sectors = (1 << (62 - (bits - 8))) - 1  # of a compressed cluster's entry: where it begins, to the byte
    yield first + 8 * count - 1 if count else 0
    for table in {entry & _OFFSET for entry in _words(file, first, 8 * count)} - {0}:
        if table % (1 << bits):  # QEMU refuses it; and there are no more others than the file has clusters
            continue
        yield table
        for entry in _words(file, table, 1 << bits)[::step]:
            if entry & _COMPRESSED:
                yield entry & in_sectors
            elif entry & _OFFSET and not (step == 1 and entry & _ZERO):
                yield entry & _OFFSET


def _words(file: int, offset: int, length: int) -> array[int]:
    """Return the numbers of a table, those that the file still has."""
    data = os.pread(file, length, offset)
    found = array("Q", data[: len(data) // 8 * 8])
    if sys.byteorder == "little":
        found.byteswap()
    return found

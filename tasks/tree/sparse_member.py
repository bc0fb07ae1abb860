"""Sparse files in tars: where their data stands, in each form that GNU tar and libarchive write, and said again.

GNU tar's manual, "Storing Sparse Files". A map tells the stretches of the file that hold data. It stands in the header
and in blocks behind it (the old form), in the extended header (PAX 0.0, 0.1), or before the data (1.0). The data is
that of all stretches, one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from mmap import mmap
from typing import Final, NamedTuple, TypeAlias

from bootsmith.tasks.tree import tar_numbers

Stretches: TypeAlias = tuple[tuple[int, int], ...]
"""Where a sparse file holds data: the first byte of each stretch, and its length."""

MOST: Final = 1 << 18
"""Stretches of a file: an image of 1 GiB that holds every second block of it has half of them."""
_BLOCK: Final = 512
_ROW: Final = 24  # of the old form's map: two numbers of twelve digits


class Layout(NamedTuple):
    """A sparse file's size and stretches, None where it has no hole, and where its data begins in the tar."""

    size: int
    stretches: Stretches | None
    offset: int


def read(view: mmap, header: bytes, pax: Mapping[str, bytes], data: int, size: int) -> Layout | None:
    """Return the layout of a member, None where it is no sparse one. Raises ValueError for a map that lies.

    Behind its header, at `data`, stand `size` bytes.
    """
    if header[156:157] == b"S":
        real = tar_numbers.field(header[483:495])
        pairs, data = _old_map(view, header, data)
    elif "GNU.sparse.major" in pax:
        if (pax["GNU.sparse.major"], pax.get("GNU.sparse.minor")) != (b"1", b"0"):
            raise ValueError("its form is unknown here")
        real = _told(pax, "realsize")
        pairs, begin = _map_before(view, data, size)
        data, size = begin, size - (begin - data)
    elif "GNU.sparse.size" in pax:
        real = _told(pax, "size")
        words = pax.get("GNU.sparse.map", b"").split(b",") if pax.get("GNU.sparse.map") else []
        pairs = _paired(tar_numbers.decimal(word) for word in words)
        if _told(pax, "numblocks") != len(pairs):
            raise ValueError("its map is of another length than is said")
    else:
        return None
    real = tar_numbers.size(real)
    stretches = _checked(pairs, real, size)
    return Layout(real, None if stretches == ((0, real),) or not real else stretches, data)


def _told(pax: Mapping[str, bytes], key: str) -> int:
    return tar_numbers.decimal(pax.get(f"GNU.sparse.{key}", b""))


def _old_map(view: mmap, header: bytes, data: int) -> tuple[list[tuple[int, int]], int]:
    """Return the pairs of the old form, and where the data begins."""
    found: list[tuple[int, int]] = []
    rows, goes_on = header[386:482], header[482]
    while True:
        found += [
            (tar_numbers.field(rows[at : at + 12]), tar_numbers.field(rows[at + 12 : at + _ROW]))
            for at in range(0, len(rows), _ROW)
            if rows[at]
        ]
        _bound(len(found))
        if not goes_on:
            return found, data
        block = view[data : data + _BLOCK]
        if len(block) < _BLOCK:
            raise ValueError("its map is cut off")
        rows, goes_on = block[:504], block[504]
        data += _BLOCK


def _map_before(view: mmap, data: int, size: int) -> tuple[list[tuple[int, int]], int]:
    """Return the pairs that stand as lines before the data, and where that begins."""
    at = data

    def number() -> int:
        nonlocal at
        end = view.find(b"\n", at, min(at + 24, data + size))
        if end < 0:
            raise ValueError("its map is cut off")
        line, at = view[at:end], end + 1
        return tar_numbers.decimal(line)

    count = tar_numbers.size(number())
    _bound(count)
    pairs = [(number(), number()) for _ in range(count)]
    begin = data + -(-(at - data) // _BLOCK) * _BLOCK
    if begin > data + size:
        raise ValueError("its map is cut off")
    return pairs, begin


def _paired(numbers: Iterable[int]) -> list[tuple[int, int]]:
    each = iter(numbers)
    found: list[tuple[int, int]] = []
    for start in each:
        length = next(each, None)
        if length is None:
            raise ValueError("its map is cut off")
        found.append((start, length))
        _bound(len(found))
    return found


def _bound(count: int) -> None:
    if count > MOST + 1:  # and the end of the file, which is one without data
        raise ValueError(f"it has more than {MOST} stretches of data; make the tar without --sparse")


def _checked(pairs: Iterable[tuple[int, int]], real: int, stored: int) -> Stretches:
    """Return the stretches that hold data, those that touch as one."""
    found: list[tuple[int, int]] = []
    end = total = 0
    for start, length in pairs:
        if start < end or length < 0 or start + length > real:
            raise ValueError(f"its map is none: {length} bytes at {start}, in a file of {real}, behind byte {end}")
        if length and found and start == end:
            found[-1] = found[-1][0], found[-1][1] + length
        elif length:
            found.append((start, length))
        end = start + length
        total += length
    if total != stored:
        raise ValueError(f"its map tells of {total} bytes, and it has {stored}")
    return tuple(found)


def written(size: int, stretches: Stretches) -> tuple[dict[str, bytes], bytes]:
    """Return what the extended header of a sparse file says, and the map before its data: the form 1.0."""
    pairs = [*stretches, (size, 0)]  # GNU tar ends the file where the last one does
    lines = b"%d\n" % len(pairs) + b"".join(b"%d\n%d\n" % each for each in pairs)
    told = {"major": b"1", "minor": b"0", "realsize": b"%d" % size}
    return {f"GNU.sparse.{key}": value for key, value in told.items()}, lines + bytes(-len(lines) % _BLOCK)

"""The packed data of EROFS: a file's clusters, each packed by itself, and the two forms of the list that tells them.

The kernel's fs/erofs/erofs_fs.h (z_erofs_map_header, z_erofs_lcluster_index) and zmap.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from bootsmith.tasks.tree.image_bytes import ImageBytes
from bootsmith.tasks.tree.lz4 import Unpack
from bootsmith.tasks.tree.volume_files import Damaged

_TWO_BYTES, _LARGE, _LARGE_2, _IN_LINE, _INTERLACED, _FRAGMENT = (1 << bit for bit in range(6))
_PLAIN, _HEAD, _MORE, _HEAD_2 = range(4)
_COUNT: Final = 1 << 11
"""Of what follows a head: it tells how many blocks that takes."""
_LZ4, _LZMA, _DEFLATE, _ZSTD = range(4)
_LARGEST: Final = 1 << 20
"""Bytes of a packed cluster."""
_MOST: Final = 64 << 20
"""Bytes that one comes to."""


class _Cluster(NamedTuple):
    kind: int
    offset: int
    """Where in its block it begins, of a head."""
    block: int
    """Where it is packed, of a head; in blocks."""
    length: int
    """How many blocks the head before it takes, where this is said."""


class Volume:
    """An image whose files are packed. `padded`: what LZ4 packed stands at the end of its blocks."""

    def __init__(self, view: ImageBytes, bits: int, load_lz4: Callable[[], Unpack], *, padded: bool) -> None:
        self._view = view
        self._bits = bits
        self._lz4 = lru_cache(1)(load_lz4)
        self._padded = padded

    def unpacked(self, end: int, size: int, *, compact: bool) -> Iterator[bytes]:
        """Yield a file's data; its list stands behind its inode, which ends at `end`. Raises Damaged."""
        at = -(-end // 8) * 8
        _, in_line, advice, algorithms, bits = self._view.unpack("<HHHBB", at)
        if bits & 0x80 or advice & _FRAGMENT:
            raise Damaged("it has fragments, which are not read here; make it without")
        width = self._bits + (bits & 7)
        number = -(-size >> width)
        if number * 2 > len(self._view):
            raise Damaged("a file is larger than all that there is")
        clusters = self._compact(at + 8, number, width, advice) if compact else self._full(at + 16, number)
        list_end = self._list_end(at, number, advice) if compact else at + 16 + 8 * number
        yield from self._extents(clusters, size, width, advice, algorithms, (list_end, in_line))

    def _extents(  # noqa: PLR0917  all that its header says
        self,
        clusters: list[_Cluster],
        size: int,
        width: int,
        advice: int,
        algorithms: int,
        tail: tuple[int, int],
    ) -> Iterator[bytes]:
        starts = [(number << width | each.offset, number, each) for number, each in enumerate(clusters)]
        heads = [each for each in starts if each[2].kind != _MORE and each[0] < size]  # at the end may stand one more
        if size and (not heads or heads[0][0]):
            raise Damaged("a file begins nowhere")
        for which, (begin, number, head) in enumerate(heads):
            stop = heads[which + 1][0] if heads[which + 1 :] else size
            length = min(stop, size) - begin
            if length <= 0 or length > _MOST:
                raise Damaged("a cluster of it has no end")
            following = clusters[number + 1] if clusters[number + 1 :] else None
            blocks = following.length if following and following.kind == _MORE and following.length else 1
            place, room = head.block << self._bits, blocks << (self._bits if blocks > 1 else width)
            if advice & _IN_LINE and which == len(heads) - 1:
                place, room = tail
            data = self._view[place : place + room]
            if len(data) != room or room > _LARGEST or not room:
                raise Damaged("a cluster of it breaks off")
            if head.kind == _PLAIN:
                shift = begin & ((1 << self._bits) - 1) if advice & _INTERLACED else 0
                data = (data[shift:] + data[:shift])[:length]
            else:
                data = self._unpack(algorithms >> (4 if head.kind == _HEAD_2 else 0) & 15, data, length)
            if len(data) != length:
                raise Damaged("a cluster of it comes to something else than it says")
            yield data

    def _full(self, at: int, number: int) -> list[_Cluster]:
        found = []
        for place in range(at, at + 8 * number, 8):
            kind, offset, block = self._view.unpack("<HHI", place)
            kind &= 3
            first = block & 0xFFFF
            if kind == _MORE:
                found.append(_Cluster(kind, 0, 0, first & ~_COUNT if first & _COUNT else 0))
            else:
                found.append(_Cluster(kind, offset, block, 0))
        return found

    @staticmethod
    def _parts(at: int, number: int, advice: int) -> tuple[int, int]:
        """Return how many clusters stand in four bytes each at first, and how many in two bytes each after these."""
        first = (32 - at % 32) // 4 & 7
        second = (number - first) // 16 * 16 if advice & _TWO_BYTES and first < number else 0
        return first, second

    def _list_end(self, at: int, number: int, advice: int) -> int:
        first, second = self._parts(at + 8, number, advice)
        rest = max(0, number - first - second)
        return at + 8 + 4 * min(first, number) + 2 * second + -(-rest // 2) * 8

    def _compact(self, at: int, number: int, width: int, advice: int) -> list[_Cluster]:
        first, second = self._parts(at, number, advice)
        found: list[_Cluster] = []
        while len(found) < number:
            in_pack, size = (16, 32) if first <= len(found) < first + second else (2, 8)
            pack = self._view[at : at + size]
            if len(pack) != size:
                raise Damaged("the list of its clusters breaks off")
            found += self._pack(pack, in_pack, max(width, 12), large=bool(advice & _LARGE))
            at += size
        return found[:number]

    @staticmethod
    def _pack(pack: bytes, count: int, low_bits: int, *, large: bool) -> Iterator[_Cluster]:
        """Yield the clusters of a pack: bits of each, and behind them where the first head's blocks are."""
        each = (len(pack) - 4) * 8 // count
        bits = int.from_bytes(pack[:-4], "little")
        (block,) = struct.unpack("<I", pack[-4:])
        rows = [bits >> each * number for number in range(count)]
        told = [(row >> low_bits & 3, row & (1 << low_bits) - 1) for row in rows]
        taken = 0 if large else 1
        for number, (kind, low) in enumerate(told):
            if kind == _MORE:
                blocks = low & ~_COUNT if low & _COUNT else 0
                # A pack that begins in the midst of a cluster counts from there.
                if large and blocks and number == 0:
                    taken += blocks
                yield _Cluster(kind, 0, 0, blocks)
                continue
            yield _Cluster(kind, low, block + taken, 0)
            after = told[number + 1] if number + 1 < count else (_PLAIN, 0)
            taken += after[1] & ~_COUNT if large and after[0] == _MORE and after[1] & _COUNT else 1

    def _unpack(self, algorithm: int, data: bytes, length: int) -> bytes:
        if algorithm == _LZ4:
            return self._lz4()(data.lstrip(b"\0") if self._padded else data, length)
        try:
            if algorithm == _DEFLATE:
                import zlib

                return zlib.decompressobj(wbits=-15).decompress(data.lstrip(b"\0"), length)
            if algorithm == _ZSTD:
                from bootsmith.cache.files import zstandard

                return bytes(zstandard.module().ZstdDecompressor().decompress(data.lstrip(b"\0"), length))
        except Exception as error:
            raise Damaged(f"a cluster of it cannot be unpacked: {error}") from error
        raise Damaged("it is packed by LZMA, which is not read here; pack it by lz4, deflate or zstd")

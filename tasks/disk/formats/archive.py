"""Tars of files that root owns: plain ones, and of one disk in GNU's old sparse form, whose holes content tells."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.formats import blocks
from bootsmith.tasks.disk.formats.blocks import Report

BLOCK: Final = 64 << 10
"""Bytes that are a hole or not as one."""
_RECORD: Final = 512
_IN_HEADER, _IN_EXTENSION = 4, 21
_OCTAL_LIMIT: Final = 1 << 33


def write(files: Sequence[tuple[str, Path]], target: Path, epoch: int) -> None:
    """Write a tar of files, each with its name, in their order."""
    with target.open("xb") as made:
        at = 0
        for name, path in files:
            with path.open("rb") as source:
                size = os.fstat(source.fileno()).st_size
                sparse.write(made.fileno(), _header(name, size, epoch, b"0", b""), at)
                at += _RECORD
                for start, end in sparse.extents(source.fileno(), 0, size):
                    _copy(source.fileno(), start, end, made.fileno(), at + start)
                at += _whole(size)
        _end(made.fileno(), at)


def write_disk(disk: Path, target: Path, name: str, epoch: int, report: Report) -> None:
    """Write a sparse tar of a raw disk, called `name` in it."""
    size = disk.stat().st_size
    with disk.open("rb") as source, target.open("xb") as made:
        runs: list[tuple[int, int]] = []
        for number, _ in blocks.filled(source.fileno(), size, BLOCK, lambda _: None):
            start, end = number * BLOCK, min(size, (number + 1) * BLOCK)
            if runs and runs[-1][1] == start:
                runs[-1] = runs[-1][0], end
            else:
                runs.append((start, end))
        if not runs or runs[-1][1] < size:
            runs.append((size, size))
        at = sparse.write(made.fileno(), _sparse_headers(name, size, runs, epoch), 0)
        for start, end in runs:
            report(start)
            _copy(source.fileno(), start, end, made.fileno(), at)
            at += _whole(end - start)
        _end(made.fileno(), at)
        report(size)


def _end(made: int, at: int) -> None:
    os.truncate(made, -(-(at + 2 * _RECORD) // (20 * _RECORD)) * 20 * _RECORD)


def _whole(size: int) -> int:
    """Return what a file takes in whole records."""
    return -(-size // _RECORD) * _RECORD


def _copy(source: int, start: int, end: int, target: int, at: int) -> None:
    for each in range(start, end, 1 << 20):
        sparse.write(target, os.pread(source, min(1 << 20, end - each), each), at + each - start)


def _sparse_headers(name: str, size: int, runs: Sequence[tuple[int, int]], epoch: int) -> bytes:
    entries = [_number(start) + _number(end - start) for start, end in runs]
    extensions = [entries[at : at + _IN_EXTENSION] for at in range(_IN_HEADER, len(entries), _IN_EXTENSION)]
    rest = struct.pack("41x96s?12s17x", b"".join(entries[:_IN_HEADER]), bool(extensions), _number(size))
    found = _header(name, sum(_whole(end - start) for start, end in runs), epoch, b"S", rest)
    for index, each in enumerate(extensions):
        found += struct.pack("504s?7x", b"".join(each), index + 1 < len(extensions))
    return found


def _header(name: str, size: int, epoch: int, kind: bytes, rest: bytes) -> bytes:
    """Return a member's header; `rest` is what GNU's form has in place of a longer name."""
    assert len(name.encode()) < 100, "names of outputs are shorter"

    def header(checksum: bytes) -> bytes:
        magic = b"ustar  \0" if rest else b"ustar\x0000"
        return struct.pack(
            "100s8s8s8s12s12s8sc100s8s32s32s8s8s167s", name.encode(), b"0000644\0", b"0000000\0", b"0000000\0",
            _number(size), _number(epoch), checksum, kind, b"", magic, b"root", b"root", b"", b"", rest,
        )  # fmt: skip

    return header(b"%06o\0 " % sum(header(b" " * 8)))


def _number(value: int) -> bytes:
    """Return a number of 12 bytes: octal, or what is too large for that in GNU's base 256."""
    return b"%011o\0" % value if value < _OCTAL_LIMIT else b"\x80" + value.to_bytes(11, "big")

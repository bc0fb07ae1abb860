"""A tar of one sparse file in GNU's old form, as Google's cloud takes disks: holes are told by content."""

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


def write(disk: Path, target: Path, name: str, epoch: int, report: Report) -> None:
    """Write a tar of a raw disk, called `name` in it."""
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
        made.write(_headers(name, size, runs, epoch))
        at = made.tell()
        for start, end in runs:
            report(start)
            _copy(source.fileno(), start, end, made.fileno(), at)
            at += -(-(end - start) // _RECORD) * _RECORD
        made.truncate(-(-(at + 2 * _RECORD) // (20 * _RECORD)) * 20 * _RECORD)
        report(size)


def _copy(source: int, start: int, end: int, target: int, at: int) -> None:
    for each in range(start, end, 1 << 20):
        sparse.write(target, os.pread(source, min(1 << 20, end - each), each), at + each - start)


def _headers(name: str, size: int, runs: Sequence[tuple[int, int]], epoch: int) -> bytes:
    stored = sum(-(-(end - start) // _RECORD) * _RECORD for start, end in runs)
    entries = [_number(start) + _number(end - start) for start, end in runs]
    extensions = [entries[at : at + _IN_EXTENSION] for at in range(_IN_HEADER, len(entries), _IN_EXTENSION)]

    def header(checksum: bytes) -> bytes:
        return struct.pack(
            "100s8s8s8s12s12s8sc100s8s32s32s8s8s41x96s?12s17x", name.encode(), b"0000644\0", b"0000000\0", b"0000000\0",
            _number(stored), _number(epoch), checksum, b"S", b"", b"ustar  \0", b"root", b"root", b"", b"",
            b"".join(entries[:_IN_HEADER]), bool(extensions), _number(size),
        )  # fmt: skip

    found = header(b"%06o\0 " % sum(header(b" " * 8)))
    for index, each in enumerate(extensions):
        found += struct.pack("504s?7x", b"".join(each), index + 1 < len(extensions))
    return found


def _number(value: int) -> bytes:
    """Return a number of 12 bytes: octal, or what is too large for that in GNU's base 256."""
    return b"%011o\0" % value if value < _OCTAL_LIMIT else b"\x80" + value.to_bytes(11, "big")

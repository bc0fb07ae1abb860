"""Blocks as ext2 and ext3 map them: in stretches, holes left out, and never round in circles."""

from __future__ import annotations

import struct

import pytest
from bootsmith.tasks.disk.ext.block_map import extents

BLOCK = 1024


def numbers(**found: int) -> bytes:
    """Return fifteen pointers; `p0` is the first."""
    return struct.pack("<15I", *(found.get(f"p{index}", 0) for index in range(15)))


def test_stretches_are_joined_and_holes_left_out() -> None:
    """Direct blocks, and those that one and two levels of pointers lead to (L1)."""
    blocks = {50: struct.pack("<256I", 103, 104, *([0] * 254)), 60: struct.pack("<256I", 0, 61, *([0] * 254))}
    blocks[61] = struct.pack("<256I", *([0] * 255), 900)
    pointers = numbers(p0=100, p1=101, p3=7, p11=102, p12=50, p13=60)
    assert list(extents(pointers, blocks.__getitem__, BLOCK)) == [
        (0, 100, 2), (3, 7, 1), (11, 102, 3), (12 + 256 + 256 + 255, 900, 1),
    ]  # fmt: skip


def test_pointers_in_a_circle_are_refused() -> None:
    """Else a few bytes could stand for any number of blocks."""
    blocks = {50: struct.pack("<256I", *([50] * 256))}
    with pytest.raises(ValueError, match="circles"):
        list(extents(numbers(p14=50), blocks.__getitem__, BLOCK))

"""Whether data are what a hash tree says, and the tree what its root hash says: block by block, as a kernel looks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from bootsmith.tasks.disk.verity.form import BLOCK, Form, digests

Read = Callable[[int, int], bytes]
"""`read(offset, length)` within a partition; short at its end."""
_DIGEST = 32
_PIECE = 1 << 20
_NAMED = 3
"""Wrong blocks of one level that are named; the rest are counted."""


def problems(form: Form, root_hash: str, tree: Read, data: Read | None) -> Iterator[str]:
    """Yield what is wrong, from the root hash down; the data are left out where they are None.

    Below a level that is wrong nothing is known, and nothing is looked at.
    """

    def digest(offset: int, length: int) -> bytes:
        return bytes.fromhex(root_hash)[offset : offset + length]

    above = digest
    for at, count in reversed(form.levels):
        level = partial(_from, tree, at * BLOCK)
        wrong = _wrong(form, level, count, above)
        if wrong is None:
            yield f"the hash tree is cut short: it takes {form.size} bytes"
            return
        yield from _told(wrong, "the hash tree", at, "the block above it" if at > 1 else "the root hash")
        if wrong:
            return
        above = level
    if data is not None:
        wrong = _wrong(form, data, form.blocks, above)
        if wrong is None:
            yield f"the data are cut short: the hash tree is of {form.blocks * BLOCK} bytes"
            return
        yield from _told(wrong, "the data", 0, "the hash tree")


def _from(read: Read, start: int, offset: int, length: int) -> bytes:
    return read(start + offset, length)


def _wrong(form: Form, blocks: Read, count: int, above: Read) -> list[int] | None:
    """Return which of so many blocks are not what the level above them says; None where they are cut short."""
    step, wrong = _PIECE // BLOCK, []
    for first in range(0, count, step):
        number = min(step, count - first)
        piece = blocks(first * BLOCK, number * BLOCK)
        if len(piece) < number * BLOCK:
            return None
        found, wanted = digests(piece, form.salt), above(first * _DIGEST, number * _DIGEST)
        if found != wanted:
            wrong += [first + each for each in _differing(found, wanted)]
    return wrong


def _differing(found: bytes, wanted: bytes) -> list[int]:
    """Return the numbers of the digests that differ."""
    return [
        at // _DIGEST for at in range(0, len(found), _DIGEST) if found[at : at + _DIGEST] != wanted[at : at + _DIGEST]
    ]


def _told(wrong: list[int], where: str, first: int, by: str) -> Iterator[str]:
    for each in itertools.islice(wrong, _NAMED):
        yield f"block {first + each} of {where} (byte {(first + each) * BLOCK}) is not what {by} says"
    if len(wrong) > _NAMED:
        yield f"and {len(wrong) - _NAMED} more blocks of {where}"

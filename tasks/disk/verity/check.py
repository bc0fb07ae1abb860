"""Whether data are what a hash tree says, and the tree what its root hash says: block by block, as a kernel looks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

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
    above = bytes.fromhex(root_hash)
    for at, count in reversed(form.levels):
        level = tree(at * BLOCK, count * BLOCK)
        if len(level) < count * BLOCK:
            yield f"the hash tree is cut short: it takes {form.size} bytes"
            return
        wrong = _differing(digests(level, form.salt), above)
        yield from _told(wrong, "the hash tree", at, "the block above it" if at > 1 else "the root hash")
        if wrong:
            return
        above = level
    if data is not None:
        yield from _data(form, above, data)


def _data(form: Form, wanted: bytes, data: Read) -> Iterator[str]:
    step, wrong = _PIECE // BLOCK, []
    for first in range(0, form.blocks, step):
        count = min(step, form.blocks - first)
        piece = data(first * BLOCK, count * BLOCK)
        if len(piece) < count * BLOCK:
            yield f"the data are cut short: the hash tree is of {form.blocks * BLOCK} bytes"
            return
        found = digests(piece, form.salt)
        expected = wanted[first * _DIGEST : (first + count) * _DIGEST]
        if found != expected:
            wrong += [first + each for each in _differing(found, expected)]
    yield from _told(wrong, "the data", 0, "the hash tree")


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

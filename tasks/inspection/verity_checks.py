"""Checks of a verified root: the root hash that its kernel is told, the hash tree of that, and the data of this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.disk.verity import check, form
from bootsmith.tasks.disk.verity.form import BLOCK, Form
from bootsmith.tasks.inspection.disk_checks import options
from bootsmith.tasks.inspection.expectation import Expected
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.inspection.volumes import Image

_KIND = "verity"


def verity(subject: Subject) -> Iterator[str]:
    """Look whether each root hash names its partitions, and every block of them is what it says."""
    image = subject.image
    trees = [part for part in image.parts.values() if part.filesystem and part.filesystem.kind == _KIND]
    hashes = set()
    for entry in subject.entries:
        root_hash = options(entry.cmdline).get("roothash", "")
        what = f"{entry.loader}'s entry {entry.name}"
        if form.is_root_hash(root_hash):
            hashes.add(root_hash.lower())
        elif root_hash:
            yield f"!{what} says roothash={shown(root_hash, 80)}, which is no root hash"
        elif subject.expected and _is_wanted(subject.expected):
            yield f"!{what} says no root hash, and the recipe's root is verified by one"
    if not (trees or hashes):
        raise NotMade("no hash tree on it")
    for root_hash in sorted(hashes):
        yield from _named(subject, root_hash)
    named = {form.partuuids(each)[1] for each in hashes}
    for part in trees:
        if part.guid not in named:
            yield f"nobody names the root hash of partition {part.name or part.number}"


def _is_wanted(expected: Expected) -> bool:
    return any(each.fs == _KIND for each in expected.partitions)


def _named(subject: Subject, root_hash: str) -> Iterator[str]:
    """Look at the partitions that a root hash names."""
    image = subject.image
    found = []
    for guid, half, what in zip(form.partuuids(root_hash), ("first", "last"), ("data", "hash tree"), strict=True):
        parts = [part for part in image.parts.values() if part.guid == guid]
        found += parts[:1]
        if not parts:
            yield f"!roothash={root_hash}: no partition of its {what} is there, whose GUID its {half} half is: {guid}"
    if len(found) == len(("data", "tree")):
        yield from _verified(subject, root_hash, *found)


def _verified(subject: Subject, root_hash: str, data: Part, tree: Part) -> Iterator[str]:
    name, of = tree.name or str(tree.number), data.name or str(data.number)
    described = form.decode(subject.image.disk.read(tree.start, BLOCK))
    if not isinstance(described, Form):
        yield f"!partition {name}: {described or 'there is no hash tree'}"
        return
    if described.size > tree.size or described.blocks * BLOCK > data.size:
        yield f"!partition {name}: its hash tree is of more than partition {of} holds, or is larger than its own"
        return
    yield f"{of} by {name}, {described.blocks} blocks{'' if subject.every_block else ', the tree alone'}"
    blocks = _reader(subject.image, data) if subject.every_block else None
    for problem in check.problems(described, root_hash, _reader(subject.image, tree), blocks):
        yield f"!partitions {of} and {name}: {problem}"


def _reader(image: Image, part: Part) -> Callable[[int, int], bytes]:
    def read(part: Part, offset: int, length: int) -> bytes:
        return image.disk.read(part.start + offset, min(length, part.size - offset))

    return partial(read, part)


CHECKS: dict[str, Check] = {_KIND: verity}

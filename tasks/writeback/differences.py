"""What a guest changed in a tree: the files as its disk held them before, and as it holds them now."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bootsmith.cache.digest.attributes import HOST_GIVEN
from bootsmith.tasks.disk.node import Node

Tree = Mapping[bytes, Node]
"""Path -> what is there; b"" is the top."""
_SOCKET: Final = "s"


@dataclass(frozen=True, slots=True)
class Differences:
    """What is to be done to a directory that holds `before`, so that it holds `after`.

    `files` are groups of names, sorted; those of one group are one file, to be written afresh. `directories` are to be
    made, or to have their mode, owner, time or attributes set, those above before those below. `removed` goes, those
    below before those above; `in_the_way` is the part of it that stands where something of another kind is to be.
    `sockets` are files of the guest that mean nothing without their server.
    """

    before: Tree
    after: Tree
    files: tuple[tuple[bytes, ...], ...]
    directories: tuple[bytes, ...]
    removed: tuple[bytes, ...]
    in_the_way: frozenset[bytes]
    sockets: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.files or self.directories or self.removed)

    @property
    def paths(self) -> list[bytes]:
        """Every path that is not as it was."""
        return sorted({path for group in self.files for path in group} | {*self.directories, *self.removed})


def between(
    before: Tree,
    after: Tree,
    same: Callable[[Node, Node], bool],
    may_own: Callable[[int, int], bool],
) -> Differences:
    """Return the differences; `same` tells of two files whether they hold the same bytes.

    `may_own` tells whether files can be given to that user and group of the guest: where not, a new owner alone is no
    difference, for nothing would come of it.
    """
    sockets = tuple(sorted(path for path, node in after.items() if node.kind == _SOCKET))
    after = {path: node for path, node in after.items() if node.kind != _SOCKET}

    def changed(path: bytes) -> bool:
        old, new = before.get(path), after[path]
        return (
            old is None
            or _facts(old) != _facts(new)
            or ((old.uid, old.gid) != (new.uid, new.gid) and may_own(new.uid, new.gid))
            or (new.kind == "f" and not same(old, new))
        )

    kept = {  # the names that each file still has
        inode: {path for path in names if path in after and after[path].kind != "d"}
        for inode, names in _names(before).items()
    }
    files = []
    for names in _names(after).values():
        old = before.get(names[0])
        if old is None or kept.get(old.inode) != set(names) or changed(names[0]):
            files.append(tuple(names))
    gone = [
        path for path, node in before.items() if path not in after or (node.kind == "d") != (after[path].kind == "d")
    ]
    return Differences(
        before,
        after,
        tuple(sorted(files)),
        tuple(sorted(path for path, node in after.items() if node.kind == "d" and changed(path))),
        tuple(sorted(gone, reverse=True)),
        _in_the_way(gone, after),
        sockets,
    )


def attributes(node: Node) -> dict[str, bytes]:
    """Return a file's extended attributes, but for those that a host gives by itself."""
    return {name: value for name, value in node.xattrs.items() if not os.fsencode(name).startswith(HOST_GIVEN)}


def _facts(node: Node) -> tuple[object, ...]:
    return node.kind, node.mode, node.mtime, node.target, node.device, attributes(node)


def _names(tree: Tree) -> dict[int, list[bytes]]:
    """Return the names of each inode that is no directory, sorted."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for path in sorted(tree):
        if tree[path].kind != "d":
            found[tree[path].inode].append(path)
    return found


def _in_the_way(gone: Iterable[bytes], after: Tree) -> frozenset[bytes]:
    """Return those of the paths to go at which, or above which, something else is to be."""
    replaced = {path for path in gone if path in after}

    def stands_below(path: bytes) -> bool:
        while path:
            if path in replaced:
                return True
            path = path.rpartition(b"/")[0]
        return False

    return frozenset(path for path in gone if stands_below(path))

"""A tar that others made, taken for a layer: its attributes as Linux has them, access control lists in numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, layer
from bootsmith.tasks.tree.accounts import Table
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.tar import ACLS, Entry, scan

_KNOWN: Final = ("user.", "trusted.", "security.")
_LONGEST: Final = 255
_FILES: Final = {"user": "passwd", "group": "group"}


def index(tar: Path, target: Path) -> list[str]:
    """Write the index of a tar; return the paths that mean removals, of which there are none in the lowest layer.

    Raises StageError where it is damaged, or holds what no filesystem could.
    """
    entries = settled(list(scan(tar)), tar)
    layer.write_index(target, entries)
    return whiteouts(entries)


def whiteouts(entries: Sequence[Entry]) -> list[str]:
    """Return the paths of entries that mean removals."""
    return sorted(entry.path for entry in entries if entry.name.startswith(layer.WHITEOUT))


def settled(entries: Sequence[Entry], tar: Path) -> list[Entry]:
    """Return the entries of a tree, whose data stands in `tar`, with attributes that a filesystem can hold.

    A mode is what an access control list makes it. Who is named in one is numbered by the tree's own files. Raises
    StageError, naming the path.
    """
    numbers = _Numbers(entries, tar)
    return [_settled(entry, numbers) if entry.xattrs else entry for entry in entries]


def _settled(entry: Entry, numbers: _Numbers) -> Entry:
    if entry.type == "h":  # they are the file's
        return entry._replace(xattrs={})
    found, mode = {}, entry.mode
    for name, value in entry.xattrs.items():
        try:
            if name in ACLS:
                rows = acl.parse(value, partial(numbers.of, entry.path))
            elif name in ACLS.values():
                rows = acl.decode(value)
            elif _is_known(name):
                found[name] = value
                continue
            else:
                raise StageError(
                    f"/{shown(entry.path)} has the attribute {shown(name)}, which Linux does not keep",
                    "Make the tar without it, such as by bsdtar's --no-xattrs and --no-mac-metadata.",
                )
        except ValueError as error:
            raise StageError(
                f"/{shown(entry.path)} has an access control list that is none: {error}", "Make the tar again."
            ) from error
        kind = ACLS.get(name, name)
        if entry.type == "l" or (kind == acl.DEFAULT and entry.type != "d"):
            raise StageError(f"/{shown(entry.path)} has an access control list that only others have: {kind}")
        if kind == acl.ACCESS:
            mode = mode & ~0o777 | acl.mode(rows)
        if kind == acl.DEFAULT or acl.MASK in {tag for tag, _, _ in rows}:  # else the mode says all of it
            found[kind] = acl.encode(rows)
    return entry._replace(mode=mode, xattrs=found)


def _is_known(name: str) -> bool:
    """Tell whether Linux keeps attributes of a name (xattr(7)); a longer one than 255 bytes ext4 would cut."""
    return name.startswith(_KNOWN) and name not in _KNOWN and "\0" not in name and len(os.fsencode(name)) <= _LONGEST


class _Numbers:
    """The numbers of a tree's users and groups, read once somebody asks."""

    def __init__(self, entries: Sequence[Entry], tar: Path) -> None:
        self._entries = entries
        self._tar = tar

    def of(self, path: str, kind: str, name: bytes) -> int:
        file, text = _FILES[kind], name.decode("utf-8", "surrogateescape")
        row = self._tables[kind].get(text)
        if row is None and text == "root":
            return 0
        if row is None:
            raise StageError(
                f"/{shown(path)}: its access control list names a {kind} not in /etc/{file}: {shown(text)}",
                "Make the tar with numbers: tar --acls --numeric-owner.",
            )
        return int(row[2])

    @cached_property
    def _tables(self) -> dict[str, Table]:
        tree = Tree.of(self._entries, self._tar)
        return {kind: Table(file, tree.text(f"etc/{file}") or "") for kind, file in _FILES.items()}

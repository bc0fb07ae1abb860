"""The tree that layers come to, as a layer on top of them sees it: names looked up, links followed, files read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.layer import Entry

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context

BOOTABLE: Final = 4 << 30
"""Bytes of a kernel or an initrd at most: the largest file of a FAT filesystem, from which firmware reads."""
LINKS: Final = 40
"""Symlinks followed on the way to one file, as many as Linux does."""


class Tree:
    """The merged entries of layers, lowest first. `tars` may lack layers whose files are not read."""

    def __init__(self, indexes: Sequence[Path], tars: Sequence[Path] = ()) -> None:
        self._tars = tars
        self._folders: dict[str, str] = {}  # where paths lead, of folders that were asked for
        self.entries: Mapping[str, tuple[int, Entry]] = layer.merge([layer.read_index(index) for index in indexes])

    @classmethod
    def of(cls, entries: Sequence[Entry], tar: Path) -> Self:
        """Return the tree of one layer."""
        found = cls((), [tar])
        found.entries = layer.merge([entries])
        return found

    @property
    def tars(self) -> list[Path]:
        """The tars that have the files' data, by the numbers that entries have."""
        return list(self._tars)

    def place(self, path: str) -> str:
        """Return where a file of this name would be written: links in its directories are followed, itself not.

        A path may be absolute. Raises StageError where it leads through a file or round in circles.
        """
        parent, _, name = path.strip("/").rpartition("/")
        folder = self._folders.get(parent)
        if folder is None:
            folder = self._folders[parent] = self._resolve(parent)
        return f"{folder}/{name}".lstrip("/")

    def resolve(self, path: str) -> str:
        """Return the path with all links followed, whether or not something is there."""
        return self._resolve(path.strip("/"))

    def find(self, path: str) -> Entry | None:
        """Return what is at a path, links followed; None where there is nothing."""
        found = self.entries.get(self.resolve(path))
        return found[1] if found else None

    def link(self, path: str) -> Entry | None:
        """Return what is at a path, a link itself where it is one."""
        found = self.entries.get(self.place(path))
        return found[1] if found else None

    def read(self, path: str) -> bytes | None:
        """Return a file's content, links followed; None where there is no such file."""
        entry = self.find(path)
        if entry is None or entry.type not in ("f", "h"):
            return None
        return layer.read_member(*self._data(path))

    def open(self, path: str) -> BinaryIO:
        """Open a file that is there, links followed."""
        return layer.open_member(*self._data(path))

    def copy(self, path: str, target: Path) -> None:
        """Copy a kernel or an initrd, links followed. Raises StageError for more than any loader reads."""
        tar, entry = self._data(path)
        if entry.size > BOOTABLE:
            raise StageError(f"/{shown(path)} is larger than {BOOTABLE >> 30} GiB: nothing boots from it")
        with layer.open_member(tar, entry) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)

    def _data(self, path: str) -> tuple[Path, Entry]:
        """Return the tar that has a file's data, and its entry there."""
        number, entry = self.entries[self.resolve(path)]
        if entry.type == "h":
            number, entry = self.entries[entry.link]
        return self._tars[number], entry

    def text(self, path: str) -> str | None:
        """Return a file's content as text; what is not UTF-8 survives being written back."""
        data = self.read(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none where there is no directory."""
        return sorted(self._children.get(self.resolve(path), ()))

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.entries:
            if path:
                parent, _, name = path.rpartition("/")
                found.setdefault(parent, []).append(name)
        return found

    def _resolve(self, path: str) -> str:
        place = ""
        waiting = path.split("/")[::-1]
        followed = 0
        while waiting:
            step = waiting.pop()
            if step in ("", "."):
                continue
            if step == "..":
                place = place.rpartition("/")[0]
                continue
            below = f"{place}/{step}" if place else step
            entry = self.entries.get(below, (0, None))[1]
            if entry is not None and entry.type == "h":
                entry = self.entries[entry.link][1]  # a symlink may have two names, too
            if entry is None or entry.type != "l":
                place = below
                continue
            followed += 1
            if followed > LINKS:
                raise StageError(f"/{shown(path)} leads round in circles of symlinks", "Mend the links in the tree.")
            place = "" if entry.link.startswith("/") else place
            waiting += entry.link.split("/")[::-1]
        return place


def tree_below(ctx: Context) -> Tree:
    """Return the tree that the stage's layer goes on top of."""
    count = sum(role.endswith(".index") for role in ctx.inputs)
    return Tree(
        [ctx.inputs[f"{number}.index"] for number in range(count)],
        [ctx.inputs[f"{number}.tar"] for number in range(count) if f"{number}.tar" in ctx.inputs],
    )

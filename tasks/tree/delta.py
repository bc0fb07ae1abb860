"""A delta layer in the making: what is added lands where the tree below it really has that place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.layer import Entry, LayerWriter
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.tar import NO_XATTRS


class Delta:
    """Writes a layer on top of `tree`; `name` is the layer's, for errors.

    Links in a path's directories are followed (/lib/x is written to /usr/lib/x where /lib is a link), directories that
    are there keep their mode and owner, those that are not are made root:root 0755.
    """

    def __init__(self, ctx: Context, tree: Tree, name: str, epoch: int, writer: LayerWriter | None = None) -> None:
        self.tree = tree
        self._name = name
        self._writer = writer or LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], epoch)
        self._added: dict[str, str] = {}  # path -> type
        self._there: set[str] = set()  # directories that were made, or found: they stay

    def add_file(  # noqa: PLR0917  the order of chmod and chown
        self,
        path: str,
        data: bytes | str | Path,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        xattrs: Mapping[str, bytes] = NO_XATTRS,
    ) -> None:
        """Add a file, in the place of any file or link there; a directory there is an error."""
        self._writer.add_file(self._room(path, "f"), data, mode, uid, gid, xattrs)

    def add_link(self, path: str, target: str, uid: int = 0, gid: int = 0) -> None:
        """Add a symlink, in the place of any file or link there; a directory there is an error."""
        self._writer.add_symlink(self._room(path, "l"), target, uid, gid)

    def add_device(  # noqa: PLR0917  the order of mknod, chmod and chown
        self, path: str, kind: str, major: int, minor: int, mode: int, uid: int, gid: int
    ) -> None:
        """Add a device node, in the place of any file or link there; a directory there is an error."""
        self._writer.add_device(self._room(path, kind), kind, major, minor, mode=mode, uid=uid, gid=gid)

    def make_directory(self, path: str) -> None:
        """Make sure that there is a directory, and the ones it lies in."""
        place = self.tree.resolve(path)
        if place in self._there:
            return
        self._there.add(place)
        missing = []
        while self._type(place) != "d":
            if self._type(place):
                raise StageError(
                    f"{self._name}: /{shown(place)} is to be a directory, but the tree has a file of that name",
                    "Remove it in a layer before, or choose another name.",
                )
            missing.append(place)
            if not place:
                break
            place = place.rpartition("/")[0]
        for each in reversed(missing):
            self._added[each] = "d"
            self._writer.add_directory(each)

    def set_directory(self, path: str, mode: int, uid: int, gid: int) -> None:
        """Make a directory, or give the one that is there this mode and owner."""
        self.make_directory(path)
        place = self.tree.resolve(path)
        self._added[place] = "d"
        self._writer.add_directory(place, mode, uid, gid)

    def remove(self, path: str) -> None:
        """Remove what is at a path, a directory with all that is in it; nothing there is no error."""
        place = self.tree.place(path)
        if place in self.tree.entries:
            self._writer.add_whiteout(place)

    def _room(self, path: str, kind: str) -> str:
        place = self.tree.place(path)
        if self._type(place) == "d":
            what = {"l": "link", "f": "file"}.get(kind, "device")
            raise StageError(
                f"{self._name}: /{shown(place)} is to be a {what}, but the tree has a directory of that name",
                "Remove it in a layer before, or choose another name.",
            )
        parent = place.rpartition("/")[0]
        if parent not in self._there:
            self.make_directory(parent)
        self._added[place] = kind
        return place

    def _type(self, place: str) -> str:
        found: tuple[int, Entry] | None = self.tree.entries.get(place)
        return self._added.get(place) or (found[1].type if found else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self._writer.close()

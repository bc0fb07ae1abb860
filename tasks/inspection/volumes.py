"""The partitions of an image, and the files in them, whichever filesystem they are of: nothing is mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from bootsmith.tasks.disk.node import Node, Reader
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.disk.raw_content import Disk, descriptor
from bootsmith.tasks.disk.superblock import Filesystem
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.tree.lz4 import Unpack


class Files(Reader, Protocol):
    """The files in a filesystem. What makes no sense raises StageError."""

    path: Path
    """What messages call it."""
    unclean: bool
    """Whether it was not unmounted: its journal, which is not read, may know better."""

    @property
    def root(self) -> Node: ...

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        ...


class Image:
    """An open image: `parts` are its partitions, by number; the whole disk is number 0 where it has no table."""

    def __init__(  # noqa: PLR0917  all that it is
        self, path: Path, disk: Disk, table: str, identity: str, parts: list[Part], load_lz4: Callable[[], Unpack]
    ) -> None:
        """Take what is known of an image, and `load_lz4`, which returns what unpacks that where a filesystem has it."""
        self.path = path
        self._load_lz4 = load_lz4
        self.table = table
        self.disk = disk
        self.identity = identity
        self.parts = {each.number: each for each in parts}
        self.clear: dict[int, Disk] = {}
        """What of its volumes was unlocked, see unlocking.py."""
        self.sealed: dict[int, Filesystem] = {}
        """The volumes themselves, of those that were."""
        self._files: dict[int, Files] = {}
        self._open = ExitStack()

    def files(self, number: int) -> Files:
        """Return the files in a partition. Raises StageError for a damaged one, UsageError where none can be read."""
        if number not in self._files:
            self._files[number] = self._opened(self.parts[number])
        return self._files[number]

    @property
    def readable(self) -> list[int]:
        """The numbers of the partitions whose filesystem can be read."""
        return [number for number, part in self.parts.items() if reader(part)]

    def _opened(self, part: Part) -> Files:
        kind = reader(part)
        name = f"partition {part.number}" if part.number else "the disk"
        if kind is None and part in self.locked:
            hint = "Name the passphrase that opens it: --passphrase file:PATH, or env:NAME."
            raise UsageError(f"{self.path}: {name} is locked ({part.filesystem and part.filesystem.kind})", hint)
        if kind is None:
            held = (
                f"{part.filesystem.kind}, which is not read here" if part.filesystem else "no filesystem that is known"
            )
            raise UsageError(
                f"{self.path}: {name} holds {held}", "ext2, ext3, ext4, FAT, btrfs, xfs, squashfs and EROFS are read."
            )
        fd, start = self._open.enter_context(descriptor(*self.where(part)))
        where = Path(f"{self.path}, {name}")
        if kind == "fat":
            from bootsmith.tasks.disk.fat_files import FatFiles

            return FatFiles(where, fd, start, self.size(part))
        if kind == "squashfs":
            from bootsmith.tasks.disk.squashfs_files import SquashfsFiles

            return SquashfsFiles(where, fd, start, self.size(part))
        if kind == "btrfs":
            from bootsmith.tasks.disk.btrfs.files import BtrfsFiles

            return BtrfsFiles(where, fd, start, self.size(part))
        if kind == "xfs":
            from bootsmith.tasks.disk.xfs.files import XfsFiles

            return XfsFiles(where, fd, start, self.size(part))
        if kind == "erofs":
            from bootsmith.tasks.disk.erofs_files import ErofsFiles

            return ErofsFiles(where, fd, start, self.size(part), self._load_lz4)
        from bootsmith.tasks.disk.ext.files import Files as ExtFiles

        return ExtFiles(where, fd=fd, start=start, size=self.size(part), as_it_is=True)

    def where(self, part: Part) -> tuple[Disk, int, int]:
        """Return on which disk a partition's filesystem is, where, and how much room it has."""
        clear = self.clear.get(part.number)
        return (clear, 0, clear.size) if clear else (self.disk, part.start, part.size)

    def size(self, part: Part) -> int:
        """Return the room that a partition's filesystem has."""
        return self.where(part)[2]

    @property
    def locked(self) -> list[Part]:
        """The partitions that are volumes of LUKS, and were not unlocked."""
        return [each for each in self.parts.values() if each.filesystem and each.filesystem.kind.startswith("LUKS")]

    def close_with(self, closed: Callable[[], None]) -> None:
        """Have something closed with the image."""
        self._open.callback(closed)

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()


_KINDS = {"FAT": "fat", "ext": "ext"}


def reader(part: Part) -> str | None:
    """Return by what a partition's files are read, such as "fat"; None where nothing here reads them."""
    kind = part.filesystem.kind if part.filesystem else ""
    own = ("squashfs", "erofs", "btrfs", "xfs")
    return kind if kind in own else next((name for word, name in _KINDS.items() if kind.startswith(word)), None)

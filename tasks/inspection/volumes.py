"""The partitions of an image, and the files in them, whichever filesystem they are of: nothing is mounted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bootsmith.tasks.disk import inspect, superblock
from bootsmith.tasks.disk.image_content import Disk, descriptor, opened
from bootsmith.tasks.disk.inspect import Part
from bootsmith.tasks.disk.node import Node, Reader
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.disk.luks.clear import ClearDisk


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

    def __init__(self, path: Path, disk: Disk, table: str, identity: str, parts: list[Part]) -> None:
        self.path = path
        self.table = table
        self.disk = disk
        self.identity = identity
        self.parts = {each.number: each for each in parts}
        self.unsealed = False
        """Whether a passphrase was given that is no outer one's: of its volumes."""
        self._clear: dict[int, ClearDisk] = {}
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
            raise UsageError(f"{self.path}: {name} holds {held}", "ext2, ext3, ext4, FAT and squashfs are read.")
        fd, start = self._open.enter_context(descriptor(*self.where(part)))
        where = Path(f"{self.path}, {name}")
        if kind == "fat":
            from bootsmith.tasks.disk.fat_files import FatFiles

            return FatFiles(where, fd, start, self.size(part))
        if kind == "squashfs":
            from bootsmith.tasks.disk.squashfs_files import SquashfsFiles

            return SquashfsFiles(where, fd, start, self.size(part))
        from bootsmith.tasks.disk.ext.files import Files as ExtFiles

        return ExtFiles(where, fd=fd, start=start, size=self.size(part), as_it_is=True)

    def where(self, part: Part) -> tuple[Disk, int, int]:
        """Return on which disk a partition's filesystem is, where, and how much room it has."""
        clear = self._clear.get(part.number)
        return (clear, 0, clear.size) if clear else (self.disk, part.start, part.size)

    def size(self, part: Part) -> int:
        """Return the room that a partition's filesystem has."""
        return self.where(part)[2]

    @property
    def locked(self) -> list[Part]:
        """The partitions that are volumes of LUKS, and were not unlocked."""
        return [each for each in self.parts.values() if each.filesystem and each.filesystem.kind.startswith("LUKS")]

    def unlock(self, keys: Sequence[bytes]) -> None:
        """Unlock what these passphrases open. Raises BootsmithError where one does not open anything."""
        from bootsmith.tasks.disk.luks import opened as luks
        from bootsmith.tasks.disk.luks.clear import ClearDisk
        from bootsmith.tasks.disk.luks.volume import crypto_library
        from bootsmith.tasks.tools import host

        locked = self.locked
        if not locked or not keys:
            return
        library, refused = crypto_library(host.find("openssl")), None
        for part in locked:
            for key in keys:
                try:
                    found = luks.unlock(_named(self.path, part), partial(_inside, self.disk, part), key, library)
                except BootsmithError as error:
                    refused = error
                    if isinstance(error, StageError):
                        break
                    continue
                clear = ClearDisk(self.disk, part.start, part.size, found, library)
                self._open.callback(clear.close)
                self._clear[part.number] = clear
                self.parts[part.number] = replace(part, filesystem=superblock.probe_any(clear.read))
                break
        if refused and not self._clear:
            raise refused

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()


def _named(path: Path, part: Part) -> str:
    return f"{path}, partition {part.number}" if part.number else str(path)


def _inside(disk: Disk, part: Part, offset: int, length: int) -> bytes:
    return disk.read(part.start + offset, min(length, part.size - offset)) if 0 <= offset < part.size else b""


def reader(part: Part) -> str | None:
    """Return by what a partition's files are read: "fat", "ext", "squashfs"; None where nothing here reads them."""
    kind = part.filesystem.kind if part.filesystem else ""
    known = {"FAT": "fat", "ext": "ext", "squashfs": "squashfs"}
    return next((name for word, name in known.items() if kind.startswith(word)), None)


@contextlib.contextmanager
def looked_into(path: Path, passphrase: Passphrase | None = None, keys: Sequence[bytes] = ()) -> Iterator[Image]:
    """Yield an image, open; volumes on it that the passphrase, or one of the keys, opens, too.

    Raises UsageError for what is none, StageError for a damaged one, BootsmithError where a passphrase opens nothing.
    """
    outer, unused = passphrase, None
    try:
        kind = inspect.format_of(path, opens=passphrase is not None)
    except UsageError as error:
        if passphrase is None:
            raise
        outer, unused = None, error
        kind = inspect.format_of(path, opens=False)
    with opened(path, kind, outer) as disk:
        table, identity, parts, _ = inspect.parts(disk)
        if not parts:
            raise UsageError(f"{path} has no partition, and no filesystem that is known", "`doit inspect` tells more.")
        image = Image(path, disk, table, identity, parts)
        if unused and not image.locked:
            raise unused
        try:
            image.unsealed = unused is not None
            image.unlock([*keys, *([passphrase.text] if passphrase else [])])
            yield image
        finally:
            image.close()

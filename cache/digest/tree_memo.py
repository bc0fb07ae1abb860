"""What input trees were last seen to hold, folder by folder: each tree in a file of its own, named by its path.

What `memo.py` says of when an entry may be trusted holds here too, for each row of a folder.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate
from operator import attrgetter
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock, sealed
from xxhash import xxh3_128_hexdigest

KIND = "tree memo 1"
HEAD = struct.Struct("<36sqII")  # boot id, the clock's offset when the rows were made, how many mounts, folders follow
MOUNT = struct.Struct("<QQ")  # device, id of a mount of it
FOLDER = struct.Struct("<6I16s?")  # lengths of the parts that follow, see `Kept`; its digest; whether it is linked
ROW = struct.Struct("<IQQIqqq")
fields = attrgetter("st_mode", "st_dev", "st_ino", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns")
"""What a row holds of a stat."""
UNKNOWN = bytes(ROW.size)
"""The row of what had not rested when it was read: like no file's."""
DAY = 86_400.0


class Kept:
    """A folder as it was: `names`, a NUL between them; a row for each of them; what each holds.

    `attributes` are those of the folders in it, `below` their digests. Its own `digest` holds for them, unless it is
    `linked`: then a file in it has several names, and it depends on the others. Rows of folders hold a mode alone.
    """

    __slots__ = ("_lengths", "_parts", "attributes", "below", "digest", "linked", "names", "rows")

    def __init__(  # noqa: PLR0917  as they stand in the file
        self, names: bytes, rows: bytes, attributes: bytes, below: bytes, parts: bytes, lengths: bytes,
        digest: bytes, *, linked: bool,
    ) -> None:  # fmt: skip
        self.names = names
        self.rows = rows
        self.attributes = attributes
        self.below = below
        self.digest = digest
        self.linked = linked
        self._parts = parts
        self._lengths = lengths

    def held(self) -> list[bytes]:
        """Return what each name holds, in the order of names."""
        ends = list(accumulate(struct.unpack(f"<{len(self._lengths) // 4}I", self._lengths)))
        return [self._parts[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def by_name(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Return what each name holds, and its row, where that is known."""
        rows = [self.rows[at : at + ROW.size] for at in range(0, len(self.rows), ROW.size)]
        return dict(zip(self.names.split(b"\0"), zip(rows, self.held(), strict=True), strict=False))

    def pack(self, inside: bytes) -> bytes:
        """Return the form that is kept."""
        parts = (inside, self.names, self.rows, self.attributes, self.below, self._parts)
        return b"".join((FOLDER.pack(*map(len, parts), self.digest, self.linked), *parts, self._lengths))


def kept(  # noqa: PLR0917
    names: bytes, rows: bytes, attributes: bytes, below: bytes, held: list[bytes], digest: bytes, *, linked: bool
) -> Kept:
    """Return a folder that was looked at."""
    lengths = struct.pack(f"<{len(held)}I", *map(len, held))
    return Kept(names, rows, attributes, below, b"".join(held), lengths, digest, linked=linked)


class TreeMemos:
    """The trees that were looked at, and those that earlier processes kept in a folder. Threads may share it.

    A file that is lost, damaged or cannot be written costs time and nothing else. Who writes one last wins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._trees: dict[bytes, _Tree] = {}

    def recall(self, root: bytes) -> Mapping[bytes, Kept]:
        """Return the folders of the tree at a path, by their paths from its top, a slash behind each but the top's."""
        with self._mutex:
            return self._tree(root).folders

    def note(self, root: bytes, folders: dict[bytes, Kept], devices: set[int]) -> None:
        """Note a tree that was looked at. Its rows are of these devices."""
        with self._mutex:
            tree = self._tree(root)
            if tree.folders.keys() != folders.keys() or any(
                tree.folders[each] is not folders[each] for each in folders
            ):
                tree.meet(devices)
                tree.folders, tree.is_new = folders, True

    def forget(self) -> None:
        """Forget everything."""
        with self._mutex:
            for tree in self._trees.values():
                tree.folders, tree.is_new = {}, False

    def save(self, offset: int) -> None:
        """Keep what was noted for other processes; `offset` is the clock's, at its furthest."""
        with self._mutex, suppress(CacheError, OSError):
            for tree in self._trees.values():
                if tree.is_new:
                    tree.write(offset)

    def _tree(self, root: bytes) -> _Tree:
        place = os.path.abspath(root)  # noqa: PTH100  bytes
        found = self._trees.get(place)
        if found is None:
            found = self._trees[place] = _Tree(self._folder / xxh3_128_hexdigest(place))
        return found


class _Tree:
    """One tree, as far as its file tells; `mounts` are, of each device that may be exchanged, those there all along."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.folders: dict[bytes, Kept] = {}
        self.mounts: dict[int, frozenset[int]] = {}
        self.is_new = False
        self._devices: set[int] = set()
        body = sealed.read(file, KIND)
        if body is not None:
            with suppress(struct.error, IndexError, ValueError):
                self._read(body)
            self._use()

    def _read(self, body: bytes) -> None:
        boot, offset, count, size = HEAD.unpack_from(body)
        if boot.decode() != clock.boot_id() or clock.offset()[1] < offset:
            return
        at = HEAD.size + count * MOUNT.size
        for device, mount in MOUNT.iter_unpack(body[HEAD.size : at]):
            self.mounts[device] = self.mounts.get(device, frozenset()) | {mount}
        if not self._stand():
            return
        found: dict[bytes, Kept] = {}
        for _ in range(size):
            *lengths, digest, linked = FOLDER.unpack_from(body, at)
            at += FOLDER.size
            parts = []
            for length in (*lengths, lengths[2] // ROW.size * 4):
                parts.append(body[at : at + length])
                at += length
            inside, names, rows, attributes, below, held, sizes = parts
            found[inside] = Kept(names, rows, attributes, below, held, sizes, digest, linked=linked)
        self.folders = found

    def _stand(self) -> bool:
        """Tell whether each device that may be exchanged stayed mounted, and keep the mounts that still show it."""
        if self.mounts:
            from bootsmith.cache.files.mounts import mounts

            self.mounts = {device: ids & mounts(device) for device, ids in self.mounts.items()}
            self._devices = set(self.mounts)
        if all(self.mounts.values()):
            return True
        self.mounts, self._devices = {}, set()
        return False

    def _use(self) -> None:
        """Let the file's age be the time since it was asked for."""
        with suppress(OSError):
            if self._file.stat().st_mtime < time.time() - DAY:
                os.utime(self._file)

    def meet(self, devices: set[int]) -> None:
        """Note, of devices that may be exchanged, which mounts there are from the first row on."""
        from bootsmith.cache.files.mounts import is_exchangeable, mounts

        for device in devices - self._devices:
            self._devices.add(device)
            if is_exchangeable(device):
                self.mounts[device] = mounts(device)

    def write(self, offset: int) -> None:
        if not clock.boot_id() or not self._stand():
            return
        pairs = [MOUNT.pack(device, each) for device, ids in self.mounts.items() for each in ids]
        head = HEAD.pack(clock.boot_id().encode(), offset, len(pairs), len(self.folders))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        body = b"".join([head, *pairs, *(folder.pack(inside) for inside, folder in self.folders.items())])
        sealed.write(self._file, KIND, body)
        self.is_new = False

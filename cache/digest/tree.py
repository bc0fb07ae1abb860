"""The fingerprint of a tree: every folder is listed and every name looked at; what these show unchanged is not read.

docs/reference/cache-format.md defines what it is. All that is done once for each name is done here, so that a tree of
100,000 files costs little more than looking at them.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.cache.digest.attributes import HOST_GIVEN
from bootsmith.cache.digest.index import LENGTH
from bootsmith.cache.digest.key import encode
from bootsmith.cache.digest.tree_memo import ROW, UNKNOWN, Kept, fields, kept
from bootsmith.cache.files import clock
from bootsmith.cache.files.walk import Folder, folders
from xxhash import xxh3_128, xxh3_128_hexdigest

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.cache.digest.stats import Stats

LISTED = 20_000
"""Entries of a tree that are listed, at most."""
UNLISTED = {"": ""}
"""The listing of a tree with more."""

ENTRY = struct.Struct("<BHQQ")  # kind, permission bits, length of the name, length of what it holds; then those two
LINKED = 0  # the kind of an entry that is a hard link to an earlier one; the others are S_IFMT's, shifted
DIRECTORY = stat.S_IFDIR >> 12
PERMISSIONS = 0o7777

Read = Callable[[bytes, os.stat_result], bytes]
"""What reads a file, or knows what it holds: by its path and stat."""


def fingerprint(root: bytes, mode: int, read: Read, memo: Memo | None, stats: Stats | None) -> tuple[str, TreeLook]:
    """Return the fingerprint of the tree at `root`, whose own permission bits are `mode`, and the look at it.

    Raises OSError.
    """
    times = memo.times() if memo else 0
    look = TreeLook(memo.known_of(root) if memo else {}, read, stats)
    look.at(root)
    if memo and memo.times() != times:  # the clock was set back: what was known may have been of times that came again
        look = TreeLook({}, read, stats)
        look.at(root)
    digest = look.digest()
    if memo:
        memo.note_tree(root, look.kept, look.devices)
    return xxh3_128_hexdigest(encode(["tree", mode, attributes(root), digest])), look


class _Seen(NamedTuple):
    """A folder that was looked at: names and their rows, and again, as they are to be kept; which of them are folders.

    `held` is what each name holds, of a folder its attributes; it is empty where all is `known`, as it was before.
    """

    joined: bytes
    rows: bytes
    kept_rows: bytes
    folders: dict[int, bytes]
    attributes: bytes
    linked: bool
    held: list[bytes]
    known: Kept | None

    def members(self) -> Iterator[tuple[bytes, tuple[int, ...], bytes]]:
        """Yield each name, its row, and what it holds."""
        held = self.known.held() if self.known else self.held
        return zip(self.joined.split(b"\0") if held else (), ROW.iter_unpack(self.rows), held, strict=True)


class TreeLook:
    """One look at a tree of which something may be known."""

    def __init__(self, known: Mapping[bytes, Kept], read: Read, stats: Stats | None) -> None:
        self._known = known
        self._read = read
        self._stats = stats
        self._seen: dict[bytes, _Seen] = {}
        self._gone: set[bytes] = set()
        self._linked: dict[tuple[int, int], tuple[int, bytes]] = {}  # when files of several names were read, and gave
        self._first: dict[tuple[int, int], tuple[int, list[bytes]]] = {}
        self.kept: dict[bytes, Kept] = {}
        self.devices: set[int] = set()

    def at(self, root: bytes) -> None:
        """Look at every folder."""
        for folder in folders(root, absent=(FileNotFoundError,)):
            above = folder.inside[:-1].rpartition(b"/")[0]
            if folder.inside and (folder.inside in self._gone or (above and above + b"/") not in self._seen):
                continue  # it, or one above, went away while we looked and came back: as if it had not
            self._seen[folder.inside] = self._folder(folder)

    def _folder(self, folder: Folder) -> _Seen:
        names = folder.names
        full: list[tuple[int, ...]] = list(map(fields, folder.statuses))
        rows = full[:]
        below = [at for at, row in enumerate(full) if row[0] >> 12 == DIRECTORY]
        for at in below:  # their times change with what is in them, which is looked at itself
            rows[at] = full[at][0], 0, 0, 0, 0, 0, 0
        packed, joined = b"".join(starmap(ROW.pack, rows)), b"\0".join(names)
        if self._stats is not None:
            times = b"".join([ROW.pack(0, 0, 0, 0, *full[at][4:]) for at in below])
            self._stats.add_folder(b"\0".join((folder.inside, joined)), packed + times, [row[6] for row in full])
        own: dict[int, bytes] = {}
        for at in below:
            try:
                own[at] = attributes(folder.path + names[at])
            except FileNotFoundError:
                self._gone.add(folder.inside + names[at] + b"/")
        said = b"".join([LENGTH.pack(len(each)) + each for each in own.values()])
        old, is_whole = self._known.get(folder.inside), len(own) == len(below)
        if old is not None and is_whole and (old.names, old.rows, old.attributes) == (joined, packed, said):
            seen = _Seen(joined, packed, packed, {at: names[at] for at in below}, said, old.linked, [], old)
        else:
            seen = self._read_folder(folder, rows, own, said)
        if seen.linked:
            self._meet_links(folder.inside, seen)
        return seen

    def _read_folder(self, folder: Folder, rows: list[tuple[int, ...]], own: Mapping[int, bytes], said: bytes) -> _Seen:
        """Read of a folder what is not known."""
        old = self._known.get(folder.inside)
        known = old.by_name() if old is not None else {}
        there: list[int] = []
        held: list[bytes] = []
        kept_rows: list[bytes] = []
        for at, (name, row) in enumerate(zip(folder.names, rows, strict=True)):
            packed = ROW.pack(*row)
            before, held_before = known.get(name, (b"", b""))
            if row[0] >> 12 == DIRECTORY:
                if at not in own:
                    continue
                found, has_rested = own[at], True
            elif before == packed:
                found, has_rested = held_before, True
            else:
                try:
                    found, has_rested = self._held(folder.path + name, folder.statuses[at], row)
                except FileNotFoundError:
                    continue  # removed while we looked: as if it had been before
            there.append(at)
            held.append(found)
            kept_rows.append(packed if has_rested else UNKNOWN)
        names = [folder.names[at] for at in there]
        rows = [rows[at] for at in there]
        self.devices.update([row[1] for row in rows if row[1]])
        below = {number: names[number] for number, row in enumerate(rows) if row[0] >> 12 == DIRECTORY}
        linked = any(row[3] > 1 for row in rows)
        packed = b"".join(starmap(ROW.pack, rows))
        return _Seen(b"\0".join(names), packed, b"".join(kept_rows), below, said, linked, held, None)

    def _held(self, path: bytes, status: os.stat_result, row: tuple[int, ...]) -> tuple[bytes, bool]:
        """Return what a name holds with its attributes, and whether that will show in its stat once it is changed."""
        inode = row[1], row[2]
        started, held = self._linked.get(inode, (0, b"")) if row[3] > 1 else (0, b"")
        if not started:
            started = time.time_ns()
            held = _content(path, status, self._read) + attributes(path)
            if row[3] > 1:
                self._linked[inode] = started, held
        has_rested = started > clock.settled(status) and fields(os.lstat(path)) == row
        return held, has_rested

    def _meet_links(self, inside: bytes, seen: _Seen) -> None:
        """Note of each file that may have several names the first.

        It is the one least deep, of those the least: not the first that is walked by.
        """
        for name, row, _ in seen.members():
            if row[3] > 1:
                path = inside + name
                place = path.count(b"/"), path.split(b"/")
                inode = row[1], row[2]
                self._first[inode] = min(self._first.get(inode, place), place)

    # -- what came of it

    def digest(self) -> bytes:
        """Return the digest of what is in the top."""
        digests: dict[bytes, bytes] = {}
        kept_folders: list[tuple[bytes, Kept]] = []
        for inside, seen in reversed(self._seen.items()):  # below before above
            below = [digests.pop(inside + name + b"/") for name in seen.folders.values()]
            joined = b"".join(below)
            known = seen.known
            if known is not None and not seen.linked and known.below == joined:
                digests[inside] = known.digest
                kept_folders.append((inside, known))
                continue
            total = xxh3_128()
            for kind, mode, name, held in self._members(inside, seen, dict(zip(seen.folders, below, strict=True))):
                total.update(ENTRY.pack(kind, mode, len(name), len(held)) + name + held)
            digests[inside] = total.digest()
            if known is not None and (known.digest, known.below) == (digests[inside], joined):
                kept_folders.append((inside, known))
                continue
            contents = known.held() if known else seen.held
            parts = seen.joined, seen.kept_rows, seen.attributes, joined, contents, digests[inside]
            kept_folders.append((inside, kept(*parts, linked=seen.linked)))
        self.kept = dict(reversed(kept_folders))
        return digests[b""]

    def _members(
        self, inside: bytes, seen: _Seen, digests: Mapping[int, bytes]
    ) -> Iterator[tuple[int, int, bytes, bytes]]:
        """Yield kind, permission bits, name, and what it holds, of what is in a folder."""
        for at, (name, row, held) in enumerate(seen.members()):
            mode = row[0] & PERMISSIONS
            first = b"/".join(self._first[row[1], row[2]][1]) if row[3] > 1 else b""
            if first and first != inside + name:
                yield LINKED, mode, name, first
            else:
                yield row[0] >> 12, mode, name, digests.get(at, b"") + held

    def folders(self) -> dict[str, str]:
        """Return the digest of all that is below each folder, by its path from the top, "" the top's own.

        Where one is what it was, so is all below it: names, modes, contents, attributes. A folder is not among them
        with a file below it that has other names: what that holds is told of one name, which may be in another folder.
        """
        linked = {b""} if any(folder.linked for folder in self.kept.values()) else set()
        for inside, folder in self.kept.items():
            path = inside[:-1] if folder.linked else b""
            while path not in linked and path:
                linked.add(path)
                path = path.rpartition(b"/")[0]
        found = ((inside[:-1], folder) for inside, folder in self.kept.items())
        return {os.fsdecode(path): folder.digest.hex() for path, folder in found if path not in linked}

    def listing(self) -> dict[str, str]:
        """Return what is listed of each path: "KIND MODE HELD"; UNLISTED where they are more than LISTED."""
        if sum(len(seen.rows) for seen in self._seen.values()) > LISTED * ROW.size:
            return UNLISTED
        return {
            os.fsdecode(inside + name): f"{kind} {mode:o} {held.hex()}"
            for inside, seen in self._seen.items()
            for kind, mode, name, held in self._members(inside, seen, {})
        }


def _content(path: bytes, status: os.stat_result, read: Read) -> bytes:
    """Return what an entry holds, of a length that its kind tells, or prefixed with it."""
    if stat.S_ISREG(status.st_mode):
        return read(path, status)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)  # noqa: PTH115  bytes
        return LENGTH.pack(len(target)) + target
    return LENGTH.pack(status.st_rdev)


def attributes(path: bytes) -> bytes:
    """Return the extended attributes of a name itself, encoded; nothing where there are none. Raises OSError."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return b""  # a file system without any
    kept_names = [name for name in map(os.fsencode, names) if not name.startswith(HOST_GIVEN)]
    return encode({name: os.getxattr(path, name, follow_symlinks=False) for name in kept_names}) if kept_names else b""

"""A layer: a tar in OCI layer form (whiteouts included) and an index of its members beside it.

The index is one JSON array, a line per member in the tar's order, read in a fraction of the time a scan takes.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Final, Self, TypeAlias

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.member_data import Data
from bootsmith.tasks.tree.tar import NO_XATTRS, Entry

__all__ = [
    "OPAQUE",
    "WHITEOUT",
    "Entry",
    "LayerWriter",
    "folders_above",
    "merge",
    "open_member",
    "read_index",
    "read_member",
    "write_index",
]

WHITEOUT: Final = ".wh."
LARGEST: Final = 512 << 20
"""Bytes of a file that is read whole: ten times what the largest kernels have, however a sparse file boasts."""
OPAQUE: Final = ".wh..wh..opq"
_XATTRS: Final = 11
"""Where attributes stand in a row of an index; what follows them only sparse files have."""


def write_index(index: Path, entries: Iterable[Entry]) -> None:
    """Write an index of `entries`."""
    rows = (
        [
            e.path, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.link, e.major, e.minor, e.offset,
            {name: value.decode("latin-1") for name, value in sorted(e.xattrs.items())},
            *(() if e.stretches is None else (e.stretches,)),
        ]
        for e in entries
    )  # fmt: skip
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    index.write_text(f"[{lines}]\n", encoding="ascii")


def read_index(path: Path) -> tuple[Entry, ...]:
    """Return the members an index lists. Raises StageError where it is damaged."""
    try:
        return _members(path.read_bytes())
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise StageError(f"{path} is not an index of a layer: {error}", "Remove it; it is made again.") from error


@lru_cache(16)
def _members(index: bytes) -> tuple[Entry, ...]:
    """Return what an index of this content lists: most stages of a build read the same few, one after the other."""
    rows: list[list[Any]] = json.loads(index)
    for row in rows[:]:  # what is no list has no slices
        row[_XATTRS] = _xattrs(row[_XATTRS]) if row[_XATTRS] else NO_XATTRS
        row[_XATTRS + 1 :] = [tuple((start, length) for start, length in each) for each in row[_XATTRS + 1 :]]
    return tuple(Entry(*row) for row in rows)


def _xattrs(texts: Mapping[str, str]) -> Mapping[str, bytes]:
    return MappingProxyType({name: value.encode("latin-1") for name, value in texts.items()})


def open_member(tar: Path, entry: Entry) -> BinaryIO:
    """Open the data of a file's entry for reading, holes as zeros; `tar` is the layer the entry came from."""
    if entry.type != "f":
        raise ValueError(f"{entry.path}: only a file's entry has data, not one of type {entry.type!r}")
    return io.BufferedReader(_Member(tar, entry), 1 << 18)


def open_stored(tar: Path, entry: Entry) -> BinaryIO:
    """Open the data of a file's entry as it stands in the tar, without the holes of a sparse file."""
    return open_member(tar, dataclasses.replace(entry, size=entry.stored, stretches=None))


def read_member(tar: Path, entry: Entry) -> bytes:
    """Return the data of a file's entry. Raises StageError for more than is held in memory."""
    if entry.size > LARGEST:
        raise StageError(
            f"/{shown(entry.path)} is larger than {LARGEST >> 20} MiB, and would have to be read whole",
            "Make it smaller, or leave it out of the tree.",
        )
    with open_member(tar, entry) as member:
        return member.read()


class _Member(io.RawIOBase):
    """A file of a layer."""

    def __init__(self, path: Path, entry: Entry) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._data = Data(self._file.fileno(), entry)
        self._at, self._end = 0, entry.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]  # Buffer is 3.12's word
        got = self._data.readinto(memoryview(buffer), self._at)
        if not got and buffer and self._at < self._end:
            raise StageError(f"{self._file.name} is shorter than its index says", "Remove it; it is made again.")
        self._at += got
        return got

    def close(self) -> None:
        self._file.close()
        super().close()


# -- layers on layers


def merge(indexes: Sequence[Sequence[Entry]]) -> dict[str, tuple[int, Entry]]:
    """Return the tree of layers laid over each other: path -> (the layer's number, its entry).

    Whiteouts are applied and gone. Every entry's parent is there; one that no layer lists is root:root 0755. A hard
    link is a link to a name in the tree whose entry holds the data: when that name was replaced or removed by a
    later layer, the first of the other names takes the data over. Raises StageError for what no filesystem could hold.
    """
    found: dict[str, tuple[int, Entry]] = {}
    inodes: dict[str, tuple[int, Entry]] = {}  # of each hard link: the file it is
    for number, entries in enumerate(indexes):
        if number:
            _make_room(found, inodes, entries)
        for entry in entries:
            path = entry.path
            parent, _, name = path.rpartition("/")
            if name.startswith(WHITEOUT):
                continue
            inodes.pop(path, None)
            if entry.type == "h":
                target = inodes.get(entry.link) or found.get(entry.link)
                if target is None:
                    raise StageError(f"{shown(path)} is a hard link to {shown(entry.link)}, which is in no layer")
                if target[1].type == "d":
                    raise StageError(f"{shown(path)} is a hard link to {shown(entry.link)}, which is a directory")
                inodes[path] = target
            found[path] = (number, entry)
            if parent not in found:
                _add_parents(found, number, entry)
    _settle_links(found, inodes)
    _check_parents(found)
    return found


def _check_parents(found: dict[str, tuple[int, Entry]]) -> None:
    """Refuse what lies below a file or a link of its own layer: that would be written who knows where."""
    for path, (_, entry) in found.items():
        if path and found[entry.parent][1].type != "d":
            raise StageError(
                f"{shown(path)} lies in {shown(entry.parent)}, which is no directory",
                "Make the layer anew: it holds both at once.",
            )


def _make_room(
    found: dict[str, tuple[int, Entry]], inodes: dict[str, tuple[int, Entry]], entries: Sequence[Entry]
) -> None:
    """Remove from the tree so far what a layer's whiteouts hide, and what stands in the way of its members."""
    gone: set[str] = set()
    emptied: set[str] = set()
    for entry in entries:
        name = entry.name
        if name == OPAQUE:
            emptied.add(entry.parent)
        elif name.startswith(WHITEOUT):
            gone.add(f"{entry.parent}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        elif entry.type != "d" and entry.path in found and found[entry.path][1].type == "d":
            gone.add(entry.path)
        for above in folders_above(entry.path):
            if above in found and found[above][1].type != "d":
                gone.add(above)
    for path in gone:
        found.pop(path, None)
        inodes.pop(path, None)
    emptied |= gone
    if emptied:
        for path in [path for path in found if path and not emptied.isdisjoint(folders_above(path))]:
            found.pop(path)
            inodes.pop(path, None)


def folders_above(path: str) -> list[str]:
    """Return the folders a path lies in, the root last."""
    found = []
    while path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def _add_parents(found: dict[str, tuple[int, Entry]], number: int, entry: Entry) -> None:
    for above in folders_above(entry.path):
        if above not in found:
            found[above] = (number, Entry(above, "d", 0o755, mtime=entry.mtime))


def _settle_links(found: dict[str, tuple[int, Entry]], inodes: dict[str, tuple[int, Entry]]) -> None:
    heirs: dict[tuple[int, str], str] = {}
    for path in sorted(inodes):
        layer, file = inodes[path]
        if found.get(file.path) == (layer, file):
            number, entry = found[path]
            found[path] = (number, dataclasses.replace(entry, link=file.path))
            continue
        heir = heirs.setdefault((layer, file.path), path)
        link = Entry(path, "h", file.mode, file.uid, file.gid, mtime=file.mtime, link=heir)
        found[path] = (layer, dataclasses.replace(file, path=path) if heir == path else link)


# -- writing

Content: TypeAlias = "bytes | Path | tuple[Path, Entry]"
"""A file's content: itself, the file to read it from, or the tar and its entry there."""


class LayerWriter:
    """Writes a layer when closed: name-sorted; what is added later replaces the earlier.

    Every time stamp is `epoch`, but for those that `date` gives. A file's data is bytes, or a path that is read when
    the writer closes.
    """

    def __init__(self, tar: Path, index: Path, epoch: int) -> None:
        self._tar = tar
        self._index = index
        self._epoch = epoch
        self._entries: dict[str, tuple[Entry, Content]] = {}

    def add_file(  # noqa: PLR0917  the order of chmod and chown
        self,
        path: str,
        data: bytes | Path,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        xattrs: Mapping[str, bytes] = NO_XATTRS,
    ) -> None:
        self._add(Entry(path, "f", mode, uid, gid, xattrs=xattrs), data)

    def add_directory(
        self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0, xattrs: Mapping[str, bytes] = NO_XATTRS
    ) -> None:
        self._add(Entry(path, "d", mode, uid, gid, xattrs=xattrs))

    def add_symlink(
        self, path: str, target: str, uid: int = 0, gid: int = 0, xattrs: Mapping[str, bytes] = NO_XATTRS
    ) -> None:
        self._add(Entry(path, "l", 0o777, uid, gid, link=target, xattrs=xattrs))

    def add_hard_link(self, path: str, target: str) -> None:
        """Add another name for `target`, a file of this layer or of one below."""
        self._add(Entry(path, "h", link=target))

    def add_device(
        self,
        path: str,
        kind: str,
        major: int,
        minor: int,
        *,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        xattrs: Mapping[str, bytes] = NO_XATTRS,
    ) -> None:
        """Add a device node; `kind` is "c" or "b"."""
        self._add(Entry(path, kind, mode, uid, gid, major=major, minor=minor, xattrs=xattrs))

    def add_fifo(
        self, path: str, mode: int = 0o644, uid: int = 0, gid: int = 0, xattrs: Mapping[str, bytes] = NO_XATTRS
    ) -> None:
        self._add(Entry(path, "p", mode, uid, gid, xattrs=xattrs))

    def add_whiteout(self, path: str) -> None:
        """Hide what lower layers have at `path`."""
        parent, slash, name = path.rpartition("/")
        self._put(Entry(f"{parent}{slash}{WHITEOUT}{name}", "f", 0o644))

    def add_opaque(self, path: str) -> None:
        """Hide all that lower layers have below the directory `path`."""
        self._put(Entry(f"{path}/{OPAQUE}".lstrip("/"), "f", 0o644))

    def date(self, path: str, mtime: int) -> None:
        """Let what was added at `path` have a time of its own, in seconds."""
        entry, data = self._entries[path]
        self._entries[path] = (dataclasses.replace(entry, mtime=mtime), data)

    def add_copy(self, entry: Entry, tar: Path, *, mtime: int | None = None) -> None:
        """Add an entry of another layer as it is, but for its time, which may be said; its data stands in `tar`."""
        self._add(entry, (tar, entry) if entry.type == "f" else b"", mtime)

    def _add(self, entry: Entry, data: Content = b"", mtime: int | None = None) -> None:
        if entry.name.startswith(WHITEOUT):
            raise StageError(
                f"/{shown(entry.path)} cannot be added: layers mean something else by {WHITEOUT}*, "
                "that a file is removed",
                "Call it otherwise; what a layer is to remove stands in the recipe, under remove.",
            )
        self._put(entry, data, mtime)

    def _put(self, entry: Entry, data: Content = b"", mtime: int | None = None) -> None:
        if tars.clean(entry.path) != entry.path:
            raise ValueError(f"not a path inside a tree: {entry.path!r}")
        time = self._epoch if mtime is None else mtime
        self._entries[entry.path] = (dataclasses.replace(entry, mtime=time), data)

    def close(self) -> None:
        """Write the tar and its index."""
        ordered = sorted(self._entries, key=lambda path: os.fsencode(path).split(b"/"))
        with self._tar.open("wb") as out:
            written = [_write(out, *self._entries[path]) for path in ordered]
            out.write(tars.END)
        write_index(self._index, written)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()


def write_tree(out: BinaryIO, tree: Mapping[str, tuple[int, Entry]], sources: Sequence[Path], epoch: int) -> None:
    """Write what layers came to as one tar: every time stamp `epoch`, hard links behind all that they could mean."""
    for path in sorted(tree, key=lambda path: (tree[path][1].type == "h", os.fsencode(path).split(b"/"))):
        number, entry = tree[path]
        entry = dataclasses.replace(entry, mtime=epoch)
        _write(out, entry, (sources[number], entry) if entry.type == "f" else b"")
    out.write(tars.END)


def _write(out: BinaryIO, entry: Entry, data: Content) -> Entry:
    if isinstance(data, bytes):
        source: BinaryIO = io.BytesIO(data)
        size = len(data)
    elif isinstance(data, Path):
        source = data.open("rb")
        size = os.fstat(source.fileno()).st_size
    else:
        source = open_stored(*data)
        size = data[1].stored
    with source:
        if entry.stretches is None:
            entry = dataclasses.replace(entry, size=size)
        out.write(tars.header(entry))
        offset = out.tell()
        shutil.copyfileobj(source, out, 1 << 20)
    if out.tell() - offset != size:
        raise StageError(f"{shown(entry.path)} changed while it was read", "Run the same command again.")
    out.write(b"\0" * (-size % tars.BLOCK))
    return dataclasses.replace(entry, offset=offset) if entry.type == "f" else entry

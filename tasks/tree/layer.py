"""A layer: a tar in OCI layer form (whiteouts included) and an index of its members beside it.

The index is one JSON array, a line per member in the tar's order, read in a fraction of the time a scan takes. Of where
in the tar a member's data stands, a line says only what lies between it and the data before: so of two layers the lines
of what both hold are the same, whatever else they hold. With the digests of files' data they tell what differs.
"""

from __future__ import annotations

import io
import json
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, Self, TypeAlias

from bootsmith.cache.digest.index import CHUNK, Reckoning, index_of_bytes
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
_SIZE, _OFFSET, _XATTRS, _STRETCHES = 5, 10, 11, 12
"""Where in a row of an index stand what an entry has there, too, but for the offset: behind the padded data before."""
_FIELDS: Final = len(Entry._fields)
_ROWS: Final = ",\n"
_OPEN, _END = b"[\n", b"\n]\n"
_PIECE: Final = 1 << 20
_CLOSE: Final = (",", ":")
_KEPT: Final = 16
_BUFFER: Final = 1 << 20
_LAID: Final = 3
_quoted = json.encoder.encode_basestring_ascii


def write_index(index: Path, entries: Iterable[Entry]) -> None:
    """Write an index of `entries`."""
    members = tuple(entries)
    frozen = (e._replace(xattrs=MappingProxyType(dict(e.xattrs))) if e.xattrs else e for e in members)
    write_lines(index, [_ROWS.join(_lines(members)).encode("ascii")], tuple(frozen))


def write_lines(index: Path, rows: Iterable[bytes], members: tuple[Entry, ...]) -> None:
    """Write an index of lines, or of several as they stand in another, which say what the members are."""
    content = _OPEN + _ROWS.encode("ascii").join(rows) + _END
    index.write_bytes(content)
    _remember(content, members)


class Lines:
    """The lines of an index with this content, as they stand in it."""

    def __init__(self, index: bytes) -> None:
        self._index = index
        self._starts = array("Q", [found.end() for found in re.finditer(b"\n", index)])

    def text(self, first: int, end: int) -> bytes:
        """Return the lines from one on, up to another, and what stands between them."""
        return self._index[self._starts[first] : self._starts[end] - 1].rstrip(b",") if first < end else b""


def _lines(members: Iterable[Entry]) -> Iterator[str]:
    """Yield what an index says of each member of a tar, in its order."""
    end = 0
    for each in members:
        yield line(each, end)
        end = ends(each, end)


def ends(member: Entry, before: int) -> int:
    """Return where the padded data of a member ends, of one without any the data `before`."""
    return padded(member.offset + member.stored) if member.type == "f" else before


def line(e: Entry, before: int) -> str:
    """Return an entry as JSON has it, without the time that its encoder takes for a row of plain numbers.

    `before` is where the padded data of the file before it ends.
    """
    ahead = e.offset - before if e.type == "f" else 0
    rest = "{}" if not e.xattrs else json.dumps(
        {name: value.decode("latin-1") for name, value in sorted(e.xattrs.items())}, separators=_CLOSE
    )  # fmt: skip
    stretches = "null" if e.stretches is None else json.dumps(e.stretches, separators=_CLOSE)
    link = _quoted(e.link) if e.link else '""'
    return (
        f'[{_quoted(e.path)},"{e.type}",{e.mode},{e.uid},{e.gid},{e.size},{e.mtime},{link},{e.major},{e.minor},'
        f'{ahead},{rest},{stretches},"{e.digest}"]'
    )


def padded(size: int) -> int:
    """Return a size rounded up to whole blocks of a tar."""
    return -(-size // tars.BLOCK) * tars.BLOCK


def read_index(path: Path) -> tuple[Entry, ...]:
    """Return the members an index lists. Raises StageError where it is damaged."""
    try:
        content = path.read_bytes()
        found = _recent.get(content)
        return _remember(content, parse(content)) if found is None else found
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise StageError(f"{path} is not an index of a layer: {error}", "Remove it; it is made again.") from error


_recent: dict[bytes, tuple[Entry, ...]] = {}
"""What indexes list, by their content: most stages of a build read the same few, one after the other."""


def _remember(content: bytes, members: tuple[Entry, ...]) -> tuple[Entry, ...]:
    _recent[content] = members
    while len(_recent) > _KEPT:
        _recent.pop(next(iter(_recent)), None)
    return members


def parse(index: bytes) -> tuple[Entry, ...]:
    """Return the members that an index with this content lists. Raises ValueError and the like where it is damaged."""
    if not (index.startswith(_OPEN) and index.endswith(_END)):
        raise ValueError("it is cut short")
    members: list[Entry] = []
    at, stop, end = len(_OPEN), len(index) - len(_END), 0
    while at < stop:  # in pieces, for lists take three times the memory of what they become
        cut = index.find(b",\n", min(at + _PIECE, stop), stop)
        cut = cut if cut > 0 else stop
        read: list[list[Any]] = json.loads(b"[%b]" % index[at:cut])
        for row in read:
            if len(row) != _FIELDS:
                raise ValueError(f"a line has {len(row)} fields")
            row[_XATTRS] = _xattrs(row[_XATTRS]) if row[_XATTRS] else NO_XATTRS
            stored = row[_SIZE]
            if row[_STRETCHES] is not None:
                row[_STRETCHES] = tuple((start, length) for start, length in row[_STRETCHES])
                stored = sum(length for _, length in row[_STRETCHES])
            if row[1] == "f":
                row[_OFFSET] += end
                end = -(-(row[_OFFSET] + stored) // tars.BLOCK) * tars.BLOCK
        members += map(_entry, read)
        at = cut + len(_ROWS)
    return tuple(members)


_entry: Callable[[Iterable[Any]], Entry] = partial(tuple.__new__, Entry)
"""Makes an entry of all its fields, in a fifth of the time that its own way takes."""


def _xattrs(texts: Mapping[str, str]) -> Mapping[str, bytes]:
    return MappingProxyType({name: value.encode("latin-1") for name, value in texts.items()})


def open_member(tar: Path, entry: Entry) -> BinaryIO:
    """Open the data of a file's entry for reading, holes as zeros; `tar` is the layer the entry came from."""
    if entry.type != "f":
        raise ValueError(f"{entry.path}: only a file's entry has data, not one of type {entry.type!r}")
    return io.BufferedReader(_Member(tar, entry), 1 << 18)


def open_stored(tar: Path, entry: Entry) -> BinaryIO:
    """Open the data of a file's entry as it stands in the tar, without the holes of a sparse file."""
    return open_member(tar, entry._replace(size=entry.stored, stretches=None))


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


Node: TypeAlias = tuple[int, Entry]
"""The number of a layer, and an entry of it."""


class _Laid(NamedTuple):
    """Layers as they lie on each other: what has which path, and of each hard link the file it is."""

    layers: tuple[Sequence[Entry], ...]
    found: dict[str, Node]
    inodes: dict[str, Node]


_laid: tuple[_Laid, ...] = ()
"""What was laid last, lowest layers first: most stages of a build lay the same ones, or one more."""


def merge(indexes: Sequence[Sequence[Entry]]) -> dict[str, Node]:
    """Return the tree of layers laid over each other: path -> (the layer's number, its entry).

    Whiteouts are applied and gone. Every entry's parent is there; one that no layer lists is root:root 0755. A hard
    link is a link to a name in the tree whose entry holds the data: when that name was replaced or removed by a
    later layer, the first of the other names takes the data over. Raises StageError for what no filesystem could hold.
    """
    global _laid  # noqa: PLW0603  a memory of a few, replaced as a whole
    layers = tuple(indexes)
    known = max(
        (each for each in _laid if _begins(layers, each.layers)), key=lambda each: len(each.layers), default=None
    )
    found, inodes = (dict(known.found), dict(known.inodes)) if known else ({}, {})
    for number in range(len(known.layers) if known else 0, len(layers)):
        _lay(found, inodes, number, layers[number])
        _check_parents(found, layers[number])
    if known is None or len(known.layers) < len(layers):
        _laid = (*_laid[1 - _LAID :], _Laid(layers, dict(found), dict(inodes)))
    _settle_links(found, inodes)
    return found


def _begins(layers: tuple[Sequence[Entry], ...], others: tuple[Sequence[Entry], ...]) -> bool:
    """Tell whether the lowest layers are these very tuples."""
    same = zip(layers, others, strict=False)
    return len(others) <= len(layers) and all(one is other and isinstance(one, tuple) for one, other in same)


def _lay(found: dict[str, Node], inodes: dict[str, Node], number: int, entries: Sequence[Entry]) -> None:
    """Lay one more layer on top."""
    if number:
        _make_room(found, inodes, entries)
    for entry in entries:
        path = entry.path
        parent, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            continue
        if inodes:
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


def _check_parents(found: dict[str, Node], entries: Sequence[Entry]) -> None:
    """Refuse what lies below a file or a link of its own layer: that would be written who knows where.

    What lower layers had below it, the layer has made room of.
    """
    parents = {entry.path.rpartition("/")[0] for entry in entries if entry.path and entry.path in found}
    parents |= {above for parent in parents for above in folders_above(parent)}
    wrong = {parent for parent in parents if found[parent][1].type != "d"}
    if wrong:
        path, parent = next((path, above) for path in found if (above := path.rpartition("/")[0]) in wrong and path)
        raise StageError(
            f"{shown(path)} lies in {shown(parent)}, which is no directory",
            "Make the layer anew: it holds both at once.",
        )


def _make_room(found: dict[str, Node], inodes: dict[str, Node], entries: Sequence[Entry]) -> None:
    """Remove from the tree so far what a layer's whiteouts hide, and what stands in the way of its members."""
    gone: set[str] = set()
    emptied: set[str] = set()
    parents: set[str] = set()
    for entry in entries:
        path = entry.path
        parent, _, name = path.rpartition("/")
        parents.add(parent)
        if name == OPAQUE:
            emptied.add(parent)
        elif name.startswith(WHITEOUT):
            gone.add(f"{parent}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        elif entry.type != "d" and path in found and found[path][1].type == "d":
            gone.add(path)
    for above in {above for parent in parents for above in (parent, *folders_above(parent))}:
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


def _add_parents(found: dict[str, Node], number: int, entry: Entry) -> None:
    for above in folders_above(entry.path):
        if above not in found:
            found[above] = (number, Entry(above, "d", 0o755, mtime=entry.mtime))


def _settle_links(found: dict[str, Node], inodes: dict[str, Node]) -> None:
    heirs: dict[tuple[int, str], str] = {}
    for path in sorted(inodes):
        layer, file = inodes[path]
        if found.get(file.path) == (layer, file):
            number, entry = found[path]
            found[path] = (number, entry._replace(link=file.path))
            continue
        heir = heirs.setdefault((layer, file.path), path)
        link = Entry(path, "h", file.mode, file.uid, file.gid, mtime=file.mtime, link=heir)
        found[path] = (layer, file._replace(path=path) if heir == path else link)


# -- writing

Content: TypeAlias = "bytes | str | Path | tuple[Path, Entry]"
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
        data: bytes | str | Path,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        xattrs: Mapping[str, bytes] = NO_XATTRS,
    ) -> None:
        self._add(Entry(path, "f", mode, uid, gid, 0, self._epoch, xattrs=xattrs), data)

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
        self._entries[path] = (entry._replace(mtime=mtime), data)

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
        self._entries[entry.path] = (entry if entry.mtime == time else entry._replace(mtime=time), data)

    def close(self) -> None:
        """Write the tar and its index."""
        ordered = sorted(self._entries, key=name_by_name)
        written, at = [], 0
        with self._tar.open("wb", buffering=_BUFFER) as out:
            for path in ordered:
                entry, at = write_member(out, at, *self._entries[path])
                written.append(entry)
            out.write(tars.END)
        write_index(self._index, written)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()


def name_by_name(path: str) -> bytes:
    """Return what sorts a path as its names do, each folder before what is in it."""
    return os.fsencode(path).replace(b"/", b"\0")


def write_tree(out: BinaryIO, tree: Mapping[str, tuple[int, Entry]], sources: Sequence[Path], epoch: int) -> None:
    """Write what layers came to as one tar: every time stamp `epoch`, hard links behind all that they could mean."""
    at = 0
    for path in sorted(tree, key=lambda path: (tree[path][1].type == "h", os.fsencode(path).split(b"/"))):
        number, entry = tree[path]
        data = (sources[number], entry) if entry.type == "f" else b""
        _, at = write_member(out, at, entry._replace(mtime=epoch), data)
    out.write(tars.END)


def write_member(out: BinaryIO, at: int, entry: Entry, data: Content) -> tuple[Entry, int]:
    """Write a member at a place of a tar; return it as it stands there, and where the next one goes."""
    if isinstance(data, tuple):
        return _copy(out, at, entry, open_stored(*data), data[1].stored)
    if not isinstance(data, bytes):
        descriptor = os.open(data, os.O_RDONLY | os.O_CLOEXEC)  # a tenth of what a Path's own open takes
        try:
            size = os.fstat(descriptor).st_size
            if size > _BUFFER:
                return _copy(out, at, entry, os.fdopen(os.dup(descriptor), "rb"), size)
            data = os.read(descriptor, size + 1)
            while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
                data += more
        finally:
            os.close(descriptor)
        if len(data) != size:
            raise _changed(entry)
    if entry.size != len(data) and entry.stretches is None:
        entry = entry._replace(size=len(data))
    header = tars.header(entry)
    at += len(header)
    if entry.type == "f":
        entry = entry._replace(offset=at, digest=index_of_bytes(data).digest if entry.stretches is None else "")
    out.write(header + data + bytes(-len(data) % tars.BLOCK) if data else header)
    return entry, at + padded(len(data))


def _copy(out: BinaryIO, at: int, entry: Entry, source: BinaryIO, size: int) -> tuple[Entry, int]:
    """Write a file of so many bytes as `write_member` does."""
    held = Reckoning(size) if entry.stretches is None and not entry.digest else None
    if entry.stretches is None:
        entry = entry._replace(size=size)
    header = tars.header(entry)
    out.write(header)
    offset = done = at + len(header)
    with source:
        while piece := source.read(CHUNK):
            if held and done - offset < size:  # of one that grows meanwhile no more is wanted
                held.add(done - offset, piece)
            out.write(piece)
            done += len(piece)
    if done - offset != size:
        raise _changed(entry)
    out.write(bytes(-size % tars.BLOCK))
    return entry._replace(offset=offset, digest=held.index().digest if held else entry.digest), padded(done)


def _changed(entry: Entry) -> StageError:
    return StageError(f"{shown(entry.path)} changed while it was read", "Run the same command again.")

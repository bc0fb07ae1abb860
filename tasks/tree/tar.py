"""The tar format: members told from headers, and headers made from members (ustar, PAX and GNU's long names).

Headers: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

import mmap
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, sparse_member
from bootsmith.tasks.tree.sparse_member import Stretches
from bootsmith.tasks.tree.tar_numbers import decimal, field, owner, time, within
from bootsmith.tasks.tree.tar_numbers import size as sized

BLOCK: Final = 512
MOST: Final = 16 << 20
"""Bytes of an extended header that are read: a file's attributes have a hundredth of it."""
LONGEST: Final = 4095
"""Bytes of a path that Linux takes; every folder above it is a path of its own here."""
MOST_STRETCHES: Final = 4 * sparse_member.MOST
"""Of all sparse files of a tar: they take a hundred bytes of memory each, and ten of the tar."""
MOST_DEFAULTS: Final = 1000
NO_XATTRS: Final[Mapping[str, bytes]] = {}

_TYPES: Final = {48: "f", 0: "f", 55: "f", 83: "f", 49: "h", 50: "l", 51: "c", 52: "b", 53: "d", 54: "p"}
_FLAGS: Final = {"f": b"0", "h": b"1", "l": b"2", "c": b"3", "b": b"4", "d": b"5", "p": b"6"}
_MAGIC: Final = b"ustar\x0000"
_SUM: Final = sum(_MAGIC) + sum(b" " * 8)
"""What each header's checksum has of the magic, and of its own place, which is taken as spaces."""
_XATTR: Final = "SCHILY.xattr."
_LIBARCHIVE_XATTR: Final = "LIBARCHIVE.xattr."
_SELINUX: Final = "RHT.security.selinux"
ACLS: Final = {"SCHILY.acl.access": acl.ACCESS, "SCHILY.acl.default": acl.DEFAULT}
"""What PAX calls an access control list in words, and Linux in its own form."""
_PAIR: Final = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")


class Entry(NamedTuple):
    """One member of a tar, its path without a leading "./" or "/"; "" is the root directory.

    A tuple, for there are hundreds of thousands. `type` is "f" file, "d" directory, "l" symlink, "h" hard link (`link`
    is the target's path), "c" and "b" devices, "p" fifo or "s" socket. Names that are not UTF-8 hold surrogates, as
    `os.fsdecode` makes them. `offset` is where the data stands in the tar, in bytes. A sparse file holds data in
    `stretches` alone, which stand there one behind the other. `digest` is the fingerprint of a file with this data, ""
    where nobody took it.
    """

    path: str
    type: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: str = ""
    major: int = 0
    minor: int = 0
    offset: int = 0
    xattrs: Mapping[str, bytes] = NO_XATTRS
    stretches: Stretches | None = None
    digest: str = ""

    @property
    def stored(self) -> int:
        """Bytes of data that stand in the tar."""
        return self.size if self.stretches is None else sum(length for _, length in self.stretches)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0]


def scan(tar: Path) -> Iterator[Entry]:
    """Yield the members of an uncompressed tar in its order. Raises StageError where it is damaged."""
    with tar.open("rb") as file:
        if not file.seek(0, 2):
            raise StageError(f"{tar} is empty, not a tar", "Make it again.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            try:
                yield from _members(view)
            except (ValueError, IndexError) as error:
                raise StageError(f"{tar} is damaged or not a tar: {error}", "Make it again.") from error


def _members(view: mmap.mmap) -> Iterator[Entry]:
    position, end, stretches = 0, len(view), 0
    defaults: dict[str, bytes] = {}  # PAX global headers
    extended: dict[str, bytes] = {}
    while position + BLOCK <= end:
        header = view[position : position + BLOCK]
        flag = header[156]
        if header[0] == 0 and not header.strip(b"\0"):
            return
        _verify(header, position)
        size = sized(field(header[124:136]))
        data = position + BLOCK
        if flag in b"xgLK" and size > MOST:
            raise ValueError(f"the header at byte {position} is {size} bytes long")
        if flag in b"xg":
            (extended if flag == ord("x") else defaults).update(_records(view[data : data + size]))
            if len(defaults) > MOST_DEFAULTS:  # each member has all of them
                raise ValueError("its global headers say more than a thousand things")
        elif flag in b"LK":  # GNU: the next member's long name, its long link
            extended["path" if flag == ord("L") else "linkpath"] = view[data : data + size].rstrip(b"\0")
        else:
            pax = defaults | extended if defaults else extended
            entry, size = _member(view, header, pax, data, size)
            stretches += len(entry.stretches or ())
            if stretches > MOST_STRETCHES:
                raise ValueError(
                    f"its sparse files have more than {MOST_STRETCHES} stretches; make it without --sparse"
                )
            extended = {}
            yield entry
        position = data + -(-size // BLOCK) * BLOCK
        if position > end:
            raise ValueError("it ends in the middle of a member")
    raise ValueError("its end is missing")


def _verify(header: bytes, position: int) -> None:
    try:
        said = field(header[148:156])
    except ValueError:  # not even a number
        said = -1
    if sum(header) - sum(header[148:156]) + 8 * 32 != said:  # taken with its own eight bytes as spaces
        raise ValueError(f"the header at byte {position} has a wrong checksum")


def _member(view: mmap.mmap, header: bytes, pax: Mapping[str, bytes], data: int, size: int) -> tuple[Entry, int]:
    """Return a member, and how many bytes stand between its header and the next one."""
    if header[156] not in _TYPES:
        raise ValueError(f"its member {_text(header[:100])!r} is of an unknown kind")
    if "size" in pax:
        size = sized(decimal(pax["size"]))
    try:
        layout = sparse_member.read(view, header, pax, data, size)
    except ValueError as error:
        raise ValueError(f"its sparse member {_text(header[:100])!r}: {error}") from error
    if layout is None:
        entry = _entry(header, pax, data, size)
        return entry, entry.size
    entry = _entry(header, pax, layout.offset, layout.size)
    if entry.type != "f":
        raise ValueError(f"its member {_text(header[:100])!r} is sparse, and no file")
    entry = entry._replace(stretches=layout.stretches)
    return entry, layout.offset - data + entry.stored


def _entry(header: bytes, pax: Mapping[str, bytes], offset: int, size: int) -> Entry:
    kind = _TYPES[header[156]]
    path = pax.get("GNU.sparse.name") or pax.get("path")
    if path is None:
        path = _text(header[:100])
        if header[345] and header[257:263] == b"ustar\0":
            path = _text(header[345:500]) + b"/" + path
    link = pax.get("linkpath") or _text(header[157:257])
    if b"\0" in path or b"\0" in link:
        raise ValueError(f"the name or the link of its member {_text(header[:100])!r} holds a NUL")
    if max(len(path), len(link)) > LONGEST:
        raise ValueError(f"the name or the link of its member {path[:40]!r}... is longer than {LONGEST} bytes")
    if path.endswith(b"/") and kind == "f":
        kind = "d"  # as tars before POSIX wrote directories
    device = kind in "cb"
    return Entry(
        clean(path.decode("utf-8", "surrogateescape")),
        kind,
        field(header[100:108]) & 0o7777,
        owner(decimal(pax["uid"]) if "uid" in pax else field(header[108:116])),
        owner(decimal(pax["gid"]) if "gid" in pax else field(header[116:124])),
        size if kind == "f" else 0,
        time(decimal(pax["mtime"].partition(b".")[0]) if "mtime" in pax else field(header[136:148])),
        _link(link, kind),
        within(field(header[329:337]), 0, 1 << 12, "major device number") if device else 0,
        within(field(header[337:345]), 0, 1 << 20, "minor device number") if device else 0,
        offset if kind == "f" else 0,
        _attributes(pax) if pax else NO_XATTRS,
    )


def _attributes(pax: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return a member's extended attributes, whoever wrote them; access control lists in words, by PAX's names."""
    found: dict[str, bytes] = {}
    for key, value in pax.items():
        if key.startswith(_XATTR):
            found[key.removeprefix(_XATTR)] = value
        elif key.startswith(_LIBARCHIVE_XATTR):
            name = unquote_to_bytes(key.removeprefix(_LIBARCHIVE_XATTR)).decode("utf-8", "surrogateescape")
            found.setdefault(name, b64decode(value + b"=" * (-len(value) % 4), validate=True))
        elif key in ACLS:
            found[key] = value
        elif key == _SELINUX:
            found.setdefault("security.selinux", value + b"\0")
        elif key == "SCHILY.acl.ace":
            raise ValueError("it holds access control lists of NFSv4, which Linux's file systems do not have")
    return found or NO_XATTRS


def _link(link: bytes, kind: str) -> str:
    if kind not in "lh":
        return ""
    text = link.decode("utf-8", "surrogateescape")
    return clean(text) if kind == "h" else text


def clean(path: str) -> str:
    """Return a member's path without "./", "//" and slashes at its ends. Raises ValueError on ".."."""
    if path[:2] == "./":
        path = path[2:]
    path = path.strip("/")
    if path.startswith(".") or "/." in path or "//" in path:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ValueError(f"its member {path!r} leads out of the tree")
        return "/".join(parts)
    return path


def _text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _records(data: bytes) -> dict[str, bytes]:
    found = {}
    pairs: list[bytes] = []  # of a sparse file's map, as PAX 0.0 tells it: two keys, over and over
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        length = decimal(data[position:space])
        key, equals, value = data[space + 1 : position + length - 1].partition(b"=")
        if length <= 0 or not equals or data[position + length - 1 : position + length] != b"\n":
            raise ValueError("an extended header is malformed")
        if key == _PAIR[len(pairs) % 2]:
            pairs.append(value)
        found[key.decode("utf-8", "surrogateescape")] = value
        position += length
    if pairs:
        found["GNU.sparse.map"] = b",".join(pairs)
    return found


def header(entry: Entry) -> bytes:
    """Return the header blocks of a member, PAX records first where ustar's fields do not hold it.

    Behind them stands a sparse file's map, if it is one; then its data follows.
    """
    path = entry.path.encode("utf-8", "surrogateescape") or b"."
    if entry.type == "d":
        path += b"/"
    link = entry.link.encode("utf-8", "surrogateescape")
    pax = {f"{_XATTR}{name}": value for name, value in sorted(entry.xattrs.items())} if entry.xattrs else {}
    prefix, name = _split(path)
    if name is None:
        pax["path"], prefix, name = path, b"", path[:100]
    if len(link) > 100:
        pax["linkpath"] = link
    chart, size = b"", entry.size
    if entry.stretches is not None:
        told, chart = sparse_member.written(entry.size, entry.stretches)
        pax |= told
        size = len(chart) + entry.stored
    numbers = (
        ("uid", entry.uid, 8**7),
        ("gid", entry.gid, 8**7),
        ("size", size, 8**11),
        ("mtime", entry.mtime, 8**11),
    )
    for key, value, limit in numbers:
        if not 0 <= value < limit:
            pax[key] = b"%d" % value
    blocks = b""
    if pax:
        records = b"".join(_record(key.encode("utf-8", "surrogateescape"), value) for key, value in pax.items())
        blocks = _ustar(b"PaxHeaders", b"", b"x", Entry("", "f", mtime=entry.mtime % 8**11), len(records), b"")
        blocks += records + b"\0" * (-len(records) % BLOCK)
        entry = entry._replace(uid=entry.uid % 8**7, gid=entry.gid % 8**7, mtime=entry.mtime % 8**11)
    size = size % 8**11 if entry.type == "f" else 0
    return blocks + _ustar(name, prefix, _FLAGS[entry.type], entry, size, link[:100]) + chart


def _split(path: bytes) -> tuple[bytes, bytes | None]:
    """Split a path into ustar's prefix (155 bytes) and name (100), if it can be."""
    if len(path) <= 100:
        return b"", path
    cut = path.find(b"/", len(path) - 101, len(path) - 1)
    return (path[:cut], path[cut + 1 :]) if 0 < cut <= 155 else (b"", None)


def _ustar(name: bytes, prefix: bytes, flag: bytes, entry: Entry, size: int, link: bytes) -> bytes:  # noqa: PLR0917
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (entry.mode, entry.uid, entry.gid, size, entry.mtime)
    device = b"%07o\0%07o\0" % (entry.major, entry.minor)
    total = _SUM + sum(map(sum, (name, numbers, flag, link, device, prefix)))
    return b"".join(
        (
            name.ljust(100, b"\0"),
            numbers,
            b"%06o\0 " % total,
            flag,
            link.ljust(100, b"\0"),
            _MAGIC,
            b"\0" * 64,  # owners' names: ids alone count
            device,
            prefix.ljust(155, b"\0"),
            b"\0" * 12,
        )
    )


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:  # its own digits count, and may add one
        length += 1
    return b"%d" % length + body


END: Final = b"\0" * (2 * BLOCK)

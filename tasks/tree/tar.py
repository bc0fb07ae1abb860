"""The tar format: members told from headers, and headers made from members (ustar, PAX and GNU's long names).

Headers: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bootsmith.tasks.errors import StageError

BLOCK: Final = 512
MOST: Final = 16 << 20
"""Bytes of an extended header that are read: a file's attributes have a hundredth of it."""
NO_XATTRS: Final[Mapping[str, bytes]] = {}

_TYPES: Final = {48: "f", 0: "f", 55: "f", 49: "h", 50: "l", 51: "c", 52: "b", 53: "d", 54: "p"}
_FLAGS: Final = {"f": b"0", "h": b"1", "l": b"2", "c": b"3", "b": b"4", "d": b"5", "p": b"6"}
_XATTR: Final = "SCHILY.xattr."


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a tar, its path without a leading "./" or "/"; "" is the root directory.

    `type` is "f" file, "d" directory, "l" symlink, "h" hard link (`link` is the target's path), "c" and "b" devices,
    "p" fifo or "s" socket. Names that are not UTF-8 hold surrogates, as `os.fsdecode` makes them. `offset` is where
    the data stands in the tar, in bytes.
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
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: NO_XATTRS)

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
    position, end = 0, len(view)
    defaults: dict[str, bytes] = {}  # PAX global headers
    extended: dict[str, bytes] = {}
    while position + BLOCK <= end:
        header = view[position : position + BLOCK]
        flag = header[156]
        if header[0] == 0 and not header.strip(b"\0"):
            return
        _verify(header, position)
        size = _size(_number(header[124:136]))
        data = position + BLOCK
        if flag in b"xgLK" and size > MOST:
            raise ValueError(f"the header at byte {position} is {size} bytes long")
        if flag in b"xg":
            records = _records(view[data : data + size])
            if flag == ord("x"):
                extended = extended | records
            else:
                defaults = defaults | records
        elif flag in b"LK":  # GNU: the next member's long name, its long link
            extended["path" if flag == ord("L") else "linkpath"] = view[data : data + size].rstrip(b"\0")
        else:
            entry = _entry(header, defaults | extended if defaults else extended, data, size)
            extended = {}
            yield entry
            size = entry.size
        position = data + -(-size // BLOCK) * BLOCK
        if position > end:
            raise ValueError("it ends in the middle of a member")
    raise ValueError("its end is missing")


def _verify(header: bytes, position: int) -> None:
    try:
        said = _number(header[148:156])
    except ValueError:  # not even a number
        said = -1
    if sum(header) - sum(header[148:156]) + 8 * 32 != said:  # taken with its own eight bytes as spaces
        raise ValueError(f"the header at byte {position} has a wrong checksum")


def _entry(header: bytes, pax: Mapping[str, bytes], offset: int, size: int) -> Entry:
    kind = _TYPES.get(header[156])
    if kind is None or any(key.startswith("GNU.sparse.") for key in pax):
        what = "a sparse file; make the tar without --sparse" if kind or header[156] == 83 else "of an unknown kind"
        raise ValueError(f"its member {_text(header[:100])!r} is {what}")
    if "path" in pax:
        path = pax["path"]
    else:
        path = _text(header[:100])
        if header[345] and header[257:263] == b"ustar\0":
            path = _text(header[345:500]) + b"/" + path
    link = pax.get("linkpath") or _text(header[157:257])
    if b"\0" in path or b"\0" in link:
        raise ValueError(f"the name or the link of its member {_text(header[:100])!r} holds a NUL")
    if path.endswith(b"/") and kind == "f":
        kind = "d"  # as tars before POSIX wrote directories
    device = kind in "cb"
    xattrs = NO_XATTRS
    if pax:
        xattrs = {k.removeprefix(_XATTR): v for k, v in pax.items() if k.startswith(_XATTR)} or NO_XATTRS
        size = _size(_decimal(pax["size"])) if "size" in pax else size
    return Entry(
        clean(path.decode("utf-8", "surrogateescape")),
        kind,
        _number(header[100:108]) & 0o7777,
        _owner(_decimal(pax["uid"]) if "uid" in pax else _number(header[108:116])),
        _owner(_decimal(pax["gid"]) if "gid" in pax else _number(header[116:124])),
        size if kind == "f" else 0,
        _time(_decimal(pax["mtime"].partition(b".")[0]) if "mtime" in pax else _number(header[136:148])),
        _link(link, kind),
        _within(_number(header[329:337]), 0, 1 << 12, "major device number") if device else 0,
        _within(_number(header[337:345]), 0, 1 << 20, "minor device number") if device else 0,
        offset if kind == "f" else 0,
        xattrs,
    )


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


def _number(raw: bytes) -> int:
    """Return a header's number: octal digits, or GNU's base 256, which alone may be negative. Raises ValueError."""
    if raw[0] & 0x80:
        return int.from_bytes(bytes([raw[0] << 1 & 0x80 | raw[0] & 0x7F]) + raw[1:], "big", signed=True)
    digits = raw.partition(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):  # int() takes signs and underscores too
        raise ValueError(f"{digits!r} is no octal number")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    """Return an extended header's number. Raises ValueError."""
    if not digits.removeprefix(b"-").isdigit():
        raise ValueError(f"{digits[:40]!r} is no number")
    return int(digits)


def _size(number: int) -> int:
    return _within(number, 0, 1 << 63, "size")


def _owner(number: int) -> int:
    return _within(number, 0, 0xFFFFFFFF, "owner")  # the last one means "none" to chown(2)


def _time(number: int) -> int:
    return _within(number, -(1 << 31), (1 << 34) - (1 << 31), "time that a filesystem can hold")  # ext4's range


def _within(number: int, least: int, limit: int, what: str) -> int:
    if not least <= number < limit:
        raise ValueError(f"{number} is no {what}")
    return number


def _records(data: bytes) -> dict[str, bytes]:
    found = {}
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        length = _decimal(data[position:space])
        key, equals, value = data[space + 1 : position + length - 1].partition(b"=")
        if length <= 0 or not equals:
            raise ValueError("an extended header is malformed")
        found[key.decode("utf-8", "surrogateescape")] = value
        position += length
    return found


def header(entry: Entry) -> bytes:
    """Return the header blocks of a member, PAX records first where ustar's fields do not hold it."""
    path = entry.path.encode("utf-8", "surrogateescape") or b"."
    if entry.type == "d":
        path += b"/"
    link = entry.link.encode("utf-8", "surrogateescape")
    pax = {f"{_XATTR}{name}": value for name, value in sorted(entry.xattrs.items())}
    prefix, name = _split(path)
    if name is None:
        pax["path"], prefix, name = path, b"", path[:100]
    if len(link) > 100:
        pax["linkpath"] = link
    numbers = (
        ("uid", entry.uid, 8**7),
        ("gid", entry.gid, 8**7),
        ("size", entry.size, 8**11),
        ("mtime", entry.mtime, 8**11),
    )
    for key, value, limit in numbers:
        if not 0 <= value < limit:
            pax[key] = b"%d" % value
    blocks = b""
    if pax:
        records = b"".join(_record(key.encode("utf-8", "surrogateescape"), value) for key, value in pax.items())
        blocks = _ustar(b"PaxHeaders", b"", b"x", Entry("", "f", size=len(records), mtime=entry.mtime % 8**11))
        blocks += records + b"\0" * (-len(records) % BLOCK)
    flat = dataclasses.replace(
        entry,
        uid=entry.uid % 8**7,
        gid=entry.gid % 8**7,
        size=entry.size % 8**11 if entry.type == "f" else 0,
        mtime=entry.mtime % 8**11,
    )
    return blocks + _ustar(name, prefix, _FLAGS[entry.type], flat, link[:100])


def _split(path: bytes) -> tuple[bytes, bytes | None]:
    """Split a path into ustar's prefix (155 bytes) and name (100), if it can be."""
    if len(path) <= 100:
        return b"", path
    cut = path.find(b"/", len(path) - 101, len(path) - 1)
    return (path[:cut], path[cut + 1 :]) if 0 < cut <= 155 else (b"", None)


def _ustar(name: bytes, prefix: bytes, flag: bytes, entry: Entry, link: bytes = b"") -> bytes:
    fields = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0" % (entry.mode, entry.uid, entry.gid),
            b"%011o\0%011o\0" % (entry.size, entry.mtime),
            b" " * 8,
            flag,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            b"\0" * 64,  # owners' names: ids alone count
            b"%07o\0%07o\0" % (entry.major, entry.minor),
            prefix.ljust(155, b"\0"),
            b"\0" * 12,
        )
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:  # its own digits count, and may add one
        length += 1
    return b"%d" % length + body


END: Final = b"\0" * (2 * BLOCK)

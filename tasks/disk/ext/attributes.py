"""Extended attributes as ext4 keeps them: behind the inode's own fields, and in a block beside it.

Linux, Documentation/filesystems/ext4/attributes.rst. What makes no sense raises ValueError or struct.error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_MAGIC = 0xEA020000
_INODE = 128  # bytes that every inode has
_HEADER = 32  # of a block
_ENTRY = struct.Struct("<BBHIII")  # length of the name, its prefix, where the value is, its inode, its length, a hash
_PREFIXES: Final = {
    1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.",
    7: "system.",
}  # fmt: skip
_ACLS: Final = (2, 3)
_ACL_SHORT, _ACL_LONG = struct.Struct("<HH"), struct.Struct("<HHI")
_NAMED: Final = (0x02, 0x08)  # ACL_USER, ACL_GROUP: the entries that name somebody
_NOBODY = 0xFFFFFFFF


def read(inode: bytes, block: bytes) -> dict[str, bytes]:
    """Return the attributes of an inode; `block` is the one it points to, b"" where it has none."""
    found: dict[str, bytes] = {}
    if len(inode) > _INODE:
        start = _INODE + struct.unpack_from("<H", inode, _INODE)[0]
        if start + 4 <= len(inode) and struct.unpack_from("<I", inode, start)[0] == _MAGIC:
            found.update(_entries(inode, start + 4, start + 4))
    if block:
        if struct.unpack_from("<I", block, 0)[0] != _MAGIC:
            raise ValueError("their block is something else")
        found.update(_entries(block, _HEADER, 0))
    return found


def _entries(raw: bytes, at: int, values: int) -> Iterator[tuple[str, bytes]]:
    while at + 4 <= len(raw) and struct.unpack_from("<I", raw, at)[0]:
        length, prefix, offset, elsewhere, size, _ = _ENTRY.unpack_from(raw, at)
        name = raw[at + _ENTRY.size : at + _ENTRY.size + length]
        value = raw[values + offset : values + offset + size]
        if prefix not in _PREFIXES or elsewhere or len(value) < size or len(name) < length or b"\0" in name:
            raise ValueError("one makes no sense")
        yield _PREFIXES[prefix] + name.decode("utf-8", "surrogateescape"), _acl(value) if prefix in _ACLS else value
        at += _ENTRY.size + -(-length // 4) * 4


def _acl(stored: bytes) -> bytes:
    """Return an access control list in the form that system calls take: ext4 leaves out what names nobody."""
    if struct.unpack_from("<I", stored, 0)[0] != 1:
        raise ValueError("an access control list of a version unknown")
    out, at = struct.pack("<I", 2), 4
    while at < len(stored):
        tag, rights = _ACL_SHORT.unpack_from(stored, at)
        at += _ACL_SHORT.size
        who = _NOBODY
        if tag in _NAMED:
            who = struct.unpack_from("<I", stored, at)[0]
            at += 4
        out += _ACL_LONG.pack(tag, rights, who)
    return out

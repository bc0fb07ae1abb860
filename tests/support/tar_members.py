"""Tars as a distribution's tools write them, made of what a test says."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EPOCH = 1_755_000_000


def write_tar(path: Path, members: Mapping[str, Any]) -> None:
    """Write a tar as a distribution's tools would: members in the order given."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, what in members.items():
            info = member(data=what) if isinstance(what, bytes) else what
            info.name = name
            info.size = len(info.data)
            tar.addfile(info, io.BytesIO(info.data))


def member(kind: str = "f", data: bytes = b"", **facts: Any) -> Member:
    """Return a tar's member to be; `kind` as in an Entry, `xattrs` by name, other facts as TarInfo has them."""
    kinds = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
             "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}  # fmt: skip
    info = Member()
    info.type = kinds[kind]
    info.data = data
    info.mode = 0o755 if kind == "d" else 0o777 if kind == "l" else 0o644
    info.mtime = EPOCH
    for name, value in facts.pop("xattrs", {}).items():
        info.pax_headers[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    for name, value in facts.items():
        setattr(info, name, value)
    return info


class Member(tarfile.TarInfo):
    """A tar's member with its data."""

    data = b""

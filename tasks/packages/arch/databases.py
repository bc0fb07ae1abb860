"""Arch's databases: what a repository says of its packages. A tar, packed by gzip, of NAME-VERSION/desc for each.

The form of desc is pacman's: `%KEY%` on a line, its values on those below, then an empty one.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError

LARGEST: Final = 64 << 20
"""Bytes of a database, packed: the largest of Arch's has a sixth of it."""
_UNPACKED: Final = 1 << 30
_LARGEST_DESC: Final = 1 << 20

NAME: Final = re.compile(r"[a-z0-9@_+][a-z0-9@._+-]{0,199}")
_VERSION: Final = re.compile(r"[A-Za-z0-9:._+~]{1,100}-[0-9.]{1,20}")
_FILE: Final = re.compile(r"[A-Za-z0-9@_+][A-Za-z0-9@:._+~-]{0,250}\.pkg\.tar(\.[a-z0-9]+)?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SIZE: Final = re.compile(r"[0-9]{1,12}")
_DATE: Final = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A package as its repository lists it: `built` in seconds UTC; `signature` where the database itself has it."""

    repository: str
    name: str
    version: str
    arch: str
    file: str
    size: int
    sha256: str
    built: int
    signature: bytes | None


def read(repository: str, database: Path) -> Iterator[Listed]:
    """Yield the packages of a repository. Raises StageError where it is no database, or one entry is damaged."""
    try:
        with database.open("rb") as packed, tarfile.open(fileobj=_Unpacked(packed), mode="r|") as tar:
            for member in tar:
                if not (member.isfile() and member.name.endswith("/desc")):
                    continue
                file = tar.extractfile(member)
                assert file is not None, "it is a file"
                yield _listed(repository, file.read(_LARGEST_DESC).decode("utf-8", "replace"), member.name)
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError) as error:
        raise StageError(
            f"the database of Arch's repository {repository} is damaged: {error}", "Try again, or another mirror."
        ) from error


def _listed(repository: str, desc: str, where: str) -> Listed:
    fields = dict(re.findall(r"^%([A-Z0-9]+)%\n(.*)$", desc, re.MULTILINE))
    signature = fields.get("PGPSIG")
    for key, form in (
        ("NAME", NAME), ("VERSION", _VERSION), ("FILENAME", _FILE), ("CSIZE", _SIZE), ("SHA256SUM", _SHA256),
        ("BUILDDATE", _DATE), ("ARCH", NAME),
    ):  # fmt: skip
        if not form.fullmatch(fields.get(key, "")):
            raise ValueError(f"{shown(where)} has the {key} {shown(fields.get(key, ''))!r}")
    try:
        signed = None if signature is None else base64.b64decode(signature, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{shown(where)} has a PGPSIG that is none") from error
    return Listed(
        repository,
        fields["NAME"],
        fields["VERSION"],
        fields["ARCH"],
        fields["FILENAME"],
        int(fields["CSIZE"]),
        fields["SHA256SUM"],
        int(fields["BUILDDATE"]),
        signed,
    )


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, as tarfile reads a stream; no more of it than a database can have."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._unpacker = zlib.decompressobj(wbits=31)
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        found = b""
        while len(found) < size and not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._packed.read(1 << 16)
            if not data:
                raise EOFError("it is cut short")
            found += self._unpacker.decompress(data, size - len(found))
        self._given += len(found)
        if self._given > _UNPACKED:
            raise ValueError("it unpacks to more than any has")
        return found

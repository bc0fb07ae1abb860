"""The stages `encrypt/...`: a partition's filesystem in a volume of LUKS, without root and without device mapper.

What the filesystem says is unused and is all zeros stays a hole, as after `fstrim` through the volume: who has the disk
sees which blocks hold something, not what.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import ext_place, unused
from bootsmith.tasks.disk.luks import header
from bootsmith.tasks.disk.luks.aes_xts import UNIT, Cipher
from bootsmith.tasks.errors import StageError

SECRET: Final = "passphrase"  # noqa: S105  its name
"""What the secret is called."""
TOOLS: Final = ("openssl", "dumpe2fs")
LONGEST: Final = 512
"""Bytes of a passphrase that cryptsetup asks for (its DEFAULT_PASSPHRASE_SIZE_MAX)."""
_PIECE: Final = 1 << 20
_LIBRARY: Final = re.compile(r"libcrypto\.so(\.\d+)?")


@dataclass(frozen=True)
class LuksParams(Params):
    """The version of LUKS, and what the volume is called."""

    partition: str
    version: int
    uuid: str
    label: str


def run(ctx: Context) -> None:
    """Encrypt the filesystem that is the input."""
    params = LuksParams.of(ctx)
    passphrase = ctx.secret(SECRET)
    if not 0 < len(passphrase) <= LONGEST or b"\n" in passphrase:
        raise StageError(
            f"the passphrase of {params.partition} cannot be typed: it is empty, longer than {LONGEST} bytes or has "
            "several lines",
            f"Write one line into what disk.partitions.{params.partition}.encrypt.passphrase names.",
        )
    ctx.say("deriving the key")
    library = crypto_library(ctx.tool("openssl"))
    made = header.make(library, params.version, passphrase, params.uuid, params.label)
    sector, before = header.SECTORS[params.version], len(made.header)
    cipher = Cipher(library, made.key, encrypt=True)
    try:
        with ctx.inputs["image"].open("rb") as source, ctx.outputs["image"].open("xb") as target:
            size = os.fstat(source.fileno()).st_size
            target.truncate(before + -(-size // sector) * sector)
            _write_header(target.fileno(), made.header)
            for at, data in _pieces(ctx, source.fileno(), size, sector):
                sparse.write(target.fileno(), cipher.sectors(data, sector, at // UNIT), before + at)
    finally:
        cipher.close()


def crypto_library(program: Path) -> Path:
    """Return the libcrypto that the host's openssl runs with: the one its identity covers. Raises StageError."""
    from bootsmith.tasks.tools import shared_libraries

    for found in shared_libraries.linked(program):
        if _LIBRARY.fullmatch(Path(found).name):
            return Path(found)
    raise StageError(f"{program} is not linked with libcrypto", "Install openssl as your distribution packages it.")


def _write_header(target: int, data: bytes) -> None:
    """Write what of a header is no zeros: most of it is room."""
    for at in range(0, len(data), 4096):
        piece = data[at : at + 4096]
        if any(piece):
            sparse.write(target, piece, at)


def _pieces(ctx: Context, source: int, size: int, sector: int) -> Iterator[tuple[int, bytes]]:
    """Yield what is to be encrypted, in whole sectors; never by what is a hole, but by what is unused and zeros."""

    def read(offset: int, length: int) -> bytes:
        return os.pread(source, length, offset) if length > 0 else b""

    dumped = partial(ext_place.dumped, ctx, ctx.inputs["image"])
    free = [
        (-(-first // sector) * sector, end // sector * sector) for first, end in unused.stretches(read, size, dumped)
    ]
    at, zeros = 0, bytes(sector)
    for start, stop in [*(each for each in free if each[0] < each[1]), (size, size)]:
        for place in range(at, start, _PIECE):
            data = read(place, min(_PIECE, start - place))
            yield place, data + bytes(-len(data) % sector)
        for place in _sectors(source, start, stop, sector):
            data = read(place, sector)
            if data != zeros:
                yield place, data
        at = stop


def _sectors(source: int, start: int, stop: int, sector: int) -> Iterator[int]:
    """Yield the sectors between two places that may hold something."""
    for first, end in sparse.extents(source, start, stop) if start < stop else ():
        yield from range(max(start, first // sector * sector), end, sector)

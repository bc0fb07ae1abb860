"""The stages `populate/...` of hash trees: of a partition that is packed already, block by block, and its root hash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.verity import form
from bootsmith.tasks.disk.verity.form import BLOCK, Form
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 1 << 20


@dataclass(frozen=True)
class HashTreeParams(Params):
    """What the tree is called, and the salt of all its digests, in hexadecimal."""

    uuid: str
    salt: str


def run(ctx: Context) -> None:
    """Write the tree of an image, say how large it is, and what its root hash is: as text, in hexadecimal."""
    params = HashTreeParams.of(ctx)
    root = make(ctx.inputs["image"], ctx.outputs["image"], params.uuid, bytes.fromhex(params.salt))
    ctx.outputs["size"].write_text(json.dumps({"size": ctx.outputs["image"].stat().st_size}) + "\n")
    ctx.outputs["roothash"].write_text(f"{root}\n")


def make(data: Path, target: Path, uuid: str, salt: bytes) -> str:
    """Write the tree of a file of whole blocks into a new one; return its root hash. Raises StageError."""
    size = data.stat().st_size
    if not size or size % BLOCK:
        raise StageError(f"{data}: {size} bytes are no whole number of blocks of {BLOCK}, which dm-verity hashes")
    described = Form(uuid, salt, size // BLOCK)
    with data.open("rb") as source:
        level = b"".join(_digests(source, salt))
    levels = []
    for _, count in described.levels:
        level = level.ljust(count * BLOCK, b"\0")
        levels.append(level)
        level = form.digests(level, salt)
    with target.open("xb") as out:
        out.write(form.encode(described))
        out.writelines(reversed(levels))
    return level.hex()


def _digests(source: BinaryIO, salt: bytes) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield form.digests(piece, salt)

"""A kernel of the recipe's own: told by its content, unpacked where it is packed, refused where it could not start."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.boot import multiboot
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import boot_formats, init, linux_image, unpacking
from bootsmith.tasks.tree.installed_kernel import HEAD, facts, word
from bootsmith.tasks.tree.unpacking import PIECE

if TYPE_CHECKING:
    from pathlib import Path

UNPACKED: Final = ("gzip", "zstd")
"""How a kernel of one's own may be packed as a whole."""
LARGEST: Final = 512 << 20
"""Bytes of a kernel, unpacked: ten times what the largest have."""


@dataclass(frozen=True)
class KernelParams(Params):
    """By what the kernel is to be started, on what machine, and the version told of one that tells none.

    `inits` is what it is told to start, see `init.check`.
    """

    protocol: str
    arch: str
    version: str
    inits: tuple[str, ...]


def run(ctx: Context) -> None:
    """Check and copy the kernel; write down its version and whose it is. Raises StageError."""
    from bootsmith.tasks.tree.merged import tree_below

    file, params = ctx.inputs["file"], KernelParams.of(ctx)
    data = _unpacked(file)
    kind = boot_formats.kernel(data)
    why = refusal(data, params.protocol, params.arch, len(data))
    if why:
        raise StageError(f"{file} cannot be the kernel: it {why}", f"Let {ctx.hints['key']} name another file.")
    version = word(linux_image.version(data)) if kind == "bzImage" else ""
    ctx.say(f"kernel {version or kind}")
    ctx.outputs["kernel"].write_bytes(data)
    tree = tree_below(ctx) if "0.index" in ctx.inputs else None
    if tree is not None:
        init.check(ctx, tree, params.inits)
    known = facts(tree, version or params.version)
    ctx.outputs["facts"].write_text(json.dumps(known, sort_keys=True) + "\n")


def refusal(data: bytes, protocol: str, arch: str, size: int | None = None) -> str | None:
    """Return why no loader could start a kernel, None where one could; `size` is how long all of it is, if known."""
    judge = linux_image.refusal if protocol == "linux" else partial(multiboot.refusal, protocol)
    return judge(data, arch, size)


def early_refusal(head: bytes, protocol: str, arch: str, size: int) -> str | None:
    """Return the same of a file's first `HEAD` bytes, where they tell: what is packed otherwise, the stage unpacks."""
    match boot_formats.packing(head):
        case "gzip":
            try:
                head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
            except zlib.error:
                return None
            return refusal(head, protocol, arch)
        case "zstd":
            return None
    return refusal(head, protocol, arch, size)


def _unpacked(file: Path) -> bytes:
    """Return a kernel's bytes, unpacked where they are packed as a whole."""
    with file.open("rb") as opened:
        packing = boot_formats.packing(opened.read(16))
        opened.seek(0)
        pieces = unpacking.unpacked(opened, packing) if packing in UNPACKED else iter(lambda: opened.read(PIECE), b"")
        found = bytearray()
        try:
            for piece in pieces:
                found += piece
                if len(found) > LARGEST:
                    does = "unpacks to" if packing in UNPACKED else "has"
                    what = f"{file} {does} more than {LARGEST >> 20} MiB, which no kernel does"
                    raise StageError(what, "Name another file.")
        except unpacking.Damaged as error:
            raise StageError(f"{file} is damaged: {error}", "Copy or build it again.") from error
    return bytes(found)

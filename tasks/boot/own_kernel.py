"""A kernel of the recipe's own: told by its content, unpacked where it is packed, refused where it could not start."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.boot import multiboot
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tree import boot_formats

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = 64 << 10
"""Bytes within which a kernel says what it is, packed by gzip or not."""
LARGEST: Final = 512 << 20
"""Bytes of a kernel, unpacked: ten times what the largest have."""


@dataclass(frozen=True)
class KernelParams(Params):
    """By what the kernel is to be started, on what machine, and the version told of one that tells none."""

    protocol: str
    arch: str
    version: str


def run(ctx: Context) -> None:
    """Check and copy the kernel; write down its version and whose it is. Raises StageError."""
    from bootsmith.tasks.tree.installed_kernel import facts, word
    from bootsmith.tasks.tree.merged import tree_below

    file, params = ctx.inputs["file"], KernelParams.of(ctx)
    data = _unpacked(ctx, file)
    kind = boot_formats.kernel(data)
    why = refusal(data, params.protocol, params.arch)
    if why:
        raise StageError(f"{file} cannot be the kernel: it {why}", f"Let {ctx.hints['key']} name another file.")
    version = word(boot_formats.linux_version(data)) if kind == "bzImage" else ""
    ctx.say(f"kernel {version or kind}")
    ctx.outputs["kernel"].write_bytes(data)
    tree = tree_below(ctx) if "0.index" in ctx.inputs else None
    known = facts(tree, version or params.version)
    ctx.outputs["facts"].write_text(json.dumps(known, sort_keys=True) + "\n")


def refusal(data: bytes, protocol: str, arch: str) -> str | None:
    """Return why no loader could start a kernel, None where one could."""
    kind = boot_formats.kernel(data)
    return _no_linux(data, arch, kind) if protocol == "linux" else multiboot.refusal(data, protocol, arch, kind)


def early_refusal(head: bytes, protocol: str, arch: str) -> str | None:
    """Return the same of a kernel's first `HEAD` bytes, where they tell: what zstd packed is only known unpacked."""
    match boot_formats.packing(head):
        case "gzip":
            try:
                head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
            except zlib.error:
                return None
        case "zstd":
            return None
    return refusal(head, protocol, arch)


def _no_linux(data: bytes, arch: str, kind: str) -> str | None:
    """Return why no loader could start this as Linux, None where it could."""
    if kind != "bzImage":
        packed = boot_formats.packing(data)
        what = f"is a Linux that no loader takes ({kind})" if kind else "is no Linux"
        what = f"is packed by {packed}" if packed else what
        return f"{what}: what is needed is a bzImage, as make bzImage or a distribution's /boot/vmlinuz-* has it"
    if arch == "i386" and boot_formats.needs_64_bits(data):
        return "is a Linux for 64-bit machines, and the recipe says arch: i386"
    return None


def _unpacked(ctx: Context, file: Path) -> bytes:
    """Return a kernel's bytes, unpacked where they are packed as a whole."""
    data = file.read_bytes()
    match boot_formats.packing(data):
        case "gzip":
            return _gunzip(file, data)
        case "zstd":
            try:
                return ctx.run("zstd", "-dcq", file).stdout
            except ToolFailed as error:
                raise StageError(f"{file} is damaged: {error}", "Copy or build it again.") from error
    return data


def _gunzip(file: Path, data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, LARGEST)
    except zlib.error as error:
        raise StageError(f"{file} is damaged: gzip: {error}", "Copy or build it again.") from error
    if unpacker.unconsumed_tail:
        raise StageError(f"{file} unpacks to more than {LARGEST >> 20} MiB, which no kernel does", "Name another file.")
    if not unpacker.eof:
        raise StageError(f"{file} is damaged: gzip: it is cut short", "Copy or build it again.")
    return found

"""The raw disk packed by gzip, xz or zstd, with the map of the blocks that matter beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import ext_place, splice, unused
from bootsmith.tasks.disk.formats import beside, bmap
from bootsmith.tasks.disk.superblock import Read
from bootsmith.tasks.tree.packing import packing


@dataclass(frozen=True)
class PackedParams(Params):
    """How the disk is packed: a name in `packing.PACK`, or "none" for a copy of it."""

    compress: str


def run(ctx: Context) -> None:
    """Pack a stage's disk, and map it."""
    disk, how = ctx.inputs["disk"], PackedParams.of(ctx).compress
    size = disk.stat().st_size
    if how == "none":
        splice.copy_file(disk, ctx.outputs["image"])
        return
    with disk.open("rb") as opened:
        free = unused.stretches(_reader(opened.fileno(), size), size, partial(ext_place.dumped, ctx, disk))
    mapped = beside.begun(partial(_mapped, disk, size, free))  # SHA-256 of all that matters, while another packs it
    ctx.say(f"packing {size} bytes by {how}")
    sized = (f"--stream-size={size}",) if how == "zstd" else ()
    ctx.run(*packing(how), *sized, input=disk, stdout=ctx.outputs["image"])
    ctx.outputs["map"].write_text(mapped())


def _mapped(disk: Path, size: int, free: list[unused.Stretch]) -> str:
    with disk.open("rb") as opened:
        return bmap.text(opened.fileno(), size, free)


def _reader(disk: int, size: int) -> Read:
    def read(offset: int, length: int) -> bytes:
        return os.pread(disk, length, offset) if 0 <= offset < size and length > 0 else b""

    return read

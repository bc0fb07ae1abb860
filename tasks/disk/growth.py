"""The stages `convert/grow-...`: the disk as a larger one has it, its last partition and ext filesystem grown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bootsmith.cache.display import human
from bootsmith.cache.files import sparse
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import ext_part, ext_place, growing, splice, superblock
from bootsmith.tasks.errors import StageError


@dataclass(frozen=True)
class GrowthParams(Params):
    """How large the disk becomes, in bytes; when that is, in seconds."""

    size: int
    epoch: int


def run(ctx: Context) -> None:
    """Make the larger disk."""
    disk, target, params = ctx.inputs["disk"], ctx.outputs["grown"], GrowthParams.of(ctx)
    old = disk.stat().st_size
    if params.size < old:
        raise StageError(
            f"an output is to hold a disk of {human(params.size)}, and the disk has {human(old)}",
            "Raise that output's size, or leave it out.",
        )
    splice.copy_file(disk, target)
    with target.open("r+b") as file:
        read = partial(_read, file.fileno())
        fitted = growing.fit(read, old, params.size, grow=True)
        _, start, before, after = fitted.grown or (0, 0, old, params.size)
        is_whole = fitted.table == "none"  # a filesystem without a table around it
        found = superblock.probe_any(lambda at, length: read(start + at, length)) if fitted.grown or is_whole else None
        os.truncate(file.fileno(), params.size)
        for each in fitted.patches:
            sparse.write(file.fileno(), each.data, each.at)
    if found and found.kind.startswith("ext"):
        ext_part.work_on(target, start, before, after, ctx.work / "part", partial(_grow, ctx, after, params.epoch))
    elif found:
        ctx.tell(f"what is in the last partition ({found.kind}) is as large as it was: it is grown from within")


def _grow(ctx: Context, size: int, epoch: int, part: Path) -> None:
    env, where = {"E2FSPROGS_FAKE_TIME": str(epoch)}, ext_place.place(ctx, part)
    ctx.run("resize2fs", "-f", where, f"{size >> 10}K", env=env)
    ctx.run("e2fsck", "-f", "-n", where, env=env)


def _read(file: int, at: int, length: int) -> bytes:
    return os.pread(file, length, at) if at >= 0 and length > 0 else b""

"""The stage `assemble`: the raw disk, from the table and the partitions spliced in at their places."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bootsmith.cache.digest.index import CHUNK, Index, index_of
from bootsmith.cache.files import sparse
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import bootcode, splice
from bootsmith.tasks.errors import StageError


@dataclass(frozen=True)
class DiskParams(Params):
    """The partitions that hold a filesystem, in the recipe's order: their images are inputs."""

    partitions: tuple[str, ...]


def run(ctx: Context) -> None:
    """Assemble the disk: out of the previous one where there is one, writing only what differs."""
    disk = ctx.outputs["disk"]
    layout: dict[str, Any] = json.loads(ctx.inputs["layout"].read_bytes())
    frame, parts = _frame(ctx, layout), _parts(ctx, layout["partitions"])
    wanted = _wanted(ctx, frame, parts)
    if ctx.previous is None:
        splice.copy_file(frame, disk)
        with disk.open("r+b") as target:
            for part in parts:
                with part.path.open("rb") as source:
                    splice.copy(source.fileno(), 0, target.fileno(), part.start, part.size)
    else:
        with ctx.previous.open("r+b") as target:
            if wanted is None:
                _patch(target.fileno(), frame, parts)
            else:
                _become(target.fileno(), frame, parts, wanted, ctx.previous_index())
        ctx.previous.rename(disk)
    if wanted is not None:
        ctx.claim("disk", wanted)


def _frame(ctx: Context, layout: dict[str, Any]) -> Path:
    """Return the disk without its filesystems: the table, with the boot code where a loader has some."""
    table = ctx.inputs["table"]
    if "code" not in ctx.inputs:
        return table
    frame = ctx.work / "frame.img"
    splice.copy_file(table, frame)
    with frame.open("r+b") as file:
        for at, data in bootcode.placed(bootcode.read(ctx.inputs), layout):
            sparse.write(file.fileno(), data, at)
    return frame


class _Part(NamedTuple):
    """A partition's image, the input that it is, and where it stands in the disk."""

    path: Path
    role: str
    start: int
    size: int


def _parts(ctx: Context, rows: list[dict[str, Any]]) -> list[_Part]:
    """Return the partitions' images in the disk's order."""
    parts = []
    for row in sorted(rows, key=lambda row: row["start"]):
        role = f"partition.{row['name']}"
        path = ctx.inputs.get(role)
        if path is None:
            continue  # without a filesystem
        size = path.stat().st_size
        if size > row["size"]:
            raise StageError(f"{path} is larger than its partition {row['name']}", "Set its size, or let it be auto.")
        parts.append(_Part(path, role, row["start"], size))
    return parts


def _wanted(ctx: Context, frame: Path, parts: list[_Part]) -> Index | None:
    """Return what the disk is to hold, chunk by chunk; None where partitions do not begin and end with a chunk."""
    with frame.open("rb") as file:
        found = index_of(file.fileno())
    for part in parts:
        if part.start % CHUNK or part.size % CHUNK:
            return None
        found = found.patched(ctx.index(part.role).digests, part.start)
    return found


def _become(disk: int, frame: Path, parts: list[_Part], wanted: Index, present: Index) -> None:
    """Bring a disk, which holds what `present` says, to what it is to hold, where that differs."""
    os.truncate(disk, wanted.size)
    with ExitStack() as stack:
        around = stack.enter_context(frame.open("rb")).fileno()
        sources = [(part, stack.enter_context(part.path.open("rb")).fileno()) for part in parts]
        for chunk in wanted.differs(present):
            source, target_at = around, 0
            for part, file in sources:
                if part.start <= chunk.start < part.start + part.size:
                    source, target_at = file, part.start
            start = chunk.start - target_at
            splice.make_equal(source, disk, target_at=target_at, start=start, end=start + chunk.size)


def _patch(disk: int, frame: Path, parts: list[_Part]) -> None:
    size = frame.stat().st_size
    os.truncate(disk, size)
    at = 0
    with frame.open("rb") as source:
        for part in parts:
            splice.make_equal(source.fileno(), disk, start=at, end=part.start)  # what lies between partitions
            with part.path.open("rb") as image:
                splice.make_equal(image.fileno(), disk, target_at=part.start)
            at = part.start + part.size
        splice.make_equal(source.fileno(), disk, start=at, end=size)

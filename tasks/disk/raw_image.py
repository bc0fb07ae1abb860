"""The stage `assemble`: the raw disk, from the table and the partitions spliced in at their places."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    if ctx.previous is None:
        splice.copy_file(frame, disk)
        with disk.open("r+b") as target:
            for path, start in parts:
                with path.open("rb") as source:
                    splice.copy(source.fileno(), 0, target.fileno(), start, os.fstat(source.fileno()).st_size)
        return
    with ctx.previous.open("r+b") as target:
        _patch(target.fileno(), frame, parts)
    ctx.previous.rename(disk)


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


def _parts(ctx: Context, rows: list[dict[str, Any]]) -> list[tuple[Path, int]]:
    """Return the partitions' images and where they start, in the disk's order."""
    parts = []
    for row in sorted(rows, key=lambda row: row["start"]):
        path = ctx.inputs.get(f"partition.{row['name']}")
        if path is None:
            continue  # without a filesystem
        if path.stat().st_size > row["size"]:
            raise StageError(f"{path} is larger than its partition {row['name']}", "Set its size, or let it be auto.")
        parts.append((path, row["start"]))
    return parts


def _patch(disk: int, frame: Path, parts: list[tuple[Path, int]]) -> None:
    size = frame.stat().st_size
    os.truncate(disk, size)
    at = 0
    with frame.open("rb") as source:
        for path, start in [*parts, (None, size)]:
            splice.make_equal(source.fileno(), disk, start=at, end=start)  # what lies between partitions
            at = start
            if path is not None:
                with path.open("rb") as part:
                    splice.make_equal(part.fileno(), disk, target_at=start)
                    at += os.fstat(part.fileno()).st_size

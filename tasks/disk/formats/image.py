"""An image of another format, as a stage makes it of the raw disk: its parameters, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats.blocks import Report
from bootsmith.tasks.disk.formats.origin import Origin

Write: TypeAlias = Callable[[Path, Path, str, Origin, Report], None]
"""Makes an image of a raw disk: where that is, where the image is to be, the subformat, and what it has to name."""


@dataclass(frozen=True)
class ImageParams(Params):
    """Which form of the format; what the recipe adds to the identifiers; its date."""

    subformat: str
    seed: str
    epoch: int


def make(ctx: Context, write: Write) -> None:
    """Make the image of a stage's disk."""
    disk, params = ctx.inputs["disk"], ImageParams.of(ctx)
    write(disk, ctx.outputs["image"], params.subformat, origin(disk, params), reporting(disk, ctx.say))


def origin(disk: Path, params: ImageParams) -> Origin:
    """Return what the identifiers of a disk's image follow from."""
    return Origin.of(disk, params.seed, params.epoch)


def reporting(disk: Path, say: Callable[[str], None]) -> Report:
    """Return what says how much of a disk is done, each percent once."""
    size, told = max(1, disk.stat().st_size), -1

    def report(done: int) -> None:
        nonlocal told
        if (percent := 100 * done // size) > told:
            told = percent
            say(f"{percent}% of {size} bytes")

    return report

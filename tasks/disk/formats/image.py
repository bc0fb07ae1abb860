"""An image of another format, as a stage makes it of the raw disk: what a format is, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import blocks
from bootsmith.tasks.disk.formats.blocks import RawDisk, Report
from bootsmith.tasks.disk.formats.origin import Origin
from bootsmith.tasks.errors import StageError

SECTOR = 512
Write: TypeAlias = Callable[[RawDisk, int, str, Origin], None]
"""Writes an image into an open file: of which disk, in which form, and what it has to name, known once all is read."""


@dataclass(frozen=True)
class ImageParams(Params):
    """Which form of the format; what the recipe adds to the identifiers; its date."""

    subformat: str
    seed: str
    epoch: int


@dataclass(frozen=True)
class Format:
    """A format: what it is called, the largest disk that it holds in words and in bytes, what else would do."""

    name: str
    most: str
    largest: int
    write: Write
    instead: str = ""

    def check(self, size: int) -> None:
        """Refuse a disk that an image of this format cannot hold. Raises StageError."""
        if size > self.largest or size % SECTOR:
            instead = f", or take {self.instead}" if self.instead else ""
            raise StageError(
                f"a {self.name} holds {self.most}, in whole sectors of {SECTOR} bytes; the disk has {size} bytes",
                f"Make disk.size a whole number of sectors that fits{instead}.",
            )


def make(ctx: Context, form: Format) -> None:
    """Make the image of a stage's disk."""
    disk, params = ctx.inputs["disk"], ImageParams.of(ctx)
    write(form, disk, ctx.outputs["image"], params, reporting(disk, ctx.say))


def write(form: Format, disk: Path, target: Path, params: ImageParams, report: Report) -> None:
    """Write a disk as an image, which is a new file. Raises StageError."""
    form.check(blocks.length(disk))
    with RawDisk.opened(disk, report) as source, target.open("xb") as made:
        form.write(source, made.fileno(), params.subformat, Origin(source.content, params.seed, params.epoch))


def origin(disk: Path, params: ImageParams) -> Origin:
    """Return what the identifiers of a disk's image follow from, where another program reads it: it is read beside."""
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

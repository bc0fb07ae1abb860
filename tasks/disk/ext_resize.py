"""An ext filesystem of people unknown made larger or smaller, in a file: by its own tools, which see nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bootsmith.tasks.disk import ext_part
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tools import host, readers
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.tools.environment import ENVIRONMENT

_TOOLS: Final = ("e2fsck", "resize2fs")
_MENDED: Final = 1
"""e2fsck's exit status after it has put right what needs no decision."""
_MEMORY: Final = 4 << 30
_SECONDS: Final = 3600
_BLOCK_AT: Final = 1024 + 0x18  # in an ext: how large a block is (ext4/super.rst)
_LEAST = re.compile(rb"minimum size of the filesystem: (\d+)")
_ENV: Final = {**ENVIRONMENT, "E2FSPROGS_LIBMAGIC_SUPPRESS": "1"}


def check_tools() -> None:
    """Raise ToolMissing where what resizes it is missing: before anything is written."""
    for name in _TOOLS:
        host.find(name)


def resize(disk: Path, start: int, old: int, new: int, part: Path) -> None:
    """Make the filesystem that begins at byte `start` of a disk's file fill `new` bytes; it was within `old` ones.

    Raises StageError, with what it needs where that is more.
    """
    ext_part.work_on(disk, start, old, new, part, lambda own: _resize(own, new))


def _resize(part: Path, size: int) -> None:
    with part.open("rb") as file:
        block = 1024 << min(6, int.from_bytes(os.pread(file.fileno(), 4, _BLOCK_AT), "little"))
    _check(part, "-p")
    least = _LEAST.search(_run(part, "resize2fs", ("-P",)))
    if least and int(least[1]) * block > size:
        raise TooSmall(int(least[1]) * block)
    _run(part, "resize2fs", ("-f",), f"{size >> 10}K")
    _check(part, "-n")


class TooSmall(StageError):
    """What a filesystem holds needs more; `least` is how many bytes, as its own tool reckons."""

    def __init__(self, least: int) -> None:
        super().__init__(f"what its filesystem holds needs {human(least)}")
        self.least = least


def _check(file: Path, how: str) -> None:
    _run(file, "e2fsck", ("-f", how), good=_MENDED if how == "-p" else 0)


def _run(file: Path, name: str, options: tuple[str, ...], *last: str, good: int = 0) -> bytes:
    bounds = Bounds(_SECONDS, _MEMORY, file.stat().st_size)
    try:
        with file.open("r+b") as opened:  # known by number: there /proc stays, for resize2fs asks it what is mounted
            done = readers.look(
                host.find(name), lambda image: [*options, image, *last],
                Shown(opened.fileno(), writable=True), env=_ENV, bounds=bounds,
            )  # fmt: skip
    except ToolFailed as error:
        raise StageError(f"{name} could not work on its filesystem", error.hint) from error
    if done.status > good:
        said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        what = said[-1] if said else f"status {done.status}"
        raise StageError(
            f"{name} could not work on its filesystem: {what}",
            "It is damaged: `e2fsck -f` mends it where you trust it. The image is as it was.",
        )
    return done.stdout

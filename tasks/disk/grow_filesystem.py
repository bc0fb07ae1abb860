"""A filesystem grown where it is, on a disk or in a file, to what its partition has become: ext, by its own tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.files import temporary
from bootsmith.tasks.disk import ext_resize, superblock
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

_TOOLS: Final = ("e2fsck", "resize2fs")
_MENDED: Final = 1
"""e2fsck's exit status after it has put right what it found."""


def kind(read: Callable[[int, int], bytes], start: int) -> str:
    """Return what filesystem a partition holds, where it is one that is known."""
    found = superblock.probe(lambda offset, length: read(start + offset, length))
    return found.kind if found else ""


def check_tools() -> None:
    """Raise ToolMissing where what grows it is missing: before anything is written."""
    for name in _TOOLS:
        host.find(name)


def grow(disk: Path, start: int, old: int, size: int) -> None:
    """Grow the ext filesystem that begins at byte `start` of a disk from `old` to `size` bytes. Raises StageError."""
    if disk.is_file():
        with temporary.folder() as folder:
            ext_resize.resize(disk, start, old, size, Path(folder, "part"))
        return
    place = f"{disk}?offset={start}"
    _run(disk, "e2fsck", "-f", "-y", place)
    _run(disk, "resize2fs", "-f", place, f"{size >> 10}K")
    _run(disk, "e2fsck", "-f", "-n", place)


def _run(disk: Path, name: str, *words: str) -> None:
    env = {**ENVIRONMENT, "E2FSPROGS_LIBMAGIC_SUPPRESS": "1"}
    try:
        done = process.run([host.find(name), *words], env=env, cwd=Path(os.sep), check=False)
    except ToolFailed as error:
        raise StageError(f"{name} could not grow the filesystem on {disk}", error.hint) from error
    if done.status > (_MENDED if "-y" in words else 0):
        said = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
        raise StageError(
            f"{name} could not grow the filesystem on {disk}: {said[-1] if said else f'status {done.status}'}",
            "The image is there and was read back; the filesystem can be grown once it runs.",
        )

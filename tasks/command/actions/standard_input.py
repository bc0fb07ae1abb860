"""Standard input as a file: for build-syslinux-bios - and build-efistub -."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from bootsmith.tasks.errors import UsageError

NAME: Final = "standard-input"
_PIECE: Final = 1 << 20


def kept(folder: Path, *, asked: bool) -> Path:
    """Return the file that holds what came by standard input, below `folder`, read at the first call.

    The same bytes have the same file; it stays, as what is made of it does. Raises UsageError where nothing comes, or
    nobody `asked` for a build.
    """
    if not asked:
        raise UsageError("-: standard input is read by a build alone", "Name a file.")
    if folder not in _kept:
        _kept[folder] = _read(folder)
    return _kept[folder]


_kept: dict[Path, Path] = {}


def _read(folder: Path) -> Path:
    import hashlib

    from bootsmith.cache.files.temporary import temporary

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("-: standard input is a terminal", "Pipe a tar into it: podman export NAME | ... -")
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with temporary(folder) as (descriptor, draft):
        with open(descriptor, "wb", closefd=False) as file:
            while data := sys.stdin.buffer.read(_PIECE):
                digest.update(data)
                file.write(data)
        target = folder / f"{NAME}-{digest.hexdigest()[:16]}" / NAME
        target.parent.mkdir(exist_ok=True)
        draft.rename(target)
    if not target.stat().st_size:
        raise UsageError("-: nothing came by standard input", "Pipe a tar into it: podman export NAME | ... -")
    return target

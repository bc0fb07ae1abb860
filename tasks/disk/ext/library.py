"""Where the host's libext2fs is."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.errors import StageError


def library(program: Path) -> Path:
    """Return the libext2fs that a mke2fs runs with: the one its identity covers. Raises StageError."""
    from bootsmith.tasks.tools import shared_libraries

    for found in shared_libraries.linked(program):
        if Path(found).name.startswith("libext2fs.so."):
            return Path(found)
    raise StageError(f"{program} is not linked with libext2fs", "Install e2fsprogs as your distribution packages it.")

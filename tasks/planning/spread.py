"""A folder that holds the builds, as inputs of a stage: all that is in it, but for them.

A stage's input is a whole folder; one that holds what the build writes would change while it is built. Its names are
told one by one instead, with what no fingerprint of a single file tells. Which these are is looked up at planning.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError


class Spread(NamedTuple):
    """By their paths from the folder's top: what is in it, the modes of files and of opened folders, links' targets."""

    paths: dict[str, Path]
    modes: dict[str, int]
    links: dict[str, str]


def holds(folder: Path, builds: Path) -> bool:
    """Tell whether the builds lie below a folder."""
    top, inner = os.path.realpath(folder), os.path.realpath(builds)
    return inner.startswith(f"{top.rstrip('/')}/")


def spread(folder: Path, builds: Path) -> Spread:
    """Return what is in a folder that holds the builds. Raises StageError for what cannot be looked at."""
    found = Spread({}, {}, {})
    steps = os.path.relpath(os.path.realpath(builds), os.path.realpath(folder)).split("/")
    at, inside = folder, ""
    try:
        for number, step in enumerate(steps):
            for entry in os.scandir(at) if at.is_dir() else ():
                if entry.name != step:
                    _add(found, entry, inside + entry.name)
            at, inside = at / step, f"{inside}{step}/"
            if number < len(steps) - 1 and at.is_dir():
                found.modes[inside.rstrip("/")] = stat.S_IMODE(at.stat().st_mode)
    except OSError as error:
        raise StageError(f"{shown(error.filename)} cannot be read: {error.strerror}", "Let it be readable.") from error
    return found


def _add(found: Spread, entry: os.DirEntry[str], inside: str) -> None:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        found.links[inside] = os.readlink(entry.path)  # noqa: PTH115  any bytes, as they are
    elif stat.S_ISREG(status.st_mode):
        found.paths[inside] = Path(entry.path)
        found.modes[inside] = stat.S_IMODE(status.st_mode)
    elif not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
        found.paths[inside] = Path(entry.path)

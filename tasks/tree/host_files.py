"""A directory of the host on its way into a layer: what is in it, each by a path that a layer may hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.cache.files.walk import LONGEST, walk
from bootsmith.tasks.errors import StageError


class HostFile(NamedTuple):
    """`path` is from the directory's top, `file` what it is opened by, `status` that of the name itself."""

    path: str
    file: str
    status: os.stat_result


def below(top: Path, excluded: Callable[[str], bool] | None = None, closed: Collection[str] = ()) -> Iterator[HostFile]:
    """Yield what is in a directory, in the order in which a layer has it: of several names the first is the file.

    Folders that are `closed`, "" the top, are not looked into. Raises StageError for a path that is longer than a
    program could name.
    """
    left_out = None if excluded is None else lambda inside: excluded(os.fsdecode(inside))
    room, above = LONGEST - len(os.fsencode(top)) - 1, str(top)
    shut = (lambda inside: os.fsdecode(inside) in closed) if closed else None
    for _, inside, _, status in walk(top, left_out, closed=shut):
        path = os.fsdecode(inside)
        if len(inside) > room:
            raise StageError(
                f"{shown(top / path)} has a path of more than the {LONGEST} bytes that Linux takes",
                "Remove it, or exclude it.",
            )
        yield HostFile(path, f"{above}/{path}", status)


@contextmanager
def steady(top: Path) -> Iterator[None]:
    """Tell in words of a file that goes away while a directory is packed. Raises StageError."""
    try:
        yield
    except FileNotFoundError as error:
        raise StageError(
            f"{shown(str(error.filename))} went away while {shown(top)} was packed", "Run the same command again."
        ) from error

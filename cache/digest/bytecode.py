"""Compiled code older than its source: Python would run it all the same.

Python takes a compiled file for current when the source's size and its time in whole seconds are those it was compiled
from. A second edit within that second, to as many bytes, is not seen: the key would name the new source and the old
code would run.
"""

from __future__ import annotations

import marshal
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from bootsmith.cache.errors import CacheError

HEADER = 16  # bytes: magic, flags, time and size of the source


def discard_stale(sources: Mapping[str, Path]) -> list[str]:
    """Remove what is compiled from another source than the one there is; return the modules it was removed for.

    `sources` maps a module's name to its source. Only a compiled file not younger than the last change of its source is
    looked into. Raises CacheError where it cannot be removed.
    """
    return [name for name, source in sources.items() if not _is_current(source)]


def _would_run(compiled: bytes, source: os.stat_result) -> bool:
    """Tell whether Python takes a compiled file for current: by time and size, unless it was told otherwise."""
    flags = compiled[4:8]
    noted = struct.pack("<II", int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    return flags != bytes(4) or compiled[8:HEADER] == noted


def _is_current(source: Path) -> bool:
    compiled = Path(cache_from_source(str(source)))
    try:
        if compiled.stat().st_mtime_ns > source.stat().st_ctime_ns:
            return True
        data = compiled.read_bytes()
        text = source.read_bytes()
        if not _would_run(data, source.stat()):
            return True
    except OSError:
        return True  # nothing compiled: nothing stale
    try:
        same = bool(marshal.loads(data[HEADER:]) == compile(text, str(source), "exec", dont_inherit=True))  # noqa: S302  # as Python would
    except (EOFError, TypeError, ValueError, SyntaxError):
        same = False
    if same:
        with suppress(OSError):  # a folder that is not ours to write: looked into again next time
            os.utime(compiled)
    else:
        try:
            compiled.unlink()
        except OSError as error:
            raise CacheError(
                f"{compiled} was compiled from another {source.name} and cannot be removed: {error.strerror}",
                "Remove it: Python would run it.",
            ) from error
    return same

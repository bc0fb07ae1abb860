"""Compiled code: made ahead of who may not write it, and removed where it is older than its source and would run.

Python takes a compiled file for current when the source's size and its time in whole seconds are those it was compiled
from. A second edit within that second, to as many bytes, is not seen: the key would name the new source and the old
code would run.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import cache_from_source, source_hash
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock

HEADER = 16  # bytes: magic, flags, time and size of the source, or its hash
CHECKED = struct.pack("<I", 0b11)  # flags: the hash, which Python compares with the source's at each import
UNSEEN = 2  # seconds before now in which an edit may leave a time that an earlier one left: of whole seconds, rounded


def compile_below(places: Iterable[Path]) -> None:
    """Compile the modules of folders, and single ones, whether or not they were: what cannot be written is left out.

    Python finds the compiled files current by time and size, which costs a start nothing; by hash those whose source
    was changed just now, or while it was read.
    """
    import py_compile

    by_time, by_hash = py_compile.PycInvalidationMode.TIMESTAMP, py_compile.PycInvalidationMode.CHECKED_HASH
    started = time.time()
    for path in (each for place in places for each in (sorted(place.rglob("*.py")) if place.is_dir() else [place])):
        with suppress(OSError):
            changed = path.stat().st_ctime_ns
            compiled = py_compile.compile(str(path), quiet=2, invalidation_mode=by_time)
            if path.stat().st_ctime > started - UNSEEN:
                compiled = py_compile.compile(str(path), quiet=2, invalidation_mode=by_hash)
            if compiled:
                os.utime(compiled, ns=(changed, changed))  # looked into, as discard_stale says it


def discard_stale(sources: Mapping[str, Path]) -> list[str]:
    """Remove what is compiled from another source than the one there is; return the modules it was removed for.

    `sources` maps a module's name to its source. Each compiled file is looked into once its source has rested, and then
    has the time of that one's last change: that it is younger proves nothing, for who wrote it may have read the source
    before. Only what is not ours to write is taken for current where it is younger. Raises CacheError where it cannot
    be removed.
    """
    return [name for name, source in sources.items() if not _is_current(source)]


def _would_run(compiled: bytes, text: bytes, source: os.stat_result) -> bool:
    """Tell whether Python takes a compiled file for current: by time and size, by hash, or because it was told to."""
    flags, noted = compiled[4:8], compiled[8:HEADER]
    if flags == CHECKED:
        return noted == source_hash(text)
    times = struct.pack("<II", int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    return flags != bytes(4) or noted == times


def _is_current(source: Path) -> bool:
    compiled = Path(cache_from_source(str(source)))
    try:
        status, begun, seen = compiled.stat(), time.time_ns(), source.stat()
        changed = seen.st_ctime_ns
        if status.st_mtime_ns == changed or (status.st_mtime_ns > changed and not os.access(compiled, os.W_OK)):
            return True
        data = compiled.read_bytes()
        text = source.read_bytes()
        if not _would_run(data, text, source.stat()):
            return True
    except OSError:
        return True  # nothing compiled: nothing stale
    try:
        same = bool(marshal.loads(data[HEADER:]) == compile(text, str(source), "exec", dont_inherit=True))  # noqa: S302  # as Python would
    except (EOFError, TypeError, ValueError, SyntaxError):
        same = False
    if same:
        if clock.marked(seen) < begun:  # else a later edit may leave the time that is noted here
            with suppress(OSError):  # not ours to write: looked into again next time
                os.utime(compiled, ns=(changed, changed))
    else:
        try:
            compiled.unlink()
        except OSError as error:
            raise CacheError(
                f"{compiled} was compiled from another {source.name} and cannot be removed: {error.strerror}",
                "Remove it: Python would run it.",
            ) from error
    return same


if __name__ == "__main__":
    compile_below(map(Path, sys.argv[1:]))

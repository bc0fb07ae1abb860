"""Upkeep: what a run does at its end to keep the store within its limits, at the price of one small file."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import sealed
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.lease import GC

if TYPE_CHECKING:
    from bootsmith.cache.keep.gc import Report

KIND = "usage 1"
USAGE = "usage"
DAY = 86400.0
LOW = 0.9  # of the size limit is what gc brings the store down to, so that not every run has to
STEP = 0.05  # of the size limit by which a store that cannot be brought below it grows until gc is tried again


class Usage(NamedTuple):
    """How large the store was when its files were `counted`, plus what runs added since; after gc, at least `floor`."""

    size: int
    floor: int
    counted: float


def keep_within(root: Path, limits: Limits, grown: int) -> Report | None:
    """Note that the store below `root` grew by so many bytes on disk, and call gc where a limit asks for it.

    Files are counted once a day; in between it is an estimate. Returns what gc did; None where it was not called, where
    somebody else is at it already, or where the store cannot be written.
    """
    if not root.is_dir() or limits == Limits(None, None):
        return None
    lock = FileLock(root / GC)
    try:
        if not lock.try_acquire():
            return None
    except CacheError:
        return None
    try:
        with suppress(OSError, CacheError):  # Busy, or not ours: the next run tries again
            return _keep_within(root, limits, grown)
        return None
    finally:
        lock.release()


def _keep_within(root: Path, limits: Limits, grown: int) -> Report | None:
    report: Report | None = None
    now = time.time()
    usage = _read(root)
    is_due = usage is None or not 0 <= now - usage.counted < DAY
    if usage is not None and not is_due:
        usage = usage._replace(size=usage.size + grown)
    else:
        from bootsmith.cache.keep.contents import scan

        usage = Usage(scan(root).size, usage.floor if usage else 0, now)
    too_large = limits.size is not None and usage.size > max(limits.size, usage.floor + limits.size * STEP)
    if too_large or (is_due and limits.age is not None):
        from bootsmith.cache.keep import gc

        low = None if limits.size is None else round(limits.size * LOW) if too_large else limits.size
        report = gc.collect_alone(root, Limits(low, limits.age))
        usage = Usage(report.after, report.after if report.is_over else 0, now)
    with suppress(OSError):  # counted again next time
        sealed.write(root / USAGE, KIND, json.dumps(usage).encode(), drafts=root / "tmp")
    return report


def _read(root: Path) -> Usage | None:
    body = sealed.read(root / USAGE, KIND)
    return None if body is None else Usage(*json.loads(body))

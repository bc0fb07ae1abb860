"""The host's clock as files show it: which boot this is, how coarse file times are, whether it was set back."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

SECOND = 1_000_000_000
COARSE = 2 * SECOND  # FAT counts in steps of two seconds, ext2 and small ext4 inodes in one
REALTIME_COARSE = 5  # <linux/time.h>; the clock that file systems stamp with; Python has no name for it
SLACK = SECOND // 1000  # `offset` cannot see the clock being set back by less


@cache
def boot_id() -> str:
    """Return what tells this boot of the host from every other; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def _tick() -> int:
    try:
        return round(time.clock_getres(REALTIME_COARSE) * SECOND)
    except OSError:
        return SECOND // 100


def settled(status: os.stat_result) -> int:
    """Return when, in ns since 1970, a file has rested so long that any later change must show in its times."""
    return max(status.st_mtime_ns, status.st_ctime_ns) + _grain(status)


def marked(status: os.stat_result) -> int:
    """Return when, in ns since 1970, any later change must show in a file's ctime alone, which no user can set."""
    return status.st_ctime_ns + _grain(status)


def last_marked(changed: Sequence[int]) -> int:
    """Return when any later change must show in each of these ctimes, in ns; 0 for none."""
    coarse = [ctime for ctime in changed if not ctime % 1000]
    fine = max(changed, default=-COARSE) + _tick()
    return max(0, fine + SLACK, max(coarse, default=-2 * COARSE) + COARSE + SLACK)


def _grain(status: os.stat_result) -> int:
    """Return how long, in ns, two changes of a file may leave the same times.

    Whether a file system stores fine times is seen in the file's ctime. One in a thousand ctimes ends in zeros by
    chance; such a file merely rests longer.
    """
    fine = status.st_ctime_ns % 1000 != 0
    return (_tick() if fine else COARSE) + SLACK


def rest_until(moment: int) -> None:
    """Wait for a moment in ns since 1970; not for one later than any file need rest: some clock is wrong then."""
    left = moment + 1 - time.time_ns()
    if 0 < left <= COARSE + SLACK:
        time.sleep(left / SECOND)


def offset() -> tuple[int, int]:
    """Return bounds, in ns, of how far the wall clock is ahead of the time since boot.

    It changes only when somebody sets the wall clock: slewing (NTP) and suspending move both clocks alike.
    """
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return wall - after, wall - before

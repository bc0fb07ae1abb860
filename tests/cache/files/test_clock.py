"""cache/files/clock.py: how long a file must rest, and whether the clock was set."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bootsmith.cache.files import clock


def status(*, mtime: int, ctime: int) -> os.stat_result:
    """Return a stat with these times."""
    return os.stat_result((0o100644, 1, 1, 1, 0, 0, 0, 0, 0, 0), {"st_mtime_ns": mtime, "st_ctime_ns": ctime})


def test_the_boot_id_is_the_kernels() -> None:
    """All processes of one boot agree on its id."""
    assert clock.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_file_has_settled_after_a_tick_where_times_are_fine() -> None:
    """A file system that stores nanoseconds needs no more rest than the kernel's tick."""
    stamp = 1_700_000_000_123_456_789
    assert stamp < clock.settled(status(mtime=stamp - 5, ctime=stamp)) < stamp + clock.SECOND // 10


def test_a_file_rests_two_seconds_where_times_are_coarse() -> None:
    """FAT counts in two seconds, old ext4 in one: a whole ctime is taken for one of theirs."""
    stamp = 1_700_000_000_000_000_000
    assert clock.settled(status(mtime=stamp, ctime=stamp)) > stamp + 2 * clock.SECOND


def test_a_time_stamp_in_the_future_has_not_settled() -> None:
    """The later of mtime and ctime counts: either may be what a later change repeats."""
    stamp = 1_700_000_000_123_456_789
    assert clock.settled(status(mtime=stamp + clock.SECOND, ctime=stamp)) > stamp + clock.SECOND


def test_the_offset_is_bounded_by_what_passes_between_two_readings() -> None:
    """The bounds hold the truth between them, and stay where nobody sets the clock."""
    low, high = clock.offset()
    again_low, again_high = clock.offset()
    assert low <= high
    assert again_low <= high
    assert low <= again_high
    truth = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert abs(truth - low) < clock.SECOND

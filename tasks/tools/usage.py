"""What programs use: CPU seconds and memory, of a whole process tree."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource


class Usage:
    """What a stage's programs took together: `cpu` seconds, and the `peak` of one's resident memory in bytes.

    The memory of a program that ended within a third of a second counts only where it exceeded our own.
    """

    def __init__(self) -> None:
        self.cpu = 0.0
        self.peak = 0

    def look(self, pid: int) -> None:
        """Note what a running program takes now."""
        self.peak = max(self.peak, resident(pid))

    def add(self, ended: resource.struct_rusage) -> None:
        """Add what a program took that has ended."""
        self.cpu += ended.ru_utime + ended.ru_stime
        self.peak = max(self.peak, own_peak(ended.ru_maxrss))


def own_peak(maxrss: int) -> int:
    """Return a child's peak in bytes, 0 where unknown: it inherits ours by vfork, so only more than ours is its own."""
    import resource

    return maxrss * 1024 if maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss else 0


def resident(pid: int) -> int:
    """Return the resident bytes of a process and all its descendants now."""
    import psutil

    total = 0
    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in tree:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total

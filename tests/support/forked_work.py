"""Work done in a fork of the test's own process, which may die of it."""

from __future__ import annotations

import os
import select
import signal
import traceback
import warnings
from collections.abc import Callable


def in_child(work: Callable[[], None], within: float | None = None) -> int:
    """Do something in a fork of this process, killed unless it is done `within` so many seconds.

    Return the signal that ended it, 0 for none. What it raises is printed, and fails the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: those of pytest-xdist only wait
        child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001  # whatever it is, the fork must not go on as pytest
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if within is not None:
        watch = os.pidfd_open(child)
        ended, _, _ = select.select([watch], [], [], within)
        os.close(watch)
        if not ended:
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code <= 0, "the child failed"
    return -code

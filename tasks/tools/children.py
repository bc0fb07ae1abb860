"""The programs that run now, so that all of them can be ended at once."""

from __future__ import annotations

import contextlib
import os
import signal

running: dict[int, bool] = {}
"""Process id -> whether it leads a process group of its own. An entry goes before its number can be another's."""


def hears_ctrl_c() -> bool:
    """Tell whether a program of our own process group runs now, on a terminal: that one's Ctrl-C is for it."""
    return os.isatty(0) and not all(list(running.values()))


def kill_all() -> None:
    """Kill every program running now. Safe in a signal handler: takes no lock."""
    for pid, own_group in list(running.items()):
        kill(pid, own_group=own_group)


def kill(pid: int, *, own_group: bool) -> None:
    """Kill a program, with its group where it has its own; one that is gone already does not matter."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if own_group:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def shell_status(status: int) -> int:
    """Return an exit status as a shell gives it: 128 + the signal where one ended the program."""
    return 128 - status if status < 0 else status

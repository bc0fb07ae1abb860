"""How much of the host a command line takes: its processor and its disks to whoever else wants them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from bootsmith.tasks.errors import UsageError

NAME: Final = "BOOTSMITH_PRIORITY"
_NICE: Final = {"low": 10, "idle": 19}
_DISK: Final = {"low": 2 << 13 | 7, "idle": 3 << 13}  # ioprio_set(2): the last of the usual class; the idle one
_CALL: Final = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
_THIS_THREAD: Final = (1, 0)


def lower(word: str | None, where: str = NAME) -> None:
    """Take less from now on, as does whatever this thread starts: "low" or "idle". Raises UsageError.

    It is never more again: that is root's to say.
    """
    if not word:
        return
    if word not in _NICE:
        raise UsageError(f"{where}: there is no priority {word}", "Write low or idle.")
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), _NICE[word]))
    import platform

    number = _CALL.get(platform.machine())
    if number is not None:
        from ctypes import CDLL

        CDLL(None).syscall(number, *_THIS_THREAD, _DISK[word])  # where the kernel knows none, all is as it was


def asked(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the priority that the environment asks for."""
    return environ.get(NAME)

"""The end of a machine that another process runs: it is asked by a signal, and nobody else is ever hit.

A process id may be another's by the time it is used. So the process is taken hold of first (a pidfd), and only then the
note is looked at: where somebody holds that still, it is who was taken hold of.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import running, ssh
from bootsmith.tasks.machine.running import Noted
from bootsmith.tasks.tools import host, popen

_LAST = 10.0  # seconds in which what was killed is gone


class Ending:
    """A machine that was asked to end, by the process that runs it; a context manager."""

    def __init__(self, machine: Noted, descriptor: int) -> None:
        self.machine = machine
        self._descriptor = descriptor

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; tell whether it did."""
        return bool(select.select([self._descriptor], [], [], max(0.0, seconds))[0])

    @contextlib.contextmanager
    def asked_inside(self) -> Iterator[None]:
        """Have the guest power off by its own command, where it lets us in, while the context lasts.

        A system without logind, and one that has not come so far, hears no power button.
        """
        port, key = self.machine.port, self.machine.key
        if port is None or key is None:
            yield
            return
        options = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=30")
        program, *words = ssh.command(port, key, "poweroff", program=host.find("ssh"))
        with popen.start([program, *options, *words]):
            yield

    def kill(self) -> None:
        """End it by force: QEMU dies with who runs it."""
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        self.wait(_LAST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self._descriptor)


def ask(register: Path, machine: Noted, *, now: bool = False) -> Ending | None:
    """Ask a machine to end, or with `now` end it; None where it has ended already. Raises BootsmithError."""
    if not running.has_our_numbers(machine):
        raise BootsmithError(f"{machine.name} runs in another container", "End it there.")
    try:
        descriptor = os.pidfd_open(machine.pid)
    except ProcessLookupError:
        return None
    try:
        if machine in running.find(register):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL if now else signal.SIGTERM)
            return Ending(machine, descriptor)
    except PermissionError:
        os.close(descriptor)
        raise BootsmithError(f"{machine.name} is another user's", "Who started it can end it.") from None
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None

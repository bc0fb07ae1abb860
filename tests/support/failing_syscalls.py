"""System calls that fail, or kill, at their n-th use: in this very process, wherever its Python code makes them.

A program of its own, such as doit, meets `faults` instead; this takes no start of a process, so that thousands fit.
"""

from __future__ import annotations

import os
import select
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

CALLS = ("open", "write", "pwrite", "replace", "rename", "mkdir", "ftruncate", "fchmod", "fsync", "unlink")


@dataclass
class Slip:
    """What is to happen at the `at`-th call; `made` counts them. A write does half of its work first."""

    at: int
    happen: Callable[[], None]
    made: int = 0
    mutex: Lock = field(default_factory=Lock)

    @property
    def came(self) -> bool:
        """Tell whether it has happened."""
        return self.made >= self.at

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands in for a call."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self.mutex:
                self.made += 1
                is_now = self.made == self.at
            if is_now:
                if name in {"write", "pwrite"}:
                    half = memoryview(arguments[1])[: len(arguments[1]) // 2]
                    real(arguments[0], half, *arguments[2:])
                self.happen()
            return real(*arguments, **options)

        return call


@contextmanager
def slipping(at: int, happen: Callable[[], None]) -> Iterator[Slip]:
    """Let something happen at the `at`-th call of any of CALLS; the call itself is made only if that returns."""
    slip = Slip(at, happen)
    real = {name: getattr(os, name) for name in CALLS}
    for name, function in real.items():
        setattr(os, name, slip.wrap(name, function))
    try:
        yield slip
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def failing(number: int) -> Callable[[], None]:
    """Return what fails as the kernel does, with this errno."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def die() -> None:
    """End at once."""
    os.kill(os.getpid(), signal.SIGKILL)


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

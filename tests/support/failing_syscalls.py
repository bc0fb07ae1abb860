"""System calls that fail, or kill, at their n-th use: in this very process, wherever its Python code makes them.

A program of its own, such as doit, meets `file_faults` instead; this takes no start of a process, thousands fit.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

CALLS = ("open", "write", "pwrite", "replace", "rename", "mkdir", "ftruncate", "fchmod", "fsync", "unlink")


@dataclass
class SyscallFault:
    """What is to happen at the `at`-th call; `made` counts them. A write does half of its work first."""

    at: int
    happen: Callable[[], object]
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
def fault_at(at: int, happen: Callable[[], object]) -> Iterator[SyscallFault]:
    """Let something happen at the `at`-th call of any of CALLS; the call itself is made only if that returns."""
    fault = SyscallFault(at, happen)
    real = {name: getattr(os, name) for name in CALLS}
    for name, function in real.items():
        setattr(os, name, fault.wrap(name, function))
    try:
        yield fault
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def failing(number: int) -> Callable[..., int]:
    """Return what fails as the kernel does, with this errno, whatever it is called with."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def die() -> None:
    """End at once."""
    os.kill(os.getpid(), signal.SIGKILL)

"""The user's terminal, given back as it was: a program that is killed while it has it raw leaves it so."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Iterator
from typing import Any

STDIN = 0
_before: list[list[Any]] = []
"""What the terminal was set to when each program that has it now was started."""


@contextlib.contextmanager
def lent() -> Iterator[None]:
    """Let a program have the terminal, if there is one, and make it whole again."""
    if not os.isatty(STDIN):
        yield
        return
    _before.append(termios.tcgetattr(STDIN))
    try:
        yield
    finally:
        restore()
        _before.pop()


def restore() -> None:
    """Give the terminal back as it was before anybody had it. Safe in a signal handler: takes no lock."""
    if _before and not _is_anothers():
        with contextlib.suppress(termios.error):  # it hung up
            termios.tcsetattr(STDIN, termios.TCSANOW, _before[0])


def _is_anothers() -> bool:
    """Tell whether the shell has given the terminal to others: who sets it all the same is stopped."""
    try:
        return os.tcgetpgrp(STDIN) != os.getpgrp()
    except OSError:  # it controls nobody, or hung up
        return False

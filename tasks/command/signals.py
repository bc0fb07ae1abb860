"""Signals that end a run: what is at work is killed, what was finished is kept, and the user is told so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsmith.tasks.command.progress import Progress

if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """Those that one run ends on; `keeps` tells whether something was built by now that the next run goes on with."""

    def __init__(self, progress: Progress, keeps: Callable[[], bool]) -> None:
        self._progress = progress
        self._keeps = keeps
        self._old_handlers: dict[int, object] = {}
        self.ends_well = ""
        """What is said where Ctrl-C is how a command is meant to end: then that is no failure."""
        self.half_done = ""
        """What is said, where a command is ended, of what it leaves half done."""

    def heed(self, *numbers: int) -> None:
        """End in good order on these until `restore`; one that is ignored, as under nohup, stays so."""
        for number in numbers:
            if number not in self._old_handlers and signal.getsignal(number) is not signal.SIG_IGN:
                self._old_handlers[number] = signal.signal(number, self._end)

    def restore(self) -> None:
        """Let them mean what they meant before."""
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned
        self._old_handlers.clear()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        """End at once: what is half made has no record, and goes with the next run; passing folders go now."""
        from bootsmith.cache.files import temporary
        from bootsmith.tasks.tools import children, terminal

        if number == signal.SIGINT and children.hears_ctrl_c():
            return  # a machine or a shell has the terminal: it does as it likes
        children.kill_all()
        temporary.discard()
        terminal.restore()
        self._progress.close()
        if number == signal.SIGINT and self.ends_well:
            sys.stderr.write(f"{self.ends_well}\n")
            sys.stderr.flush()
            os._exit(0)
        kept = "; what was finished is kept, run the same command to go on" if self._keeps() else ""
        half_done = f"{self.half_done}\n" if self.half_done else ""
        sys.stderr.write(f"interrupted{kept}\n{half_done}")
        sys.stderr.flush()
        os._exit(128 + number)

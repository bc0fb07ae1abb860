"""What the user sees while bootsmith works: a line per finished stage, and on a terminal what is happening now."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from bootsmith.cache.display import escaped, human, shown

if TYPE_CHECKING:
    from bootsmith.tasks.command.pace import Pace

NAME = 22  # letters of a task's name, where none has more
BECAUSE = 60  # characters of a reason on a stage's line
TICK = 0.2  # seconds between redraws of the live lines
COLORS = {"fresh": "2", "restored": "36", "built": "32", "failed": "31"}  # SGR: dim, cyan, green, red


class _Running:
    """A stage at work: since when, what it does, and how it gets on."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.doing = ""
        self.pace: Pace | None = None

    def say(self, text: str) -> None:
        """Note what it does now."""
        if self.pace is None:
            from bootsmith.tasks.command.pace import Pace

            self.pace = Pace()
        self.doing = escaped(self.pace.said(text))


class Progress:
    """Prints to one stream from any thread. Live lines need a terminal; colour needs one too, and no NO_COLOR."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._answers = stream or sys.stdout
        self._print_to(self._answers)
        self._width = NAME
        self._running: dict[str, _Running] = {}
        self._drawn = 0
        self._told: set[str] = set()
        self._guard = threading.RLock()
        self._ticker: threading.Thread | None = None
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._ended: dict[str, int] = {}
        self.verbose = False
        """Whether a terminal is told of every stage, one that was fresh too, as whoever reads a pipe is."""
        self.sums_up = True
        """Whether a terminal is told at the end how many stages there were: not where they were made for a command."""

    def _print_to(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._color = self._live and not os.environ.get("NO_COLOR")

    def answer_alone(self) -> None:
        """Let all but answers go to stderr from now on: a program, or a shell, reads what is asked for."""
        self._print_to(sys.stderr)

    def answer(self, text: str) -> None:
        """Print what was asked for: a command, a recipe, JSON."""
        with self._guard:
            self._erase()
            self._write(escaped(text.rstrip("\n")) + "\n", self._answers)
            self._draw()

    def answer_bytes(self, data: bytes) -> None:
        """Write what was asked for as it is: the content of a file."""
        with self._guard:
            self._erase()
            with contextlib.suppress(BrokenPipeError):
                self._answers.flush()
                self._answers.buffer.write(data)
                self._answers.flush()

    def remark(self, text: str) -> None:
        """Print a line that is no part of any answer."""
        with self._guard:
            self._erase()
            self._write(f"{escaped(text)}\n", sys.stderr)
            self._draw()

    def widen(self, name: str) -> None:
        """Make the columns fit a task that may come to run."""
        self._width = max(self._width, len(name))

    def start(self, name: str) -> None:
        """Note that a stage begins to run."""
        with self._guard:
            self._running[name] = _Running()
            if self._live and self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def say(self, name: str, text: str) -> None:
        """Note what a running stage does."""
        with self._guard:
            if name in self._running:
                self._running[name].say(text)

    def finish(
        self, name: str, state: str, seconds: float | None = None, size: int | None = None, because: str = ""
    ) -> None:
        """Note that a stage ended: one line stays on the screen."""
        took = "" if seconds is None or state == "fresh" else f"{seconds:7.1f} s"
        weight = "" if size is None else human(size)
        label = f"{state:9}"
        because = shown(because)
        why = f"  {because}" if len(because) <= BECAUSE else f"  {because[: BECAUSE - 1]}…"
        if self._color:
            label = f"\x1b[{COLORS.get(state, '0')}m{label}\x1b[0m"
        with self._guard:
            running = self._running.pop(name, None)
            self._ended[state] = self._ended.get(state, 0) + 1
            if state == "fresh" and self._live and not self.verbose:
                return  # nothing was done: the sum tells
            self._erase()
            self._write(f"{label}{name:{self._width}}{took:>10}{weight:>11}{why}".rstrip() + "\n")
            self._draw()
            if running and running.pace and seconds:
                self.tell(running.pace.hint(name, seconds))

    def tell(self, text: str) -> None:
        """Print a line of its own, or several."""
        if not text:
            return
        with self._guard:
            self._erase()
            self._write(escaped(text.rstrip("\n")) + "\n")
            self._draw()

    def tell_once(self, text: str) -> None:
        """Print a line of its own, unless it was printed so before."""
        with self._guard:
            if text not in self._told:
                self._told.add(text)
                self.tell(text)

    def sum_up(self) -> None:
        """Say, on a terminal, how many stages there were, what became of them, and what it took."""
        counts = [(state, self._ended[state]) for state in COLORS if state in self._ended]
        if not counts or not self._live or not self.sums_up:
            return
        stages = sum(number for _, number in counts)
        if len(counts) == 1:
            what = f"{counts[0][0]}: all {stages} stages" if stages > 1 else f"{counts[0][0]}: the stage"
        else:
            what = f"{stages} stages: {', '.join(f'{number} {state}' for state, number in counts[::-1])}"
        self.tell(f"{what}, in {time.monotonic() - self._began:.1f} s")
        self._ended.clear()

    def close(self) -> None:
        """Stop drawing; leave no live line behind."""
        self._stop.set()
        with self._guard:
            self._running.clear()
            self._erase()

    def _tick(self) -> None:
        while not self._stop.wait(TICK):
            with self._guard:
                self._erase()
                self._draw()

    def _draw(self) -> None:
        if not self._live:
            return
        import shutil

        width = shutil.get_terminal_size().columns
        now = time.monotonic()
        for name, running in self._running.items():
            line = f"{'running':9}{name:{self._width}}{now - running.started:8.1f} s  {running.doing}"
            self._write(line[: width - 1] + "\n")
            self._drawn += 1

    def _erase(self) -> None:
        if self._drawn:
            self._write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _write(self, text: str, stream: TextIO | None = None) -> None:
        stream = stream or self._stream
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:  # the reader of our pipe left; the build goes on
            self._live = False

"""A guest that is made up: what it prints, when, and what it answers; its time passes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootsmith.tasks.machine.console import Console

KERNEL = "[    0.000000] Linux version 6.1.0\r\n[    0.000000] Command line: root=/dev/vda2 ro console=ttyS0\r\n"
"""What any kernel says first."""


class ScriptedGuest:
    """A guest that prints what it is told at given seconds, and answers what is typed; its time passes at once.

    `script` holds (second, what is printed). `answer` is told the port and what was typed, and says what to print.
    """

    def __init__(
        self,
        script: Sequence[tuple[float, str]],
        *,
        ends: float | None = None,
        fail: Sequence[str] = (),
        answer: Callable[[str, str], str] = lambda _port, _text: "",
        console: Console | None = None,
        screen: Sequence[str] = (),
    ) -> None:
        self.console = console or Console(fail)
        self.second = ""
        self.ended = False
        self.typed: list[str] = []
        self.hidden = b""
        self._script = list(script)
        self._screen = screen
        self._ends = ends
        self._answer = answer
        self._time = 0.0
        self._last = 0.0

    @property
    def quiet(self) -> float:
        return self._time - self._last

    def now(self) -> float:
        return self._time

    def pump(self, seconds: float) -> None:
        until = self._time + seconds
        if self._script and self._script[0][0] <= until:
            at, text = self._script.pop(0)
            self._time = max(self._time, at)
            self._print(text)
        else:
            self._time = until
        self.ended = self._ends is not None and self._time >= self._ends

    def send(self, text: bytes) -> None:
        self.typed.append(text.decode())
        self._print(self._answer("console", text.decode()))

    def send_second(self, text: bytes) -> None:
        self.second += self._answer("second", text.decode())

    def say_second(self, text: str) -> None:
        """Print on the second port, now."""
        self.second += text

    def screen(self) -> Sequence[str]:
        return self._screen

    def hide(self, secret: bytes) -> None:
        self.hidden = secret

    def _print(self, text: str) -> None:
        if text:
            self._last = self._time
            self.console.feed(text.encode(), self._time)

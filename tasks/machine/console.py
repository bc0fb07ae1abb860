"""What a serial console says: which phase the boot is in, what went wrong, and what was printed once the kernel ran.

Pure: it is fed bytes and the time, and never waits. The trap it is built around: firmware and loaders print the
recipe's own words (menu titles, a command line to edit), so nothing counts as the guest's before the kernel took over,
and a menu must not be taken for a kernel. Menus paint: they move the cursor to where a title goes. Kernels print lines.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from bootsmith.tasks.machine.console_messages import (
    COMPLAINT,
    ECHO,
    GUEST,
    LAMENT,
    MACH,
    PROMPT,
    STUCK,
    STUCK_EARLY,
    Failure,
    Phase,
    phases,
    stuck,  # fmt: skip
)

LAST_LINES = 15


_FRESH_SCREEN = re.compile(rb"\x1b\[2J\x1b\[0*1?(?:;0*1?)?H|\x1b\[H\x1b\[J(?:\x1b\[1;1H)?")  # OVMF's; GRUB's
_HOME = re.compile(rb"\A(?:\x1b\[0*1?(?:;0*1?)?H)+")
_LINE_END = re.compile(rb"[\r\n]+")
_PAINTING = re.compile(rb"\x1b\[\d*(?:;\d*)?[HfJK]")
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences (ECMA-48): colours, positions
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # strings: titles, palettes
    r"|\x1b[ -/]*[0-~]"  # two-character escapes, character sets
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)

_GUEST_LINES = 2  # one could be an accident, such as a title that GRUB echoes


def clean(raw: bytes) -> str:
    """Return console output as one would read it: no escapes, no control characters but newlines."""
    return _CONTROL.sub("", _LINE_END.sub(b"\n", raw).decode("utf-8", "replace"))


def _is_painted(raw: bytes) -> bool:
    """Tell whether a line moves the cursor about; a program that only goes to the first line prints."""
    return _PAINTING.search(_HOME.sub(b"", raw)) is not None


def _pieces(raw: bytes) -> list[str]:
    """Return one raw line as text: what was painted in several places in as many pieces."""
    return [piece for piece in (clean(part) for part in _PAINTING.split(raw)) if piece]


def _worth_showing(lines: Sequence[str]) -> list[str]:
    """Return the lines with a word in them: menus draw boxes, some of them in code page 437."""
    return [line.rstrip() for line in lines if re.search("[A-Za-z0-9]", line)]


class Console:
    """A serial console, read as it comes.

    `fail` are patterns that, said by the guest, end the boot as failed. `began` is what a kernel nobody knows prints
    first. `direct` means that no firmware and no loader share the console: all that is printed is the guest's.
    """

    def __init__(self, fail: Sequence[str] = (), *, began: str | None = None, direct: bool = False) -> None:
        self.phases: dict[Phase, float] = {}
        self.failure: Failure | None = None
        self._heard = ""
        self._complaints: list[str] = []
        self._guest = ""
        self._first: list[str] = []
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._rest = b""
        self._fail = [re.compile(pattern) for pattern in fail]
        self._began = re.compile(began) if began else None
        self._direct = direct

    @property
    def phase(self) -> Phase:
        return max(self.phases, default=Phase.NOTHING)

    @property
    def took_over(self) -> bool:
        """Whether the kernel runs."""
        return Phase.KERNEL in self.phases

    @property
    def is_mach(self) -> bool:
        """Whether the kernel is GNU Mach, which knows nothing of what we hand a Linux."""
        return MACH.match(self._guest) is not None

    @property
    def complaint(self) -> str:
        """The first things complained about: by firmware and loader, once a kernel runs by the guest."""
        return "; ".join(list(dict.fromkeys(self._complaints))[:3])

    @property
    def said(self) -> str:
        """What the guest printed since the kernel took over, an unfinished line included."""
        return self._guest + clean(self._rest) if self.took_over else ""

    @property
    def heard(self) -> str:
        """All that was printed, by whomever; what was painted in several places in as many lines."""
        return self._heard + "\n".join(_pieces(self._rest))

    @property
    def last_lines(self) -> list[str]:
        """The last lines with anything on them, whoever printed them."""
        return [*self._lines, *_worth_showing(_pieces(self._rest))][-LAST_LINES:]

    def feed(self, data: bytes, now: float) -> None:
        """Take what was printed at `now`."""
        if data:
            self._reach(Phase.KERNEL if self._direct else Phase.FIRMWARE, now)
        *whole, self._rest = _LINE_END.split(_FRESH_SCREEN.sub(b"\n", self._rest + data))
        for raw in whole:
            painted = not self.took_over and _is_painted(raw)
            for piece in _pieces(raw):
                self._line(piece, now, painted=painted)
        if PROMPT.match(prompt := clean(self._rest)):
            self._judge(prompt, now, painted=not self.took_over and _is_painted(self._rest))

    def read_screen(self, screen: Sequence[str], now: float) -> None:
        """Take what a text screen shows, on which a BIOS and its boot sectors print: nothing there is the guest's."""
        for line in screen if not self.took_over else ():
            self._judge(line, now, painted=False)

    def guest_began(self, now: float) -> None:
        """Take it from elsewhere that the guest's init runs: what is printed from now on is the guest's."""
        if not self.took_over:
            if _is_painted(self._rest):  # a menu ends no line; a prompt that waits does not either, but is the guest's
                self._heard += "".join(f"{piece}\n" for piece in _pieces(self._rest))
                self._rest = b""
            self._take_over((), now)
        self._reach(Phase.USERSPACE, now)

    def _line(self, line: str, now: float, *, painted: bool) -> None:
        self._lines.extend(_worth_showing([line]))
        self._heard += line + "\n"
        if self.took_over:
            self._guest_line(line, now)
        elif not painted and self._began and self._began.search(line) and not ECHO.match(line):
            self._take_over([line], now)
        elif not painted and GUEST.match(line):
            self._first.append(line)
            if len(self._first) == _GUEST_LINES:
                self._take_over(self._first, now)
        else:
            self._judge(line, now, painted=painted)

    def _take_over(self, lines: Sequence[str], now: float) -> None:
        self._reach(Phase.KERNEL, now)
        self.failure = None  # of two devices the firmware tried, one failed
        self._complaints.clear()
        for line in lines:
            self._guest_line(line, now)

    def _guest_line(self, line: str, now: float) -> None:
        self._guest += line + "\n"
        self._judge(line, now, painted=False)

    def _reach(self, phase: Phase, now: float) -> None:
        self.phases.setdefault(phase, now)

    def _judge(self, line: str, now: float, *, painted: bool) -> None:
        for phase in phases(line, guest=self.took_over):
            self._reach(phase, now)
        if painted or self.failure or (not self.took_over and ECHO.match(line)):
            return
        if (LAMENT if self.took_over else COMPLAINT).search(line):
            self._complaints.append(line.strip())
        self.failure = stuck(line, STUCK if self.took_over else STUCK_EARLY)
        if not self.failure and self.took_over and any(pattern.search(line) for pattern in self._fail):
            self.failure = Failure("fail pattern", f"the guest printed what `test.fail` forbids: {line.strip()}")


class Expectations:
    """Patterns that the guest has to print, one after the other."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self.met: list[float] = []
        self._compiled = [re.compile(pattern, re.MULTILINE) for pattern in patterns]
        self._from = 0

    @property
    def missing(self) -> str | None:
        """The first pattern that was not seen yet."""
        return self.patterns[len(self.met)] if len(self.met) < len(self.patterns) else None

    def look(self, text: str, now: float) -> bool:
        """Look for the next patterns in what the guest printed so far; tell whether all were seen."""
        while len(self.met) < len(self._compiled):
            found = self._compiled[len(self.met)].search(text, self._from)
            if not found:
                return False
            self._from = found.end()
            self.met.append(now)
        return True

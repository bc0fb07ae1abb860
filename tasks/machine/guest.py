"""A machine that runs without a terminal: its console, its second serial port and its monitor, on sockets of ours.

It ends with the context, and with the thread that started it, however that ends.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bootsmith.tasks.errors import BootsmithError, TestFailed
from bootsmith.tasks.machine import qmp
from bootsmith.tasks.machine.console import Console, clean
from bootsmith.tasks.machine.qemu import Wires
from bootsmith.tasks.tools import process


class Guest:
    """A running machine. `console` is fed as long as somebody pumps; `log` gets the console's bytes as they are."""

    def __init__(
        self,
        running: process.Running,
        ends: Sequence[socket.socket],
        *,
        console: Console,
        log: Path | None,
        messages: Path,
        text_screen: bool = False,
    ) -> None:
        self.console = console
        self.second = ""
        """What came through the second serial port so far, as text."""
        self.quiet_since = self.began = time.monotonic()
        self.ended = False
        self._running = running
        self._messages = messages
        self._has_text_screen = text_screen
        self._console, self._second, self._qmp = ends
        self._log = log.open("wb", buffering=0) if log else None
        self._hidden = b""
        self._held = b""
        self._selector = selectors.DefaultSelector()
        for end in (self._console, self._second):
            end.setblocking(False)
            self._selector.register(end, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._running.pid

    def now(self) -> float:
        """Return the seconds since it was started."""
        return time.monotonic() - self.began

    @property
    def quiet(self) -> float:
        """The seconds since the console last printed anything."""
        return time.monotonic() - self.quiet_since

    def pump(self, seconds: float) -> None:
        """Take what the guest prints; come back as soon as there was something, it ended, or the seconds are over."""
        for key, _ in self._selector.select(max(0.0, seconds)):
            try:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # sockets are registered, no numbers
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                self._selector.unregister(key.fileobj)
                self.ended = True
            elif key.fileobj is self._console:
                self.quiet_since = time.monotonic()
                self._write(data)
                self.console.feed(data, self.now())
            else:
                self.second += clean(data)

    def settle(self, seconds: float) -> None:
        """Take what else is printed at once: a panic's trace, a prompt."""
        end = time.monotonic() + seconds
        while not self.ended and (left := end - time.monotonic()) > 0:
            self.pump(left)

    def send(self, text: bytes) -> None:
        """Type on the console."""
        self._push(self._console, text)

    def send_second(self, text: bytes) -> None:
        """Send through the second serial port."""
        self._push(self._second, text)

    def hide(self, secret: bytes) -> None:
        """Keep `secret` out of the log from now on, should the guest echo it."""
        self._hidden = secret

    def screenshot(self, png: Path) -> bool:
        """Save what the machine's screen shows; False where there is none to save."""
        return qmp.screenshot(self._qmp, png)

    def screen(self) -> list[str]:
        """Return what the machine's screen shows where it shows text, as under a BIOS."""
        return qmp.text_screen(self._qmp) if self._has_text_screen and not self.ended else []

    def status(self) -> tuple[int | None, str]:
        """Return QEMU's exit status, None while it runs, and what it said."""
        status = self._running.wait(1) if self.ended else self._running.poll()
        if status is None:
            return None, ""
        return status, self._messages.read_text(errors="replace").strip()

    def close(self) -> None:
        """Write the log's end."""
        self._selector.close()
        if self._log:
            self._log.write(self._held)
            self._log.close()

    def _push(self, end: socket.socket, text: bytes) -> None:
        """Send without ever waiting for long: a guest that does not read must not hang us."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            end.settimeout(5)
            try:
                end.sendall(text)
            except TimeoutError:
                pass
            finally:
                end.setblocking(False)

    def _write(self, data: bytes) -> None:
        if not self._log:
            return
        waiting = self._held + data
        if self._hidden:
            waiting = waiting.replace(self._hidden, b"********")
        # What could be the beginning of the secret waits for what comes next.
        held = next((n for n in range(len(self._hidden) - 1, 0, -1) if waiting.endswith(self._hidden[:n])), 0)
        cut = len(waiting) - held
        self._held = waiting[cut:]
        self._log.write(waiting[:cut])


@contextlib.contextmanager
def start(
    command: Callable[[Wires], list[str]],
    console: Console,
    log: Path | None = None,
    *,
    text_screen: bool = False,
    pass_fds: Sequence[int] = (),
) -> Iterator[Guest]:
    """Run the command that is made around our sockets. What QEMU itself says goes to qemu.log beside `log`.

    `text_screen` says that the machine has a graphics card that a BIOS writes text on. It inherits the descriptors
    `pass_fds`.
    """
    with contextlib.ExitStack() as stack:
        folder = log.parent if log else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bootsmith-")))
        messages = folder / "qemu.log"
        pairs = [[stack.enter_context(each) for each in socket.socketpair()] for _ in range(3)]
        theirs = [pair[1].fileno() for pair in pairs]
        argv = command(Wires(*theirs))
        running = stack.enter_context(process.start(argv, stderr=messages, pass_fds=[*theirs, *pass_fds]))
        for _, their in pairs:
            their.close()
        ends = [pair[0] for pair in pairs]
        guest = Guest(running, ends, console=console, log=log, messages=messages, text_screen=text_screen)
        stack.callback(guest.close)
        yield guest


def explain_early_end(guest: Guest) -> BootsmithError | None:
    """Return what QEMU complained about where it ended by itself with an error; None where the guest ended it."""
    status, said = guest.status()
    if not status:
        return None
    return TestFailed(f"QEMU ended with status {status}: {said or 'it said nothing'}")

"""A machine that runs without a terminal: its console, its second serial port and its monitor, all led to us.

It ends with the context, and with the thread that started it, however that ends.

The console comes through a pipe. Linux waits 10 ms for a serial port to take a character, then sends it all the same;
QEMU takes none while nobody reads what it sends on. A socket holds no more than 278 single characters, so that on a
busy host what a kernel says at its start came with holes; a pipe holds all that a kernel has to say.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.files import temporary
from bootsmith.tasks.errors import BootsmithError, TestFailed
from bootsmith.tasks.machine import qmp
from bootsmith.tasks.machine.console import Console, clean
from bootsmith.tasks.machine.qemu import Chardevs
from bootsmith.tasks.tools import popen

_PIPE_SIZE = 1 << 20
"""Bytes that the console's pipe is to hold unread: as many as Linux allows anybody."""
_OPENING = 300
"""Seconds that QEMU may take to open what it is given."""
_TYPING = 5
"""Seconds that what is typed may wait for a guest to read it."""


class Guest:
    """A running machine. `console` is fed as long as somebody pumps; `log` gets the console's bytes as they are."""

    def __init__(
        self,
        running: popen.Running,
        ends: _Ends,
        *,
        console: Console,
        log: Path,
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
        self._ends = ends
        self._log = log.open("wb", buffering=0)
        self._hidden = b""
        self._held = b""
        self._selector = selectors.DefaultSelector()
        for descriptor in (ends.printed, ends.second.fileno()):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)

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
                data = os.read(key.fd, _PIPE_SIZE)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                self._selector.unregister(key.fd)
                self.ended = True
            elif key.fd == self._ends.printed:
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
        self._push(self._ends.typed, text)

    def send_second(self, text: bytes) -> None:
        """Send through the second serial port."""
        self._push(self._ends.second.fileno(), text)

    def hide(self, secret: bytes) -> None:
        """Keep `secret` out of the log from now on, should the guest echo it."""
        self._hidden = secret

    def screenshot(self, png: Path) -> bool:
        """Save what the machine's screen shows; False where there is none to save."""
        return qmp.screenshot(self._ends.monitor, png)

    def screen(self) -> list[str]:
        """Return what the machine's screen shows where it shows text, as under a BIOS."""
        return qmp.text_screen(self._ends.monitor) if self._has_text_screen and not self.ended else []

    def status(self) -> tuple[int | None, str]:
        """Return QEMU's exit status, None while it runs, and what it said."""
        status = self._running.wait(1) if self.ended else self._running.poll()
        if status is None:
            return None, ""
        return status, self._messages.read_text(errors="replace").strip()

    def close(self) -> None:
        """Write the log's end."""
        self._selector.close()
        self._log.write(self._held)
        self._log.close()

    def _push(self, end: int, text: bytes) -> None:
        """Send without ever waiting for long: a guest that does not read must not hang us."""
        late = time.monotonic() + _TYPING
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while text and select.select([], [end], [], max(0.0, late - time.monotonic()))[1]:
                with contextlib.suppress(BlockingIOError):
                    text = text[os.write(end, text) :]

    def _write(self, data: bytes) -> None:
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
    command: Callable[[Chardevs], list[str]],
    console: Console,
    log: Path,
    *,
    text_screen: bool = False,
    pass_fds: Sequence[int] = (),
) -> Iterator[Guest]:
    """Run the command that is made around our ends of its devices. What QEMU itself says goes to qemu.log beside `log`.

    `text_screen` says that the machine has a graphics card that a BIOS writes text on. It inherits the descriptors
    `pass_fds`. Raises TestFailed where QEMU does not even begin.
    """
    with contextlib.ExitStack() as stack:
        messages = log.parent / "qemu.log"
        with temporary.folder() as names:
            pipe = names / "console"
            ends, theirs = _connect(pipe, stack)
            argv = command(Chardevs(pipe, *(their.fileno() for their in theirs)))
            passed = [*(their.fileno() for their in theirs), *pass_fds]
            running = stack.enter_context(popen.start(argv, stderr=messages, pass_fds=passed))
            for their in theirs:
                their.close()
            guest = Guest(running, ends, console=console, log=log, messages=messages, text_screen=text_screen)
            stack.callback(guest.close)
            if not select.select([ends.monitor], [], [], _OPENING)[0]:  # a greeting, or its end: the pipe was opened
                raise TestFailed(
                    f"QEMU did not begin within {_OPENING} s", "Is the disk it opens on a file system that hangs?"
                )
        yield guest


class _Ends(NamedTuple):
    """Our ends: what the console prints, what is typed on it, the second serial port, the monitor."""

    printed: int
    typed: int
    second: socket.socket
    monitor: socket.socket


def _connect(pipe: Path, stack: contextlib.ExitStack) -> tuple[_Ends, Sequence[socket.socket]]:
    """Return our ends, and QEMU's of the sockets; the pipe it finds by its name. `stack` closes them all."""

    def opened(suffix: str, flags: int) -> int:
        name = f"{pipe}{suffix}"
        os.mkfifo(name, 0o600)
        end = os.open(name, flags | os.O_NONBLOCK)
        stack.callback(os.close, end)
        return end

    printed = opened(".out", os.O_RDONLY)
    with contextlib.suppress(OSError):  # an ordinary user may have used up all room there is for pipes
        fcntl.fcntl(printed, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    typed = opened(".in", os.O_RDWR)  # nobody could open it for writing alone before QEMU reads it
    pairs = [[stack.enter_context(each) for each in socket.socketpair()] for _ in range(2)]
    (second, monitor), theirs = zip(*pairs, strict=True)
    return _Ends(printed, typed, second, monitor), theirs


def explain_early_end(guest: Guest) -> BootsmithError | None:
    """Return what QEMU complained about where it ended by itself with an error; None where the guest ended it."""
    status, said = guest.status()
    if not status:
        return None
    return TestFailed(f"QEMU ended with status {status}: {said or 'it said nothing'}")

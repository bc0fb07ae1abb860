"""Folders of this host that a guest may mount: served by virtiofsd where there is one, else by QEMU itself (9p).

Not every guest has 9p (Debian's cloud kernel has none), and not every host has virtiofsd.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bootsmith.cache.files import temporary
from bootsmith.tasks.tools import host, popen

PLACES = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd")
"""Debian 13 and Fedora; Debian 12; Arch. No distribution has it on the PATH."""

READY = b"Waiting for vhost-user socket connection"
PATIENCE = 3.0  # seconds in which a daemon that cannot work has ended; one that is slower may work all the same


def daemon() -> Path | None:
    """Return this host's virtiofsd."""
    return next((Path(place) for place in PLACES if os.access(place, os.X_OK)), None)


@contextlib.contextmanager
def served(shares: Mapping[str, Path], say: Callable[[str], None] = lambda _: None) -> Iterator[dict[str, int]]:
    """Serve folders by virtiofsd as long as the context lasts; yield tag -> descriptor of a socket that leads there.

    Those it cannot serve are left out: they are QEMU's to share. The daemons end with us, and with QEMU, and there is
    no file of theirs that could be left behind.
    """
    program = daemon()
    with contextlib.ExitStack() as stack:
        sockets: dict[str, int] = {}
        for tag, path in shares.items():
            if not program or "," in str(path):  # it takes options as one list
                continue
            socket_, refusal = _serve(stack, program, path.absolute())
            if refusal:
                say(f"virtiofsd cannot share {path}, so QEMU does: {refusal}")
            else:
                sockets[tag] = socket_.fileno()
        yield sockets


def _serve(stack: contextlib.ExitStack, program: Path, path: Path) -> tuple[socket.socket, str]:
    """Start a daemon; return a socket that is connected to it, and "", or why it ended at once."""
    # As an ordinary user it is root of a namespace, for it changes its ids as the guest asks.
    wall: list[str | Path] = [] if os.geteuid() == 0 else [host.find("unshare"), "--user", "--map-root-user"]
    said = os.memfd_create("virtiofsd")
    stack.callback(os.close, said)
    listener, ours = _connected()
    stack.enter_context(ours)
    with listener:
        words = [*wall, program, f"--fd={listener.fileno()}", "-o", f"source={path}", "-o", "sandbox=chroot"]
        messages = Path(f"/dev/fd/{said}")
        running = stack.enter_context(popen.start(words, stderr=messages, pass_fds=[listener.fileno()]))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and READY not in _heard(said):
        if running.wait(0.02) is not None:
            return ours, _heard(said).decode(errors="replace").strip() or "it said nothing"
    return ours, ""


def _connected() -> tuple[socket.socket, socket.socket]:
    """Return a socket that listens, and one that waits there to be accepted; their file is gone already."""
    listener, ours = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with temporary.folder() as folder:
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            name = f"/proc/self/fd/{fd}/sock"  # a socket's name holds 107 bytes, however deep the folder is
            listener.bind(name)
            listener.listen(1)
            ours.connect(name)
        finally:
            os.close(fd)
    return listener, ours


def _heard(fd: int) -> bytes:
    return os.pread(fd, 65536, 0)

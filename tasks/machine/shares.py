"""Folders of this host that a guest may mount: served by virtiofsd where there is one, else by QEMU itself (9p).

Not every guest has 9p (Debian's cloud kernel has none), and not every host has virtiofsd.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bootsmith.tasks.tools import host, process

PLACES = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd")
"""Debian 13 and Fedora; Debian 12; Arch. No distribution has it on the PATH."""

READY = b"Waiting for vhost-user socket connection"
PATIENCE = 3.0  # seconds in which a daemon that cannot work has ended; one that is slower may work all the same


def daemon() -> Path | None:
    """Return this host's virtiofsd."""
    return next((Path(place) for place in PLACES if os.access(place, os.X_OK)), None)


@contextlib.contextmanager
def served(shares: Mapping[str, Path], say: Callable[[str], None] = lambda _: None) -> Iterator[dict[str, Path]]:
    """Serve folders by virtiofsd, each on a socket of its own, as long as the context lasts; yield tag -> socket.

    Those it cannot serve are left out: they are QEMU's to share. The daemons end with us, and with QEMU.
    """
    program = daemon()
    with contextlib.ExitStack() as stack:
        sockets: dict[str, Path] = {}
        if program and shares:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bootsmith-")))
            for number, (tag, path) in enumerate(shares.items()):
                name = folder / f"{number}.sock"
                if "," in str(path):  # it takes options as one list
                    continue
                refusal = _serve(stack, program, path.absolute(), name)
                if refusal:
                    say(f"virtiofsd cannot share {path}, so QEMU does: {refusal}")
                else:
                    sockets[tag] = name
        yield sockets


def _serve(stack: contextlib.ExitStack, program: Path, path: Path, name: Path) -> str:
    """Start a daemon that listens on a socket; return "", or why it ended at once."""
    said = name.with_suffix(".log")
    # As an ordinary user it is root of a namespace, for it changes its ids as the guest asks.
    wall: list[str | Path] = [] if os.geteuid() == 0 else [host.find("unshare"), "--user", "--map-root-user"]
    with socket.socket(socket.AF_UNIX) as listener:  # the daemon's alone from then on: gone where it is gone
        listener.bind(os.fspath(name))
        listener.listen(1)
        words = [*wall, program, f"--fd={listener.fileno()}", "-o", f"source={path}", "-o", "sandbox=chroot"]
        running = stack.enter_context(process.start(words, stderr=said, pass_fds=[listener.fileno()]))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and READY not in said.read_bytes():
        if running.wait(0.02) is not None:
            return said.read_text(errors="replace").strip() or "it said nothing"
    return ""

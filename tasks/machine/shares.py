"""Folders of this host that a guest may mount: served by virtiofsd where there is one, else by QEMU itself (9p).

Not every guest has 9p (Debian's cloud kernel has none), and not every host has virtiofsd.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bootsmith.tasks.tools import host, process

PLACES = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd")
"""Debian 13 and Fedora; Debian 12; Arch. No distribution has it on the PATH."""


def daemon() -> Path | None:
    """Return this host's virtiofsd."""
    return next((Path(place) for place in PLACES if os.access(place, os.X_OK)), None)


@contextlib.contextmanager
def served(shares: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Serve folders by virtiofsd, each on a socket of its own, as long as the context lasts; yield tag -> socket.

    Those it cannot serve are left out: they are QEMU's to share. The daemons end with us, and with QEMU.
    """
    program = daemon()
    with contextlib.ExitStack() as stack:
        sockets: dict[str, Path] = {}
        if program and shares:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bootsmith-")))
            for tag, path in shares.items():
                if "," not in str(path):  # it takes options as one list
                    sockets[tag] = _serve(stack, program, path.absolute(), folder / f"{len(sockets)}.sock")
        yield sockets


def _serve(stack: contextlib.ExitStack, program: Path, path: Path, name: Path) -> Path:
    """Start a daemon that listens already, so that nobody has to wait for it."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(os.fspath(name))
    listener.listen(1)
    # As an ordinary user it is root of a namespace, for it changes its ids as the guest asks.
    wall: list[str | Path] = [] if os.geteuid() == 0 else [host.find("unshare"), "--user", "--map-root-user"]
    words = [*wall, program, f"--fd={listener.fileno()}", "-o", f"source={path}", "-o", "sandbox=chroot"]
    stack.enter_context(process.start(words, stderr=name.with_suffix(".log"), pass_fds=[listener.fileno()]))
    return name

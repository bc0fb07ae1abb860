"""TCP ports of this host for machines: found free, and held for as long as their machine runs.

QEMU binds a port a moment after we found it free, and another machine of ours must not find it free meanwhile. What
holds it is a socket that has the port's name and no file, so it is gone with us, however we end.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from bootsmith.tasks.machine import ssh


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port, and we may."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just closed is free; a listener is not
        try:
            probe.bind((ssh.LOOPBACK, port))
        except OSError:
            return False
    return True


class Holding:
    """The ports that one machine holds."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, port: int) -> bool:
        """Hold a port where it is free, and no other machine of ours holds it; tell whether it was."""
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0bootsmith port {port}")
        except OSError:
            holder.close()
            return False
        if not is_free(port):
            holder.close()
            return False
        self._held.append(holder)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for holder in self._held:
            holder.close()

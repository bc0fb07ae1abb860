"""What the kernel tells of names in folders, by inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

MODIFIED: Final = 0x2 | 0x4 | 0x8  # IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE: what a name leads to is another
MOVED: Final = 0x40 | 0x80  # IN_MOVED_FROM, IN_MOVED_TO: a name went, a name came
MADE: Final = 0x100 | 0x200  # IN_CREATE, IN_DELETE
LOST: Final = 0x2000 | 0x4000  # IN_UNMOUNT, IN_Q_OVERFLOW: what else there was is not to be known
_GONE: Final = 0x8000  # IN_IGNORED: the watch has ended
_ONLY_FOLDERS: Final = 0x01000000
_EVENT: Final = struct.Struct("=iIII")  # watch, what, cookie, length of the name behind it
_PIECE: Final = 1 << 16


class Event(NamedTuple):
    """What happened to a name in the folder of a watch."""

    watch: int
    what: int
    name: bytes


class Inotify:
    """Watches over folders; `descriptor` is readable when something happened, and -1 where there can be no watches."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)

    def add(self, folder: bytes, what: int) -> int:
        """Watch over the names in a folder; return the watch, the same for the same folder, or -1."""
        if self.descriptor < 0:
            return -1
        watch: int = self._libc.inotify_add_watch(self.descriptor, folder, what | _ONLY_FOLDERS)
        return watch

    def remove(self, watch: int) -> None:
        """Watch over a folder no more."""
        self._libc.inotify_rm_watch(self.descriptor, watch)

    def events(self) -> Iterator[Event]:
        """Yield what happened since this was asked last."""
        while self.descriptor >= 0:
            try:
                read = os.read(self.descriptor, _PIECE)
            except BlockingIOError:
                return
            at = 0
            while at < len(read):
                watch, what, _, length = _EVENT.unpack_from(read, at)
                at += _EVENT.size + length
                if not what & _GONE:
                    yield Event(watch, what, read[at - length : at].rstrip(b"\0"))

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

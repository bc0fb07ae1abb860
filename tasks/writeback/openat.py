"""A directory tree reached from its top name by name, no link followed: what is done here never happens elsewhere.

Paths are bytes, relative to the top, which is b"". Each step is opened with O_NOFOLLOW, so that a link in the place of
a folder, put there at whatever moment, is an error and not a way out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_FOLDER: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNER: Final = 0o700
_NOT_THERE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Top:
    """An open directory. Every method raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | _FOLDER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        os.close(self._fd)

    @contextmanager
    def folder(self, path: bytes, how: int = os.O_RDONLY) -> Iterator[int]:
        """Open a folder below the top, or the top itself."""
        steps = path.split(b"/") if path else []
        _check(steps)
        fd = os.dup(self._fd)
        try:
            for number, step in enumerate(steps, 1):
                below = os.open(step, (how if number == len(steps) else os.O_PATH) | _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def place(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Open the folder that a path lies in, only to go through it; yield it and the path's last name."""
        above, _, name = path.rpartition(b"/")
        _check([name])
        with self.folder(above, os.O_PATH) as fd:
            yield fd, name

    def status(self, path: bytes) -> os.stat_result | None:
        """Return what stands at a path, a link itself; None where nothing does, or a folder above it is none."""
        try:
            if not path:
                return os.fstat(self._fd)
            with self.place(path) as (fd, name):
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def target(self, path: bytes) -> bytes:
        """Return where a link leads."""
        with self.place(path) as (fd, name):
            return os.readlink(name, dir_fd=fd)

    @contextmanager
    def file(self, path: bytes) -> Iterator[int]:
        """Open a regular file to read it."""
        with self.place(path) as (fd, name):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        try:
            yield file
        finally:
            os.close(file)

    def make(self, path: bytes) -> None:
        """Make a folder that only its owner may enter."""
        with self.place(path) as (fd, name):
            os.mkdir(name, _OWNER, dir_fd=fd)

    def remove(self, path: bytes) -> None:
        """Remove a file, a link or an empty folder."""
        with self.place(path) as (fd, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.rmdir(name, dir_fd=fd)
            else:
                os.unlink(name, dir_fd=fd)

    def move(self, here: bytes, path: bytes) -> None:
        """Put a file in the place of whatever other file is there, at once."""
        with self.place(here) as (source, old), self.place(path) as (target, new):
            os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)

    def open_up(self, path: bytes) -> None:
        """Let the owner of a folder read, write and enter it."""
        with self.folder(path, os.O_PATH) as fd:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & _OWNER != _OWNER:
                os.chmod(f"/proc/self/fd/{fd}", mode | _OWNER)  # noqa: PTH101  the folder itself, whatever its name

    def sweep(self, path: bytes) -> None:
        """Remove a folder of ours and the files in it, if it is there."""
        if self.status(path) is None:
            return
        with self.folder(path) as fd:
            names = os.listdir(fd)  # noqa: PTH208  of an open folder
        for name in names:
            self.remove(path + b"/" + os.fsencode(name))
        self.remove(path)


def _check(steps: list[bytes]) -> None:
    for step in steps:
        if step in (b"", b".", b"..") or b"/" in step or b"\0" in step:
            raise OSError(errno.EINVAL, "not a name", os.fsdecode(step))

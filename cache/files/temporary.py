"""Files and folders under a passing name, files then renamed into place; what dead processes left is swept away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".tmp-"
FOLDER = "bootsmith-passing-"
"""What folders are called in the system's own for passing things."""
_LETTERS = 8  # that tempfile adds
_folders: dict[Path, int] = {}
"""Those that are in use now, each with the process that made it."""


@contextmanager
def temporary(directory: Path, mode: int = 0o644, onto: Path | None = None) -> Iterator[tuple[int, Path]]:
    """Yield a new file's descriptor and path, removed afterwards unless it was renamed. Raises OSError.

    It has exactly `mode`, whatever the umask, and is locked for as long as its writer lives: a process id would
    prove nothing across containers. With `onto` it is not empty but that very file, moved here, if it can be:
    a regular one with no other name, on this file system, that may be written.
    """
    descriptor, path = (onto and _adopt(onto, directory)) or _create(directory)
    try:
        os.fchmod(descriptor, mode)
        yield descriptor, path
    finally:
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _create(directory: Path) -> tuple[int, Path]:
    while True:
        path = directory / f"{PREFIX}{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # no locks on this file system: `sweep` cannot take one either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)  # swept away before it was locked


def _adopt(onto: Path, directory: Path) -> tuple[int, Path] | None:
    """Move a file to a passing name and lock it; None, and nothing done, where that cannot be."""
    path = directory / f"{PREFIX}{os.urandom(8).hex()}"
    with contextlib.suppress(OSError):  # on another file system, held by somebody, not to be written
        descriptor = os.open(onto, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                onto.rename(path)
                taken, descriptor = descriptor, -1
                return taken, path
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    return None


def write(path: Path, data: bytes, mode: int = 0o644, *, drafts: Path | None = None) -> None:
    """Give `path` this content at once: a reader finds the old or the new, never a part. Raises OSError.

    It is written in `drafts`, whose owner sweeps it, or beside `path`, where what dead writers left goes with it.
    """
    if drafts is None:
        sweep(path.parent)
    with temporary(drafts or path.parent, mode) as (descriptor, draft):
        write_all(descriptor, data)
        draft.replace(path)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data` at the descriptor's position. Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def drafts(store: Path) -> Path:
    """Return the folder in which a store's files are written first, swept at the end of each run. Raises OSError."""
    folder = store / "tmp"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sweep(directory: Path) -> None:
    """Remove the files in `directory` whose writer has died; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in directory.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


@contextmanager
def folder(within: Path | None = None) -> Iterator[Path]:
    """Yield a new folder in the system's own for passing things, removed afterwards. Raises OSError.

    It is locked as long as its maker lives; what others of the same user left there when they were killed goes first.
    Or it is `within` a folder, hidden: on the file system of what is to be made there.
    """
    import shutil
    import tempfile

    place = within or Path(tempfile.gettempdir())
    prefix = f".{FOLDER}" if within else FOLDER
    with contextlib.suppress(OSError):
        for name in os.listdir(place):  # noqa: PTH208  a pattern would be made of a user's folder, whatever it is called
            if name.startswith(prefix) and len(name) == len(prefix) + _LETTERS:
                with contextlib.suppress(OSError):
                    _remove_folder_if_dead(place / name)
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        descriptor = -1
        with contextlib.suppress(FileNotFoundError):  # swept away before it was locked
            descriptor = os.open(path, _FOLDER_FLAGS)
            with contextlib.suppress(OSError):  # no locks on this file system: nobody sweeps there either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                break
        if descriptor >= 0:
            os.close(descriptor)
    _folders[path] = os.getpid()
    try:
        yield path
    finally:
        del _folders[path]
        try:
            shutil.rmtree(path)
        finally:
            os.close(descriptor)


def discard() -> None:
    """Remove the folders that this process has in use, for one that ends at once: safe in a signal handler."""
    import shutil

    for path, maker in list(_folders.items()):
        if maker == os.getpid():
            shutil.rmtree(path, ignore_errors=True)


_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _remove_folder_if_dead(path: Path) -> None:
    import shutil

    descriptor = os.open(path, _FOLDER_FLAGS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.geteuid():
            shutil.rmtree(path)
    finally:
        os.close(descriptor)

"""Outputs that are folders: what they weigh, whose their files are, and how they come to their place."""

from __future__ import annotations

import stat
from pathlib import Path

from bootsmith.cache.digest import key
from bootsmith.cache.files.walk import walk
from bootsmith.tasks.build import workdir


def weight(folder: Path) -> int:
    """Return the bytes that a folder's files hold."""
    return sum(each.status.st_size for each in walk(folder, absent=(OSError,)) if stat.S_ISREG(each.status.st_mode))


def owners(folder: Path) -> str:
    """Return a digest of who owns what in a folder, which its fingerprint does not tell. Raises OSError."""
    top = folder.lstat()
    found: list[key.Value] = [[b"", top.st_uid, top.st_gid]]
    found += [[each.inside, each.status.st_uid, each.status.st_gid] for each in walk(folder)]
    return key.key({"owners": found})


def put(folder: Path, final: Path, aside: Path) -> None:
    """Move a folder to its place; what was there goes `aside`, on the same file system."""
    if final.is_dir():
        _move(final, aside)
    _move(folder, final)


def _move(folder: Path, to: Path) -> None:
    """Rename a folder, which must be writable itself where its parent is to be another."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IWUSR:
        folder.rename(to)
        return
    folder.chmod(mode | stat.S_IWUSR)
    folder.rename(to)
    to.chmod(mode)


def remove(path: Path) -> None:
    """Remove an output, a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        workdir.remove_tree(path)
    else:
        path.unlink()

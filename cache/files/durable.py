"""Durability: files and the folders they lie in, made to survive a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

FEW = 16  # files synced one by one; for more of them one call for the whole file system takes a fraction of the time


def sync(written: Iterable[Path], root: Path) -> None:
    """Make files below `root` durable, and their names; what is gone meanwhile, or cannot be, is passed over."""
    files = list(written)
    if len(files) > FEW and _sync_file_system(root):
        return
    folders = {path.parent: None for path in files}
    for path in [*files, *folders, *{folder.parent: None for folder in folders}]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.fsync(descriptor)
        except OSError:
            continue  # not durable here: that only costs making it again
        finally:
            os.close(descriptor)


def _sync_file_system(path: Path) -> bool:
    """Sync all of the file system that `path` is on; tell whether it worked. Python has no name for syncfs(2)."""
    from ctypes import CDLL

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(CDLL(None).syncfs(descriptor) == 0)
    except AttributeError:
        return False
    finally:
        os.close(descriptor)

"""Build directories: what of them may go, since the store has all of it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep.contents import Contents
from bootsmith.cache.keep.roots import STATE, Root

IDLE = 30 * 86400.0
"""Seconds after its last build or restore in which a build directory is left alone, where nobody says otherwise."""


def trim(contents: Contents, root: Root, *, dry_run: bool) -> tuple[int, int]:
    """Remove what a build directory holds between its stages, and the store has whole; return files, bytes on disk.

    The next build takes back of it what it needs: nothing is made again. Nothing goes while somebody builds there.
    """
    lock = FileLock(root.build / STATE / "lock", create=False)
    with suppress(OSError):
        if not lock.try_acquire():
            return 0, 0
        try:
            count = size = 0
            for path, occupied in _restorable(contents, root):
                if not dry_run:
                    path.unlink()
                count, size = count + 1, size + occupied
            return count, size
        finally:
            lock.release()
    return 0, 0


def _restorable(contents: Contents, root: Root) -> Iterator[tuple[Path, int]]:
    """Yield the files that their stages' results in the store hold, and what each occupies."""
    records = {record.stage: record for record in root.records()}
    for name, stage in root.spare.items():
        record = records.get(stage)
        if record is None:
            continue
        sizes = {str(output["file"]): output["size"] for output in record.outputs.values()}
        needed = contents.closure([f"results/{record.key}"])
        path = root.build / name
        with suppress(OSError):
            status = path.lstat()
            same = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and sizes.get(path.name) == status.st_size
            if same and needed <= contents.items.keys() and len(needed) > 1:
                yield path, status.st_blocks * 512

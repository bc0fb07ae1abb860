"""A filesystem taken out of a disk's file, worked on, and put back where it was, larger or smaller."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bootsmith.tasks.disk import splice


def work_on(  # noqa: PLR0917  where it is and is to be, in this order
    disk: Path, start: int, old: int, new: int, part: Path, work: Callable[[Path], None]
) -> None:
    """Have `work` done on a filesystem in the new file `part`, out of a disk and back into it.

    For resize2fs cuts off whatever follows a filesystem in a file, wherever that began.
    """
    with disk.open("rb") as whole, part.open("xb") as own:
        own.truncate(old)
        splice.copy(whole.fileno(), start, own.fileno(), 0, old)
    try:
        os.truncate(part, max(old, new))
        work(part)
        os.truncate(part, new)
        with part.open("rb") as own, disk.open("r+b") as whole:
            splice.make_equal(own.fileno(), whole.fileno(), target_at=start)
    finally:
        part.unlink()

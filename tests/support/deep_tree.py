"""Directories deeper than a path, or Python's stack, reaches: made and removed name by name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def deep_tree(top: Path, depth: int, *, name: str = "d") -> Iterator[int]:
    """Make a directory with others in it, `depth` of them, and yield the last one, open; remove them all after.

    pytest, as shutil.rmtree, would fail at it.
    """
    top.mkdir(exist_ok=True)
    last = os.open(top, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir(name, dir_fd=last)
            above, last = last, os.open(name, os.O_RDONLY, dir_fd=last)
            os.close(above)
        yield last
    finally:
        os.close(last)
        subprocess.run(["rm", "-rf", "--", top], check=True)

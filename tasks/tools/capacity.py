"""How much room this machine has: free memory and free disk, in bytes."""

from __future__ import annotations

from pathlib import Path


def memory_available() -> int:
    """Return the bytes of memory that programs can take without swapping."""
    import psutil

    return psutil.virtual_memory().available


def disk_free(path: Path) -> int:
    """Return the bytes that we may still write to the file system that holds `path`, which must exist."""
    import psutil

    return psutil.disk_usage(str(path)).free

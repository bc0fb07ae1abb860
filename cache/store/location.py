"""Where things are, and what the environment says of it; apart from what uses them, which takes longer to load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bootsmith.cache.digest.key import key

SIZE, AGE = "BOOTSMITH_CACHE_SIZE", "BOOTSMITH_CACHE_AGE"  # see limits.py
ROOTS = "roots"
PRIVATE = 0o700  # mode of folders that hold what images hold: there may be password hashes and keys


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the store is unless somebody says otherwise: absolute, and not necessarily there yet."""
    if named := environ.get("BOOTSMITH_CACHE"):
        return Path(named).absolute()
    caches = Path(environ.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():  # unset, empty, or relative, which the XDG specification tells to ignore
        caches = Path(environ.get("HOME") or Path.home()) / ".cache"
    return caches / "bootsmith"


def root(store: Path, build: Path) -> Path:
    """Return the file in which a store notes that a build directory uses it; see roots.py."""
    return store / ROOTS / f"{key({'build': str(build)})}.json"

"""doit's own database: a throw-away, for nothing rests on it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

DATABASE = "build/.doit.json"


def discard_broken(path: Path) -> None:
    """Move a database doit would trip over aside; it holds nothing that matters."""
    try:
        found = json.loads(path.read_bytes())
        healthy = isinstance(found, dict) and all(isinstance(value, dict) for value in found.values())
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError):
        healthy = False
    if not healthy:
        with suppress(OSError):  # a folder that is not ours to write: the run says so
            path.replace(path.with_suffix(".broken"))

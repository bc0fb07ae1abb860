"""Results: for one key, the outputs it gave. A file that lies under another key's name is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from bootsmith.cache.files import sealed

KIND = "result 2"
Outputs: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Role -> {"hash", "size", ...}."""


def location(root: Path, key: str) -> Path:
    """Return where the result of a key lies in the store at `root`."""
    return root / "results" / key[:2] / key


def write(root: Path, key: str, outputs: Outputs) -> None:
    """Keep what a key gave; the folders must be there. Raises OSError."""
    body = {"key": key, "outputs": {role: dict(output) for role, output in outputs.items()}}
    sealed.write(location(root, key), KIND, json.dumps(body).encode(), drafts=root / "tmp")


def read(root: Path, key: str) -> Outputs | None:
    """Return what a key gave, or None where that is not known, its file damaged or another key's."""
    body = sealed.read(location(root, key), KIND)
    if body is None:
        return None
    found = json.loads(body)
    outputs: Outputs = found["outputs"]
    return outputs if found["key"] == key else None

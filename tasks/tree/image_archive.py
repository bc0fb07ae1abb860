"""A container engine's image, as `docker save` or an OCI layout has it: its tree is packed within, layer by layer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bootsmith.tasks.errors import StageError

DOCKER, OCI = "manifest.json", "oci-layout"
"""Files at the top, by which they are told."""
_INDEX: Final = "index.json"
"""By which a layout is read; one that lacks the other file is told by it."""
_LARGEST: Final = 4 << 20  # bytes of such a file


def check(what: str, sizes: Iterable[tuple[str, int]], read: Callable[[str], bytes]) -> None:
    """Refuse an image where a tree should be: `sizes` are the files at its top. Raises StageError."""
    for name, size in sizes:
        if name in (DOCKER, OCI) and size <= _LARGEST and (kind := _kind(name, read(name))):
            raise StageError(
                f"{what} is {kind}: no tree, but layers of one",
                "A recipe takes it as source: oci. Or load it into an engine, and export what it comes to: "
                "CONTAINER=$(podman create IMAGE); podman export $CONTAINER >tree.tar (docker: the same words).",
            )


def holds_image(tar: Path) -> bool:
    """Tell whether an unpacked tar is such an image; one that is damaged, or packed, is not told here."""
    from bootsmith.tasks.tree.tar import scan

    try:
        found = [entry for entry in scan(tar) if entry.path in (DOCKER, OCI, _INDEX) and entry.size <= _LARGEST]
        with tar.open("rb") as file:
            return any(_kind(entry.path, os.pread(file.fileno(), entry.size, entry.offset)) for entry in found)
    except (StageError, OSError):
        return False


def _kind(name: str, data: bytes) -> str:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if name == _INDEX:
        rows = found.get("manifests") if isinstance(found, dict) else None
        is_index = isinstance(rows, list) and any(isinstance(each, dict) and "digest" in each for each in rows)
        return "an OCI image" if is_index else ""
    if name == OCI:
        return "an OCI image" if isinstance(found, dict) and "imageLayoutVersion" in found else ""
    images = found if isinstance(found, list) else []
    return "what docker save wrote" if any(isinstance(each, dict) and "Layers" in each for each in images) else ""

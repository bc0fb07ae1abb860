"""Units of systemd that the declared system brings: their files, and the links that start them."""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.units import ETC

FOLDER: Final = "usr/lib/bootsmith"
"""Where programs of ours stand in a tree."""


def start(delta: Delta, key: str, name: str, text: str, *, by: str = "multi-user.target") -> None:
    """Add a unit that `by` starts, for the key that wants it. Raises StageError where there is no systemd."""
    if not delta.tree.find("lib/systemd/systemd"):
        raise StageError(f"{key} needs systemd, and the tree has none", "Add it, or leave that key out.")
    delta.add_file(f"{ETC}/{name}", text.encode())
    delta.add_link(f"{ETC}/{by}.wants/{name}", f"/{ETC}/{name}")

"""A password or key by reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Secret:
    """Where to read a password or key, never the text itself.

    Exactly one of `file`, `env`, `hash` is set; `hash` is a crypt(3) string, public enough to stand in a recipe.
    """

    file: Path | None = None
    env: str | None = None
    hash: str | None = None

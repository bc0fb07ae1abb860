"""A password or key by reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Secret:
    """Where to read a password or key, never the text itself.

    Exactly one of `file`, `env`, `hash` is set; `hash` is a crypt(3) string, public enough to stand in a recipe.
    `where` is `file:line:column: key` of the recipe that says so, as seen from where it was read, and `holds` what is
    to be found there; neither is part of what a secret is, and no remembered plan has them.
    """

    file: Path | None = None
    env: str | None = None
    hash: str | None = None
    where: str = field(default="", compare=False)
    holds: str = field(default="", compare=False)

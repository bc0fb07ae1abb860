"""Where packages come from that are put on top of a tree which was not installed from packages here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bootsmith.tasks.recipe.model.source import Repository


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of the tree's own distribution; `suite` and `components` None as the tree has them."""

    suite: str | None
    components: tuple[str, ...] | None
    recommends: bool
    docs: bool
    security: bool
    mirror: str | None
    keyring: Path | None
    repositories: tuple[Repository, ...]

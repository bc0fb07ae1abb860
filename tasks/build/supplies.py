"""What a stage is supplied with while it runs: its secrets, and files that it has fetched.

Code of no stage: of a secret the key has a digest, and what is fetched is what its SHA-256 says, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.secret import read_secret

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Stage


class Supplies:
    """Those of one run: `downloads` are the SHA-256 of what it had fetched, `grown` the bytes new in the store."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self.downloads: tuple[str, ...] = ()
        self.grown = 0
        self._store = store

    @staticmethod
    def secret(stage: Stage, role: str) -> bytes:
        """Return the bytes of a secret. Raises StageError."""
        return read_secret(stage.secrets[role], f"{stage.name}: the secret for {role}")

    def fetch(self, stage: Stage, files: Sequence[Download], say: Callable[[str], None]) -> Mapping[str, Path]:
        """Have the stage's fetcher bring files into the store; return where each is, by SHA-256."""
        if stage.fetcher is None:
            raise AssertionError(f"{stage.name} fetches files, and does not declare what does")
        store = self._store()
        grown = sum(each.size for each in files if store.path_sha256(each.sha256) is None)
        module, _, function = stage.fetcher.partition(":")
        found: Mapping[str, Path] = getattr(import_module(module), function)(files, stage.hints, store, say)
        self.downloads += tuple(each.sha256 for each in files)
        self.grown += grown
        return found

"""What a stage is supplied with while it runs: its secrets, and files that it has fetched.

Code of no stage: of a secret the key has a digest, and what is fetched is what its SHA-256 says, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bootsmith.cache.errors import Unwritable
from bootsmith.tasks.build.secret import read_secret

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Json, Stage

    Fetcher: TypeAlias = Callable[
        [Sequence[Download], Mapping[str, Json], Store, Callable[[str], None]], Mapping[str, Path]
    ]


class Supplies:
    """Those of one run: `downloads` are the SHA-256 of what it had fetched, `grown` the bytes new in the store.

    `scratch` is a folder for what a store that is only read cannot keep.
    """

    def __init__(self, store: Callable[[], Store], scratch: Path) -> None:
        self.downloads: tuple[str, ...] = ()
        self.grown = 0
        self._store = store
        self._scratch = scratch

    @staticmethod
    def secret(stage: Stage, role: str) -> bytes:
        """Return the bytes of a secret. Raises StageError."""
        return read_secret(stage.secrets[role], f"{stage.name}: the secret for {role}")

    def fetch(self, stage: Stage, files: Sequence[Download], say: Callable[[str], None]) -> Mapping[str, Path]:
        """Have the stage's fetcher bring files into the store; return where each is, by SHA-256.

        Where the store is only read, what it lacks comes into one of this run's own.
        """
        from bootsmith.cache.store.store import Store

        if stage.fetcher is None:
            raise AssertionError(f"{stage.name} fetches files, and does not declare what does")
        store = self._store()
        grown = sum(each.size for each in files if store.path_sha256(each.sha256) is None)
        module, _, function = stage.fetcher.partition(":")
        fetch: Fetcher = getattr(import_module(module), function)
        self.downloads += tuple(each.sha256 for each in files)
        try:
            found = fetch(files, stage.hints, store, say)
        except Unwritable:
            there = [each for each in files if store.verify_sha256(each.sha256)]
            missing = [each for each in files if each not in there]
            found = {**fetch(there, stage.hints, store, say), **fetch(missing, stage.hints, Store(self._scratch), say)}
        else:
            self.grown += grown
        return found

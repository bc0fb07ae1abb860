"""What one process knows and remembers of files, code and host programs."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith import STARTED
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.context import StageContext

CONTEXT = "bootsmith.tasks.build.context"
RUNNER = "bootsmith.tasks.build.tool_runner"  # how tools are run shapes the outputs of who runs some


class Identities:
    """What one process knows and remembers of files, code and tools: shared by all builders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.memo = Memo(root / "memo")
        self.codes: dict[str, str] = {}
        """Identities of modules, as far as they are known."""
        self._loaded: set[str] = set()
        self._doubtful: set[str] = set()  # modules that may have come out of another folder
        self._guard = threading.Lock()

    @cached_property
    def store(self) -> Store:
        from bootsmith.cache.store.store import Store

        return Store(self.root)

    def code(self, stage: Stage, *, reread: bool = False) -> str:
        """Return the identity of a stage's modules, of all they import, and of the Python that runs them.

        Sources are looked at once in a process, unless `reread`.
        """
        from bootsmith.cache.digest.code import module_identities

        names = entry_modules(stage)
        missing = [name for name in names if reread or name not in self.codes]
        if missing:
            self.codes |= module_identities(missing, self.memo, reread=reread)
        return f"{' '.join(self.codes[name] for name in names)} {sys.implementation.cache_tag}"

    def load(self, stage: Stage) -> Callable[[StageContext], None]:
        """Return the function a stage runs: of the code the key names. Raises StageError if too late."""
        from importlib import import_module

        from bootsmith.cache.digest.bytecode import discard_stale

        with self._guard:
            sources = self.sources(stage)
            stale = discard_stale({name: path for name, path in sources.items() if name not in self._loaded})
            _wait_before_loading(sources)
            self._refuse_if_edited([name for name in stale if name in sys.modules] or _edited_since_loaded(sources))
            self._refuse_if_edited(sorted(self._doubtful & sources.keys()))
            self._loaded.update(sources)
            module, _, function = stage.run.partition(":")
            found: Callable[[StageContext], None] = getattr(import_module(module), function)
            return found

    @contextmanager
    def loading(self, stage: Stage) -> Iterator[None]:
        """Watch the folders above code that may be loaded meanwhile. Raises StageError where one was moved."""
        from bootsmith.cache.files.moves import Moves

        new = {name: path for name, path in self.sources(stage).items() if name not in sys.modules}
        with Moves(new.values()) as moves:
            try:
                yield
            finally:
                if moves.found():
                    self._doubtful.update(new)
        self._refuse_if_edited(sorted(self._doubtful & new.keys()))

    def refuse_edited(self, stage: Stage) -> None:
        """Raise StageError if what was loaded of a stage's code may be older than its source, or half of it."""
        self._refuse_if_edited(_edited_since_loaded(self.sources(stage)))

    @staticmethod
    def _refuse_if_edited(names: list[str]) -> None:
        if names:
            raise StageError(
                f"{', '.join(names)} changed while it was being loaded: an older version is running",
                "Run the same command again.",
            )

    def sources(self, stage: Stage) -> dict[str, Path]:
        """Return the files that a stage's code is made of, by module."""
        from bootsmith.cache.digest.code import sources

        return {name: path for each in entry_modules(stage) for name, path in sources(each, memo=self.memo).items()}

    def tool(self, name: str) -> str:
        """Return the identity of a host program. Raises ToolMissing."""
        from bootsmith.tasks.tools import identity

        return identity.of_tool(name, self.memo)

    def tool_files(self, name: str) -> list[str]:
        """Return the files that a host program's identity was read from. Raises ToolMissing."""
        from bootsmith.tasks.tools import identity

        return identity.files_of(name, self.memo)

    # -- for words about a change, see evidence.py

    def modules(self, stage: Stage) -> dict[str, str]:
        """Return what a stage's code is made of: module -> fingerprint of its source."""
        from bootsmith.cache.digest.code import modules

        return {name: digest for each in entry_modules(stage) for name, digest in modules(each, memo=self.memo).items()}

    def about_tool(self, identity: str) -> Mapping[str, Any] | None:
        """Return what an identity of a host program stands for, where it is known; see tools/identity.py."""
        from bootsmith.tasks.tools import identity as identities

        return identities.about(identity, self.memo)

    def keep(self, value: Mapping[str, Any]) -> str | None:
        """Put something into the store that nothing rests on; return its name, or None where it cannot be kept."""
        try:
            return self.store.put_bytes(json.dumps(value, sort_keys=True).encode())
        except CacheError:
            return None

    def kept(self, digest: str | None) -> Any:
        """Return what was kept under a name; None where it is not there any more."""
        data = self.store.get_bytes(digest) if digest else None
        return None if data is None else json.loads(data)

    def save(self) -> None:
        """Keep what was learned for the next process."""
        self.memo.save()


_began: dict[str, int] = {}
"""Module -> when, in ns since 1970, it was about to be loaded, of those that a stage was the first to need."""


def _wait_before_loading(sources: Mapping[str, Path]) -> None:
    """Wait until whatever is written to sources that are yet to be loaded shows, and note when that is."""
    new = {name: path for name, path in sources.items() if name not in sys.modules}
    stats = [status for path in new.values() if (status := _stat(path))]
    clock.rest_until(max(map(clock.marked, stats), default=0))
    _began.update(dict.fromkeys(new, time.time_ns()))


def _edited_since_loaded(sources: Mapping[str, Path]) -> list[str]:
    """Return the modules that may be, in memory, of another source than the one there is.

    A source that is said to be changed in the future is not among them: the clock was set back since.
    """
    now, stats = time.time_ns(), {name: _stat(path) for name, path in sources.items()}
    return [
        name
        for name, status in stats.items()
        if status is None or _began.get(name, STARTED) < clock.marked(status) <= now + clock.COARSE + clock.SLACK
    ]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def entry_modules(stage: Stage) -> tuple[str, ...]:
    """Return the modules that a stage's code begins with."""
    return (stage.run.partition(":")[0], *stage.loads, CONTEXT, *([RUNNER] if stage.tools else []))

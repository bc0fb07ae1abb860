"""A stage about to run: the context that its function is called with."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bootsmith.tasks.build.context import StageContext
from bootsmith.tasks.build.indexes import Indexes
from bootsmith.tasks.build.supplies import Supplies
from bootsmith.tasks.build.tool_runner import ToolRunner
from bootsmith.tasks.tools import host
from bootsmith.tasks.tools.usage import Usage

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Stage


_working: list[None] = []
_mutex = threading.Lock()


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python look for no cycles: a large tree's tuples are in none, and it would take an eighth of a build."""
    with _mutex:
        if not _working:
            gc.disable()
        _working.append(None)
    try:
        yield
    finally:
        with _mutex:
            _working.pop()
            if not _working:
                gc.enable()


def _silent(_text: str) -> None:
    pass


def context(
    stage: Stage,
    outputs: Mapping[str, Path],
    work: Path,
    store: Callable[[], Store],
    *,
    previous: Path | None = None,
    indexes: Indexes | None = None,
    log: BinaryIO | None = None,
    say: Callable[[str], None] = _silent,
    tell: Callable[[str], None] = _silent,
) -> StageContext:
    """Return the context of one run; what it fetches goes to the store, asked for when the first file is.

    Without `indexes`, files are read where it is asked what they hold.
    """
    runner, supplies = ToolRunner(host.find, Usage(), log), Supplies(store, work / "fetched")
    known = indexes or Indexes(stage.inputs, previous)
    return StageContext(stage, outputs, work, runner, supplies, known, previous, say, tell)

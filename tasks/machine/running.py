"""The machines that run now, each noted in a small file that is locked for as long as it runs: so `ssh` finds them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files.lock import FileLock


@dataclass(frozen=True, slots=True)
class Noted:
    """A machine: its recipe's file (None: it has none), what it runs, the way in by ssh, and who runs it.

    One without a way in is yet to start: what it runs is being made, or read.
    """

    recipe: Path | None
    what: str
    port: int | None
    key: Path | None
    pid: int


@contextlib.contextmanager
def note(folder: Path, machine: Noted) -> Iterator[None]:
    """Note a machine in `folder` for as long as the context lasts, and no longer than this process."""
    folder.mkdir(parents=True, exist_ok=True)
    find(folder)  # machines that were killed have left notes
    name = f"{time.time_ns()}-{os.getpid()}"
    draft, final = folder / f"{name}.new", folder / f"{name}.json"
    facts = {
        "recipe": str(machine.recipe) if machine.recipe else None,
        "what": machine.what,
        "port": machine.port,
        "key": str(machine.key) if machine.key else None,
        "pid": machine.pid,
    }
    draft.write_text(json.dumps(facts))
    with FileLock(draft, create=False):  # before it can be found: an unlocked note is a dead machine's
        draft.rename(final)
        try:
            yield
        finally:
            final.unlink(missing_ok=True)


def find(folder: Path) -> list[Noted]:
    """Return the machines noted in `folder` that run, the newest first; the notes of others are removed."""
    found = []
    for file in sorted(folder.glob("*.json"), reverse=True):
        with contextlib.suppress(FileNotFoundError, CacheError):
            if _is_held(file):
                facts = json.loads(file.read_text())
                recipe = Path(facts["recipe"]) if facts["recipe"] else None
                key = Path(facts["key"]) if facts["key"] else None
                found.append(Noted(recipe, facts["what"], facts["port"], key, facts["pid"]))
            else:
                file.unlink(missing_ok=True)
    return found


def _is_held(file: Path) -> bool:
    """Tell whether somebody holds the note. A process id would prove nothing: another may have it by now."""
    lock = FileLock(file, create=False)
    if not lock.try_acquire(shared=True):
        return True
    lock.release()
    return False

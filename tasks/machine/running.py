"""The machines that run now, each noted in a small file that is locked for as long as it runs: so others find them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import temporary
from bootsmith.cache.files.lock import FileLock


@dataclass(frozen=True, slots=True)
class Noted:
    """A machine: its recipe's file (None: it has none), what it runs, the way in by ssh, and who runs it.

    One that is not `started` is yet to start: what it runs is being made, or read. `name` is what commands call it,
    another one for each; `since` when it was noted, in seconds; `ports` leads from this host's to the guest's;
    `console` is the file that the console is written to; one that is `detached` runs in the background.
    """

    recipe: Path | None
    what: str
    port: int | None
    key: Path | None
    pid: int
    started: bool = True
    name: str = ""
    since: float = 0.0
    ports: tuple[tuple[int, int], ...] = ()
    console: Path | None = None
    detached: bool = False
    space: int = 0
    """Which process ids `pid` is one of, as the kernel numbers their namespaces."""


@contextlib.contextmanager
def note(folder: Path, machine: Noted) -> Iterator[Noted]:
    """Note a machine in `folder` for as long as the context lasts, and no longer than this process; yield the note.

    One without a name is called after its recipe, or what it runs, and so is one whose name is taken: with a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary.sweep(folder)
    with contextlib.ExitStack() as stack:
        with FileLock(folder / ".lock"):  # of two that start at once, one takes the name first
            own = (os.getpid(), os.getppid())  # who has announced this very machine
            found = find(folder)  # machines that were killed have left notes: they go
            names = {each.name for each in found if each.started or each.pid not in own}
            since = time.time()
            noted = dataclasses.replace(machine, name=_name(machine, names), since=since, space=_space())
            descriptor, draft = stack.enter_context(temporary.temporary(folder, 0o600))
            temporary.write_all(descriptor, json.dumps(facts(noted)).encode())
            final = folder / f"{time.time_ns()}-{os.getpid()}.json"
            draft.rename(final)  # locked before it can be found: an unlocked note is a dead machine's
        try:
            yield noted
        finally:
            final.unlink(missing_ok=True)


def find(folder: Path) -> list[Noted]:
    """Return the machines noted in `folder` that run, the newest first; the notes of others are removed."""
    found = []
    for file in sorted(folder.glob("*.json"), reverse=True):
        with contextlib.suppress(FileNotFoundError, CacheError):
            if _is_held(file):
                with contextlib.suppress(ValueError, TypeError, KeyError):  # none of ours, whoever holds it
                    found.append(from_facts(json.loads(file.read_text())))
            else:
                file.unlink(missing_ok=True)
    return found


def has_our_numbers(machine: Noted) -> bool:
    """Tell whether the process id noted means here what it meant there: a container counts its own."""
    return machine.space == _space()


def _name(machine: Noted, taken: set[str]) -> str:
    wanted = machine.name or (machine.recipe.stem if machine.recipe else Path(machine.what.split(" ")[-1]).name)
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", wanted).strip("-.") or "machine"
    return next(name for number in range(1, len(taken) + 2) if (name := _numbered(plain, number)) not in taken)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def facts(machine: Noted) -> dict[str, Any]:
    """Return a note as JSON has it."""
    found = dataclasses.asdict(machine)
    return {name: str(value) if isinstance(value, Path) else value for name, value in found.items()}


def from_facts(noted: Mapping[str, Any]) -> Noted:
    """Return the note that JSON holds. Raises ValueError, TypeError or KeyError where it holds none."""
    paths = {name: Path(noted[name]) if noted[name] else None for name in ("recipe", "key", "console")}
    ports = tuple((int(host), int(guest)) for host, guest in noted["ports"])
    return Noted(**{**noted, **paths, "ports": ports})


def _space() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116  a link that leads nowhere
    except OSError:
        return 0


def _is_held(file: Path) -> bool:
    """Tell whether somebody holds the note. A process id would prove nothing: another may have it by now."""
    lock = FileLock(file, create=False)
    if not lock.try_acquire(shared=True):
        return True
    lock.release()
    return False

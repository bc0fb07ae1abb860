"""The garbage collector: removes what was used least recently, never what a running build or a current record needs.

It looks without a lock, chooses, and then removes in short batches, alone, reading the leases again for each. What
names goes before what is named, so it can be killed at any instant: the next one finds the rest.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import temporary
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep import builds, key_lock, roots
from bootsmith.cache.keep.contents import BY_FOLDER, Contents, Item, scan
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.lease import GC, REMOVAL, Leased

BATCH = 64  # files removed while others wait: a few milliseconds
PAUSE = 0.001  # seconds between batches, for those who waited
TRIES = 100  # with one pause before each, where nobody is to be waited for
SHORT_LIVED = {"quarantine": 7 * 86400.0, "plans": 30 * 86400.0, "trees": 30 * 86400.0}
"""Seconds for which these are kept unused, at most."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The names gc leaves alone: what the current records of `builds` need, and what living processes hold."""

    records: set[str]
    leases: set[str]
    builds: tuple[Path, ...] = ()

    def __contains__(self, name: object) -> bool:
        return name in self.records or name in self.leases


@dataclass(slots=True)
class Report:
    """What gc did, or would do. Sizes are bytes on disk; `removed` counts things by kind.

    `trimmed` counts the files that left build directories, of `freed` bytes.
    """

    limits: Limits
    before: int = 0
    after: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    builds: tuple[Path, ...] = ()
    for_records: int = 0
    for_leases: int = 0
    trimmed: int = 0
    freed: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the store is larger than it may be, all the same."""
        return self.limits.size is not None and self.after > self.limits.size

    def count(self, item: Item) -> None:
        """Count a thing as removed."""
        self.removed[item.kind] += 1
        self.after -= item.size


class Busy(CacheError):
    """Another gc is at work, or a process keeps gc out, and it was not to be waited for."""


def collect(
    root: Path, limits: Limits, *, dry_run: bool = False, waiting: Callable[[str], None] | None = None
) -> Report:
    """Bring the store below `root` within its limits, as far as nothing needed is in the way.

    Whoever is in the way is waited for, and `waiting` told who that is; without `waiting` Busy is raised. A dry run
    changes nothing. Raises CacheError where the store cannot be read or written.
    """
    if not root.exists():
        return Report(limits)
    try:
        if dry_run:
            contents, _, chosen, report = _choose(root, Leased(root, clear=False), limits)
            for item in chosen:
                report.count(item)
            _trim(contents, report, roots.read(root).values(), dry_run=True)
            return report
        with held(FileLock(root / GC), waiting):
            return collect_alone(root, limits, waiting)
    except OSError as error:
        raise CacheError(
            f"the store {root} cannot be cleared: {error.strerror} ({error.filename})",
            "Let it be read and written, or let BOOTSMITH_CACHE name another.",
        ) from error


def needs(contents: Contents, noted: Iterable[roots.Root], leased: Iterable[str], now: float) -> Needs:
    """Return what must stay: what is named by records or leases, and all that those need in turn."""
    records: set[str] = set()
    builds = []
    for each in noted:
        state = each.state(now)
        if state != "gone":
            builds.append(each.build)
            records |= each.names(state)
    return Needs(contents.closure(records), contents.closure(leased), tuple(builds))


def choose(contents: Contents, kept: Needs, limits: Limits, now: float) -> list[Item]:
    """Return what to remove, in order: things past their age or of no use, the least recently used beyond the size.

    Then past builds of which nothing is left, or, beyond the size, not all; then what nothing names any more: blobs,
    then chunks.
    """
    references = _References(contents, kept)
    size = contents.size - sum(item.size for item in references.freed)
    chosen = []
    units = [item for item in contents.items.values() if item.kind not in ("blobs", "chunks") and item.name not in kept]
    for unit in sorted(units, key=lambda item: item.used):
        ages = (limits.age, SHORT_LIVED.get(unit.kind))
        is_old = any(age is not None and now - unit.used > age for age in ages)
        is_useless = unit.kind == "old" or (unit.kind == "results" and contents.outputs(unit.name) is None)
        is_too_much = limits.size is not None and size > limits.size and unit.kind != "history"
        if is_old or is_useless or is_too_much:
            chosen.append(unit)
            size -= unit.size + references.drop(unit.name)
    left = contents.items.keys() - {item.name for item in chosen}
    builds = [unit for unit in units if unit.kind == "history" and unit.name in left]
    for build in sorted(builds, key=lambda item: item.used):
        results = contents.results_of(build.name)
        is_too_much = limits.size is not None and size > limits.size
        if results and (left.isdisjoint(results) or (is_too_much and not left.issuperset(results))):
            chosen.append(build)
            size -= build.size
    freed = references.freed
    return [*chosen, *(each for kind in ("blobs", "chunks") for each in freed if each.kind == kind)]


class _References:
    """How often each blob and chunk is named; `freed` are those that are not, or no more."""

    def __init__(self, contents: Contents, kept: Needs) -> None:
        self._items = contents.items
        named = [item.name for kind in ("results", "blobs") for item in contents.of(kind)]
        self._named = {name: contents.named(name) for name in named}
        self._counts = Counter([*kept.records, *kept.leases])
        for result in contents.of("results"):
            self._counts.update(self._named[result.name])
        self.freed: list[Item] = []
        for blob in contents.of("blobs"):
            if self._counts[blob.name]:
                self._counts.update(self._named[blob.name])
            else:
                self.freed.append(blob)
        self.freed += [chunk for chunk in contents.of("chunks") if not self._counts[chunk.name]]

    def drop(self, name: str) -> int:
        """Let go of what a thing names; return the bytes on disk that this frees."""
        size = 0
        for each in self._named.get(name, ()):
            self._counts[each] -= 1
            if not self._counts[each] and each in self._items:
                self.freed.append(self._items[each])
                size += self._items[each].size + self.drop(each)
        return size


def _choose(root: Path, leased: Leased, limits: Limits) -> tuple[Contents, Needs, list[Item], Report]:
    now = time.time()
    leased.refresh()
    contents = scan(root)
    kept = needs(contents, roots.read(root).values(), leased.names, now)
    sizes = {name: contents.items[name].size for name in kept.records | kept.leases if name in contents.items}
    report = Report(
        limits,
        before=contents.size,
        after=contents.size,
        builds=kept.builds,
        for_records=sum(size for name, size in sizes.items() if name in kept.records),
        for_leases=sum(size for name, size in sizes.items() if name not in kept.records),
    )
    return contents, kept, choose(contents, kept, limits, now), report


def collect_alone(root: Path, limits: Limits, waiting: Callable[[str], None] | None = None) -> Report:
    """Do as `collect`, for who holds `locks/gc`. Raises Busy, OSError."""
    removal = FileLock(root / REMOVAL)
    with held(removal, waiting):
        leased = Leased(root)
    contents, kept, chosen, report = _choose(root, leased, limits)
    for path, noted in roots.read(root).items():
        if noted.state(time.time()) == "gone":
            path.unlink(missing_ok=True)
    for start in range(0, len(chosen), BATCH):
        with held(removal, waiting):
            kept.leases.update(contents.closure(leased.refresh()))
            for item in chosen[start : start + BATCH]:
                if item.name not in kept and _remove(item):
                    report.count(item)
                    del contents.items[item.name]
        time.sleep(PAUSE)
    for folder in {Path(draft).parent for draft in contents.drafts}:
        temporary.sweep(folder)
    key_lock.sweep(root)
    _trim(contents, report, roots.read(root).values())
    return report


def _trim(contents: Contents, report: Report, known: Iterable[roots.Root], *, dry_run: bool = False) -> None:
    """Have build directories that are long unused hold nothing twice: what their records need stays in the store."""
    now, age = time.time(), report.limits.age
    for each in known:
        if now - each.noted > (builds.IDLE if age is None else age) and each.state(now) == "here":
            count, size = builds.trim(contents, each, dry_run=dry_run)
            report.trimmed += count
            report.freed += size


def _remove(item: Item) -> bool:
    """Remove one thing; False where somebody has it."""
    if item.kind not in BY_FOLDER:
        for path in item.paths:
            Path(path).unlink(missing_ok=True)
        return True
    folder = Path(item.paths[0])
    lock = FileLock(folder / "lock")
    if not lock.try_acquire():
        return False
    try:
        shutil.rmtree(folder)
    finally:
        lock.release()
    return True


@contextmanager
def held(lock: FileLock, waiting: Callable[[str], None] | None) -> Iterator[None]:
    """Hold a lock that most hold for a moment only; beyond that raise Busy where no one is to be told of the wait."""
    for _ in range(TRIES):
        if lock.try_acquire():
            break
        time.sleep(PAUSE)
    else:
        if waiting is None:
            raise Busy(f"{lock.path} is held", "Try again later.")
        lock.acquire(waiting=waiting)
    try:
        yield
    finally:
        lock.release()

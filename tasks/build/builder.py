"""What makes stages fresh: restores or builds them, record last.

Knows nothing of doit. The order of events is what soundness rests on: the record goes first, outputs are made under a
temporary name on the same file system, inputs are fingerprinted again, outputs are renamed, the record is written last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.digest.fingerprint import fingerprint, note
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files.temporary import sweep
from bootsmith.cache.store import record as records
from bootsmith.tasks.build import cost as costs
from bootsmith.tasks.build import evidence
from bootsmith.tasks.build import workdir as workdirs
from bootsmith.tasks.build.cost import COSTS, Cost
from bootsmith.tasks.build.freshness import Freshness, Status, flat
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import BootsmithError, StageError

if TYPE_CHECKING:
    from bootsmith.cache.store.record import Record
    from bootsmith.tasks.build.reason import Reason

State = Literal["fresh", "restored", "built"]
ATTEMPTS = 3  # at a stage whose inputs are edited while it runs


class Outcome(NamedTuple):
    """What was done for a stage, and the reasons; `size` is the bytes its outputs occupy on disk."""

    state: State
    seconds: float
    size: int
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    """What the user is to know besides, such as an edit while the stage ran."""


class Builder:
    """Makes the stages of one plan fresh, below one build directory."""

    def __init__(self, plan: Plan, identities: Identities, awaits: str = "") -> None:
        self.plan = plan
        self.awaits = awaits
        """What has to be settled before the plan is certain: a lock file that a run would make first."""
        self.identities = identities
        self.freshness = Freshness(plan, identities)
        self.state = self.freshness.state
        self._newest: Mapping[str, Mapping[str, Any]] | None = None  # stages of the last build, once they are asked for
        self._unnoted = self.state / "unnoted"  # there while a build, or a part of one, is not in the history yet

    def status(self, stage: Stage) -> Status:
        """Tell whether a stage is fresh, changing nothing. Answers are kept until the stage is touched."""
        return self.freshness.status(stage)

    # -- making it so

    def ensure(
        self,
        stage: Stage,
        *,
        force: bool = False,
        say: Callable[[str], None] = lambda _: None,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Make a stage fresh and return how. Its producers must be fresh.

        `force` builds even what is fresh or could be restored. `waiting` is told of another build, elsewhere, that is
        at the same key, before this one waits for it. Raises StageError and its kin.
        """
        started = time.monotonic()
        self.freshness.touch(stage)
        stale = [other.name for other in self.plan.producers(stage) if not self.status(other).fresh]
        if stale:
            raise StageError(
                f"{stage.name} depends on {', '.join(stale)}, which {'is' if len(stale) == 1 else 'are'} not fresh",
                "Run it together with what it depends on: without -s.",
            )
        force = force or self.freshness.forgotten(stage).exists()
        before = self.status(stage)
        if not force and before.fresh:
            return Outcome("fresh", time.monotonic() - started, self.occupied(stage))
        cost = self.cost(stage)
        notes = self._check_room(stage, before, cost, force=force) if cost else []
        state: State = "built"
        with self._workdir(stage) as workdir:
            self._unnoted.touch()
            records.remove(self.freshness.record(stage))
            if force or not stage.stored:
                self._build(stage, workdir, say, notes.append)
            elif self._restore(stage, workdir, cost):
                state = "restored"
            else:
                with self._key_lock(stage, waiting):
                    if self._restore(stage, workdir, cost):  # somebody else built it meanwhile
                        state = "restored"
                    else:
                        self._build(stage, workdir, say, notes.append)
        self.freshness.touch(stage, Status(True))
        return Outcome(state, time.monotonic() - started, self.occupied(stage), before.reasons, tuple(notes))

    def _check_room(self, stage: Stage, before: Status, cost: Cost, *, force: bool) -> list[str]:
        """Raise StageError for a stage that will not have room; return it as a note where the user lets it try."""
        from bootsmith.tasks.build.free_space import may_try, shortage

        key = before.key if not force and self.restorable(stage, before) else None
        error = shortage(stage, cost, self.plan.build, self.identities.store, key=key)
        if error is None:
            return []
        if not may_try():
            raise error
        return [f"{error.message}: it was tried all the same"]

    def restorable(self, stage: Stage, status: Status) -> bool:
        """Tell whether the store has what a stage's key gives; whether it is whole, only fetching it can tell."""
        store = self.identities.store
        found = store.result(status.key) if stage.stored and status.key else None
        return (
            found is not None
            and set(found) == set(stage.outputs)
            and all(store.has(output["hash"]) for output in found.values())
        )

    def _key_lock(self, stage: Stage, waiting: Callable[[str], None]) -> AbstractContextManager[None]:
        """Return what keeps other builds, wherever they are, from building the same key at once."""
        from bootsmith.cache.keep.key_lock import hold

        return hold(self.identities.root, keys.key(self.freshness.parts(stage)), waiting)

    def _restore(self, stage: Stage, workdir: Path, cost: Cost | None) -> bool:
        trees: dict[str, dict[str, str]] = {}
        parts = self.freshness.parts(stage, trees=trees)
        key = keys.key(parts)
        result = self.identities.store.result(key)
        if result is None or set(result) != set(stage.outputs):
            return False
        store = self.identities.store
        if not all(store.has(output["hash"]) for output in result.values()):
            return False
        made = {role: workdir / path.name for role, path in stage.outputs.items()}
        older = {stage.carry: self._previous(stage, workdir)}
        if not all(store.fetch(result[role]["hash"], made[role], older.get(role)) for role in made):
            return False
        record = records.Record(
            stage.name,
            key,
            parts,
            result,
            built=time.time(),
            how="restored",
            details=evidence.keep(stage, self.identities, trees),
        )
        if cost:  # what it takes to build is worth knowing still
            record = record._replace(**{name: getattr(cost, name) for name in COSTS})
        self._finish(stage, made, record)
        return True

    def _build(self, stage: Stage, workdir: Path, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
        for attempt in range(ATTEMPTS):
            trees: dict[str, dict[str, str]] = {}
            before = self.freshness.parts(stage, trees=trees)
            made, record = self._attempt(stage, workdir / str(attempt), before, say, tell)
            after = self.freshness.parts(stage, reread=True)
            if keys.key(after) == keys.key(before):
                break
            tell(f"{stage.name}: {'; '.join(keys.diff(before, after))} while it was built: built again")
        else:
            raise StageError(
                f"{stage.name}: its inputs changed during each of {ATTEMPTS} builds",
                "Let whatever writes them finish, then run it again.",
            )
        record = record._replace(details=evidence.keep(stage, self.identities, trees))
        if stage.stored:
            kept = sum(self.identities.store.put(path, record.outputs[role]["hash"]) for role, path in made.items())
            record = record._replace(kept=record.kept + kept)
        with nullcontext() if stage.stored else suppress(CacheError):  # of what is not stored it only tells
            self.identities.store.put_result(record.key, record.outputs)
        self.freshness.forgotten(stage).unlink(missing_ok=True)  # before the record: else a kill between builds twice
        self._finish(stage, made, record)

    def _attempt(
        self,
        stage: Stage,
        workdir: Path,
        parts: Mapping[str, Any],
        say: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> tuple[dict[str, Path], Record]:
        """Run the stage once; return its outputs, still under temporary names, and the record to be."""
        previous = self._previous(stage, workdir)
        try:
            return self._run(stage, workdir, parts, say, tell, previous)
        except (BootsmithError, OSError):
            if previous is None:
                raise
            workdirs.remove_tree(workdir)
            return self._run(stage, workdir, parts, say, tell, None)  # a patch that failed is made anew

    def _run(  # noqa: PLR0917  in the order of those above
        self,
        stage: Stage,
        workdir: Path,
        parts: Mapping[str, Any],
        say: Callable[[str], None],
        tell: Callable[[str], None],
        previous: Path | None,
    ) -> tuple[dict[str, Path], Record]:
        from bootsmith.tasks.build import running

        made = {role: workdir / path.name for role, path in stage.outputs.items()}
        work = workdir / "work"
        work.mkdir(parents=True, exist_ok=True)
        log = self.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with log.open("wb") as sink:
            context = running.context(
                stage,
                made,
                work,
                lambda: self.identities.store,
                previous=previous,
                log=sink,
                say=say,
                tell=lambda text: tell(f"{stage.name}: {text}"),
            )
            function = self.identities.load(stage)
            try:
                function(context)
            except OSError as error:
                raise workdirs.in_words(error, stage.name, workdir) from error
        for role, path in made.items():
            if not path.is_file() or path.is_symlink():
                raise AssertionError(f"{stage.name} did not make its output {role}")
            path.chmod(0o644)
        outputs = {
            role: {"file": path.name, "hash": fingerprint(path, self.identities.memo), "size": path.stat().st_size}
            for role, path in made.items()
        }
        return made, records.Record(
            stage.name,
            keys.key(parts),
            parts,
            outputs,
            seconds=time.monotonic() - started,
            cpu=context.runner.usage.cpu,
            peak=context.runner.usage.peak,
            space=workdirs.occupied(workdir),
            kept=context.supplies.grown,
            downloads=context.supplies.downloads,
            built=time.time(),
            how="built",
            log=log.name,
        )

    def _previous(self, stage: Stage, workdir: Path) -> Path | None:
        """Take the previous output of a stage that patches, unless somebody (a running QEMU) holds it."""
        if stage.carry is None:
            return None
        from bootsmith.cache.files.lock import FileLock

        path = stage.outputs[stage.carry]
        if path.is_symlink() or not path.is_file():
            return None
        lock = FileLock(path, create=False)
        if not lock.try_acquire():
            return None
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            return path.rename(workdir / "previous")
        finally:
            lock.release()

    def _finish(self, stage: Stage, made: Mapping[str, Path], record: Record) -> None:
        for role, path in made.items():
            final = stage.outputs[role]
            workdirs.guard_target(stage.name, final)
            final.parent.mkdir(parents=True, exist_ok=True)
            path.replace(final)
            note(final, record.outputs[role]["hash"], self.identities.memo)
        records.write(self.freshness.record(stage), record)

    @contextmanager
    def _workdir(self, stage: Stage) -> Iterator[Path]:
        for final in stage.outputs.values():
            workdirs.guard_target(stage.name, final)
        with workdirs.workdir(self.state / "tmp" / flat(stage.name), stage.name) as workdir:
            yield workdir

    # -- forgetting and cleaning

    def forget(self, stage: Stage) -> None:
        """Let the next run build the stage, not restore it."""
        marker = self.freshness.forgotten(stage)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.freshness.touch()

    def clean(self, stage: Stage, *, dry_run: bool = False) -> list[Path]:
        """Remove a stage's outputs and its record (the store keeps its copy); return the files there were."""
        present = [path for path in stage.outputs.values() if path.is_file() or path.is_symlink()]
        if not dry_run:
            records.remove(self.freshness.record(stage))
            for path in present:
                path.unlink()
                workdirs.prune(path.parent, self.plan.build)
            self.freshness.touch()
        return present

    def clean_past(self, *, dry_run: bool = False) -> list[Path]:
        """Remove what was brought back of past builds; return the folders there were."""
        folder = self.plan.build / "at"
        if folder.is_symlink() or not folder.is_dir():
            return []
        if not dry_run:
            workdirs.remove_tree(folder)
        return [folder]

    def open(self) -> None:
        """Begin a run: clear away what killed runs left, and forget what was seen before the lock was held."""
        sweep(self.state / "records")
        workdirs.remove_tree(self.state / "tmp")
        self.freshness.touch()

    def close(self) -> None:
        """End a run: note the build; what was verified after a restart of the host need not be verified again."""
        self.freshness.confirm()
        if self._unnoted.exists():
            self._note()

    def _note(self) -> None:
        from bootsmith.tasks.build.history import History

        with suppress(OSError):  # no room for a note: the next run tries again
            if History(self.freshness).note():
                self._unnoted.unlink()

    def cost(self, stage: Stage) -> Cost | None:
        """Return what a stage took when it was last built here, as far as its record or the history tells."""
        record = records.read(self.freshness.record(stage))
        if record is not None and record.space:
            return costs.of_record(record)
        if self._newest is None:
            from bootsmith.tasks.build.history import History

            entry = History(self.freshness).newest()
            self._newest = entry.stages if entry else {}
        past = self._newest.get(stage.name)
        return costs.of_stage(past) if past else None

    # -- where things are

    def log(self, stage: Stage) -> Path:
        """Return the file holding everything the stage's programs printed last time."""
        return self.plan.build / "log" / f"{flat(stage.name)}.log"

    def occupied(self, stage: Stage) -> int:
        """Bytes a stage's outputs occupy on disk."""
        return sum(path.stat().st_blocks * 512 for path in stage.outputs.values())

"""The builder of a plan: makes its stages fresh, below one build directory, cleans and forgets them.

Knows nothing of doit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.files.temporary import sweep, write
from bootsmith.cache.files.walk import occupied
from bootsmith.cache.store import record as records
from bootsmith.tasks.build import folders, leftovers
from bootsmith.tasks.build import workdir as workdirs
from bootsmith.tasks.build.freshness import Freshness, Status, flat
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.cost import Cost
    from bootsmith.tasks.build.reason import Reason

REBUILT = "rebuild"
"""The folder beside the records where all is built once more; gone afterwards, unless it says `DIFFERS`."""
DIFFERS = ".differs"
"""The mark of such a folder that it holds other bytes, which the user was told to look at."""

State = Literal["fresh", "restored", "built"]


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
        seen: bool = False,
        say: Callable[[str], None] = lambda _: None,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Make a stage fresh and return how. Its producers must be fresh.

        `force` builds even what is fresh or could be restored; `seen` lets what `status` saw a moment ago count.
        `waiting` is told of another build, elsewhere, that is at the same key, before this one waits for it. Raises
        StageError and its kin.
        """
        started = time.monotonic()
        if not seen:
            self.freshness.touch(stage)
        stale = [other.name for other in self.plan.producers(stage) if not self.status(other).fresh]
        if stale:
            raise StageError(
                f"{stage.name} depends on {', '.join(stale)}, which {'is' if len(stale) == 1 else 'are'} not fresh",
                "Run it together with what it depends on: without -s.",
            )
        force = force or self.freshness.forgotten(stage).exists()
        before, look = self.freshness.look(stage, again=not seen)
        if not force and before.fresh:
            return Outcome("fresh", time.monotonic() - started, self.occupied(stage))
        from bootsmith.tasks.build.making import Making

        cost = self.cost(stage)
        notes = self._check_room(stage, before, cost, force=force) if cost else []
        for final in stage.outputs.values():
            workdirs.guard_target(stage.name, final, folder=stage.folders)
        with workdirs.workdir(self.state / "tmp" / flat(stage.name), stage.name) as workdir:
            self._unnoted.touch()
            records.remove(self.freshness.record(stage))
            made = Making(self.freshness, stage, workdir, say, look, last=before.record)
            state: State = "built"
            if force or not stage.stored:
                made.build()
            elif made.restore(cost):
                state = "restored"
            else:
                with self._key_lock(keys.key(look.parts), waiting):
                    if made.restore(cost):  # somebody else built it meanwhile
                        state = "restored"
                    else:
                        made.build()
        self.freshness.touch(stage, Status(True))
        seconds = time.monotonic() - started
        return Outcome(state, seconds, self.occupied(stage), before.reasons, (*notes, *made.notes))

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

    def _key_lock(self, key: str, waiting: Callable[[str], None]) -> AbstractContextManager[None]:
        """Return what keeps other builds, wherever they are, from building the same key at once."""
        from bootsmith.cache.keep.key_lock import hold

        return hold(self.identities.root, key, waiting)

    # -- forgetting and cleaning

    def forget(self, stage: Stage) -> None:
        """Let the next run build the stage, not restore it."""
        marker = self.freshness.forgotten(stage)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.freshness.touch()

    def clean(self, stage: Stage, *, dry_run: bool = False) -> list[Path]:
        """Remove a stage's outputs and its record (the store keeps its copy); return the files there were."""
        present = [
            path
            for path in stage.outputs.values()
            if path.is_file() or path.is_symlink() or (stage.folders and path.is_dir())
        ]
        if not dry_run:
            records.remove(self.freshness.record(stage))
            for path in present:
                folders.remove(path)
                workdirs.prune(path.parent, self.plan.build)
            self.freshness.touch()
        return present

    def clean_past(self, *, dry_run: bool = False) -> list[Path]:
        """Remove what was brought back of past builds; return the folders there were."""
        from bootsmith.tasks.build.past import FOLDER

        folder = self.plan.build / FOLDER
        if folder.is_symlink() or not folder.is_dir():
            return []
        if not dry_run:
            workdirs.remove_tree(folder)
        return [folder]

    def clean_left(self, *, dry_run: bool = False) -> list[Path]:
        """Remove what earlier builds made and this plan does not; return the files there were."""
        left = leftovers.note(self.state, self.plan)
        for path in left if not dry_run else ():
            folders.remove(path)
            workdirs.prune(path.parent, self.plan.build)
        return left

    # -- a run

    def open(self) -> None:
        """Begin a run: clear away what killed runs left, and forget what was seen before the lock was held."""
        sweep(self.state / "records")
        workdirs.remove_tree(self.state / "tmp")
        if not (self.state / REBUILT / DIFFERS).exists():
            workdirs.remove_tree(self.state / REBUILT)
        self.freshness.touch()

    def claim(self) -> Path | None:
        """Note of which recipe the builds here are; return another one, still there, that the last build was of."""
        build = os.path.realpath(self.plan.build)
        note, mine = self.state / "recipe", os.path.relpath(os.path.realpath(self.plan.recipe), build)  # copies agree
        try:
            last = os.fsdecode(note.read_bytes())
        except OSError:
            last = ""
        if last == mine:
            return None
        with suppress(OSError):  # the next run tries again
            write(note, os.fsencode(mine))
        other = Path(os.path.normpath(os.path.join(build, last)))  # noqa: PTH118  the note may be of another time
        return other if last and other.is_file() else None

    def close(self) -> list[Path]:
        """End a run: note the build; what was verified after a restart of the host need not be verified again.

        Return what earlier builds made for the user, and this plan does not make.
        """
        self.freshness.confirm()
        if self._unnoted.exists():
            self._note()
        left = leftovers.note(self.state, self.plan)
        return [path for path in left if path.parent == self.plan.build]

    def _note(self) -> None:
        from bootsmith.tasks.build.history import History

        with suppress(OSError):  # no room for a note: the next run tries again
            if History(self.freshness).note():
                self._unnoted.unlink()

    # -- what is known of a stage

    def cost(self, stage: Stage) -> Cost | None:
        """Return what a stage took when it was last built here, as far as its record or the history tells."""
        from bootsmith.tasks.build import cost as costs

        record = records.read(self.freshness.record(stage))
        if record is not None and record.space:
            return costs.of_record(record)
        if self._newest is None:
            from bootsmith.tasks.build.history import History

            entry = History(self.freshness).newest()
            self._newest = entry.stages if entry else {}
        past = self._newest.get(stage.name)
        return costs.of_stage(past) if past else None

    def log(self, stage: Stage) -> Path:
        """Return the file holding everything the stage's programs printed last time."""
        from bootsmith.tasks.build.making import log

        return log(self.plan.build, stage)

    def occupied(self, stage: Stage) -> int:
        """Bytes a stage's outputs occupy on disk."""
        return sum(occupied(path) if stage.folders else path.stat().st_blocks * 512 for path in stage.outputs.values())

"""Stages made fresh by a command line: what is said of each, and what becomes of it, whoever decides when it is due.

A run of stages alone needs no doit: `StageRun` makes them in the order, side by side, and with the words of doit's run.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.cache.display import escaped
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.command.reporter import tell_failure, tell_fresh, tell_outputs
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import priority

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.session import Session

FAILED, BROKEN = 1, 2
"""Exit statuses, as doit's: of a stage that failed, and of one that ended in a bug of ours."""


def side_by_side() -> int:
    """Return how many stages run side by side."""
    return min(4, len(os.sched_getaffinity(0)))


def make(session: Session, builder: Builder, stage: Stage, name: str) -> None:
    """Make a stage, called `name` on the command line, fresh, and say how. Raises BootsmithError, OSError."""
    progress = session.progress
    session.remark_on_root()
    priority.lower(priority.asked())
    progress.start(name)
    if stage.settles is not None:
        session.settle(builder, stage)
    outcome = builder.ensure(
        stage,
        force=bool(session.invocation.options.get("always")),
        seen=stage.settles is None,
        say=partial(progress.say, name),
        waiting=lambda holder: progress.tell(f"{name} waits for {holder}, which builds the same"),
    )
    why = ""
    if outcome.reasons:
        from bootsmith.tasks.build.reason import causes

        why = causes(outcome.reasons)
    progress.finish(name, outcome.state, outcome.seconds, outcome.size, why)
    for each in outcome.notes:
        progress.tell_once(each)


class Failure(NamedTuple):
    """How something failed; `error` is None for a bug of ours, of which the message is all there is to know."""

    message: str
    error: BootsmithError | None


def failure(error: Exception, name: str) -> Failure:
    """Return in words what an exception means for what is called `name`."""
    found = in_words(error, name) if isinstance(error, OSError) else error
    if isinstance(found, BootsmithError):
        return Failure(str(found), found)
    import traceback

    return Failure("".join(traceback.format_exception(error)), None)


def are_stages(words: Iterable[str]) -> bool:
    """Tell whether all words can only name stages, or groups of them, whatever the plan."""
    from bootsmith.tasks.command.table import GROUPS

    return all(word.partition("/")[0] in GROUPS for word in words)


def plan(session: Session) -> Builder:
    """Plan the default recipe anew for the stages that are asked for. Raises SystemExit when it said what is wrong."""
    from bootsmith.tasks.command.selection import Selection

    selection = Selection(session, set())

    def foresee(found: Plan) -> list[Secret]:
        selection.refuse(None, found)
        return selection.secrets(None, found)

    try:
        return session.builder(None, foresee)
    except (BootsmithError, OSError) as error:
        failed = failure(error, "doit")
        if failed.error is None:
            raise
        sys.stderr.write(f"ERROR: {escaped(failed.message)}\n")
        raise SystemExit(failed.error.exit_code) from None


class StageRun:
    """The run of some of a builder's stages, in plan order with all they need; the build directory is held.

    It ends with the names of the files that a user asked for, where it `names_files`.
    """

    def __init__(self, session: Session, builder: Builder, stages: Iterable[Stage], *, names_files: bool) -> None:
        self._session = session
        self._builder = builder
        self._waiting = [*stages]
        self._running: set[str] = set()
        self._undone = {stage.name for stage in self._waiting}
        self._made = False  # whether anything was, by this run
        self._ended: SimpleQueue[tuple[Stage, Exception | None]] = SimpleQueue()
        self._names_files = names_files
        self._status = 0

    def run(self) -> int:
        """Make them fresh, and say so of each; after one that failed none begins. Return the exit status."""
        self._make_all()
        if self._names_files and not self._status:
            try:
                tell_outputs(self._builder, self._session.top, self._session.progress)
            except OSError as error:
                self._fail("image", failure(error, "image"))
        return self._status

    def _make_all(self) -> None:
        while True:
            while not self._status and len(self._running) < side_by_side() and (stage := self._next()):
                self._begin(stage)
            if not self._running:
                return
            stage, error = self._ended.get()
            self._running.remove(stage.name)
            if error is None:
                self._made = True
                self._undone.remove(stage.name)
            else:
                self._fail(stage.name, failure(error, stage.name), self._builder.log(stage))

    def _next(self) -> Stage | None:
        """Take the next stage of which all that it needs is done."""
        for stage in self._waiting:
            if not any(other.name in self._undone for other in self._builder.plan.producers(stage)):
                self._waiting.remove(stage)
                return stage
        return None

    def _begin(self, stage: Stage) -> None:
        if self._made:
            self._builder.freshness.touch(stage)  # it may have been seen waiting for what is made now
        if self._builder.status(stage).fresh:
            tell_fresh(self._builder, stage, self._session.progress, stage.name)
            self._undone.remove(stage.name)
            return
        self._running.add(stage.name)
        threading.Thread(target=self._work, args=(stage,), daemon=True).start()

    def _work(self, stage: Stage) -> None:
        try:
            make(self._session, self._builder, stage, stage.name)
        except Exception as error:  # noqa: BLE001  # the outermost frame
            self._ended.put((stage, error))
        else:
            self._ended.put((stage, None))

    def _fail(self, name: str, failed: Failure, log: Path | None = None) -> None:
        status = BROKEN if failed.error is None else FAILED
        told = tell_failure(self._session.progress, name, failed.message, [failed.error], log)
        self._status = told or max(self._status, status)

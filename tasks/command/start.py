"""How `./doitw` starts: a run that only makes stages, or finds them fresh, needs no doit; everything else is doit's.

What is fresh, and what makes a stage so, is asked of the session, as doit's run asks it: there is no other answer. What
is decided here is only whether doit would do nothing but that: docs/adr/0043-stages-alone-need-no-doit.md.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.session import Session


def main() -> None:
    """Be `doit` for the words of this command line."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no word is better than many, until what has words is loaded
    from bootsmith.cache.files import encoding
    from bootsmith.tasks.command.progress import Progress
    from bootsmith.tasks.command.signals import Signals

    encoding.settle()
    Signals(Progress(), lambda: False).heed(signal.SIGINT)
    sys.argv[0] = "doitw"
    plain = None
    with suppress(Exception):  # whatever it is, doit's run will come upon it, and say so
        plain = _plain_run(sys.argv[1:])
    if plain:
        status = _run(plain)
        if status is not None:
            sys.exit(status)
        from bootsmith.tasks.command.image_tasks import ImageTasks

        for builder in plain.session.builders:
            builder.freshness.touch()  # what was seen before doit was loaded is seen anew
        ImageTasks.begun = plain.session  # doit goes on with it: the lock is held
    from bootsmith.tasks.command.engine.loading import run

    run()


class _PlainRun(NamedTuple):
    """A run that names stages of the default recipe, or groups of them, and nothing else; its plan, if remembered."""

    session: Session
    words: Sequence[str]
    builder: Builder | None


def _plain_run(words: list[str]) -> _PlainRun | None:
    """Return the run that a command line means, where dodo.py is known; else it is for doit to say."""
    if any(word.startswith(("-", "/")) or not {"=", "*", ":"}.isdisjoint(word) for word in words):
        return None
    from bootsmith.cache.store.location import default_root
    from bootsmith.tasks.build.identities import Identities
    from bootsmith.tasks.command import remembered_dodo
    from bootsmith.tasks.command.invocation import Invocation
    from bootsmith.tasks.command.progress import Progress
    from bootsmith.tasks.command.session import Session

    top = Path.cwd()
    identities = Identities(default_root())
    recipe = remembered_dodo.recall(top, identities.memo)
    if recipe is None:
        return None
    session = Session(Path(recipe), Invocation("run", {}, tuple(words), {}), top, top, Progress())
    session.identities = identities
    named = words or ["image"]
    builder = session.recalled()
    if builder is None:
        from bootsmith.tasks.command.stage_run import are_stages

        return _PlainRun(session, named, None) if are_stages(named) else None
    return _PlainRun(session, named, builder) if _known(builder).keys() >= set(named) else None


def _known(builder: Builder) -> Mapping[str, tuple[str, ...]]:
    """Return the words that name stages of a plan, and those that each stands for."""
    return {stage.name: (stage.name,) for stage in builder.plan.stages} | builder.plan.groups()


def _run(plain: _PlainRun) -> int | None:
    """Do what is asked for; return the exit status, None where that is left to doit."""
    session, words, builder = plain
    if builder is None:
        from bootsmith.tasks.command.stage_run import plan

        builder = plan(session)
    if not _begin(session, builder):
        return None
    known = _known(builder)
    for stage in builder.plan.stages:
        session.progress.widen(stage.name)
    stages = builder.plan.needed(name for word in words for name in known[word])
    return _build(session, builder, stages, names_files="image" in words)


def _begin(session: Session, builder: Builder) -> bool:
    """Hold the build directory; tell whether that went well, and dodo.py is still the one remembered."""
    from bootsmith.tasks.command import remembered_dodo

    with suppress(Exception):  # as above
        session.begin(builder)
        recipe = remembered_dodo.recall(session.top, session.identities.memo)  # somebody may have been waited for
        return recipe is not None and session.top / recipe == session.default
    return False


def _build(session: Session, builder: Builder, stages: Sequence[Stage], *, names_files: bool) -> int | None:
    """Make stages fresh, and report it; return the exit status, None where that is left to doit.

    It ends with the names of the files that a user asked for, where it `names_files`.
    """
    try:
        fresh = all(builder.status(stage).fresh for stage in stages)
        if fresh:
            _tell(session, builder, stages, names_files=names_files)
        elif not _can_begin(session, stages):
            return None
    except Exception:  # noqa: BLE001  # as above
        return None
    status = 0
    if not fresh:
        from bootsmith.tasks.command.stage_run import StageRun

        status = StageRun(session, builder, stages, names_files=names_files).run()
    session.end()
    session.progress.sum_up()
    session.progress.close()
    return status


def _tell(session: Session, builder: Builder, stages: Iterable[Stage], *, names_files: bool) -> None:
    from bootsmith.tasks.command.reporter import tell_fresh, tell_outputs

    for stage in stages:
        tell_fresh(builder, stage, session.progress, stage.name)
    if names_files:
        tell_outputs(builder, session.top, session.progress)


def _can_begin(session: Session, stages: Iterable[Stage]) -> bool:
    """Tell whether there is nothing to be told before any stage begins. Raises StageError for what is in the way."""
    from bootsmith.tasks.build.workdir import guard_targets

    guard_targets(stages)
    return not session.missing(secret for stage in stages for secret in stage.secrets.values())


if __name__ == "__main__":
    main()

"""How `./doitw` starts: a run that finds all fresh ends before doit is loaded; everything else is doit's.

What is fresh is asked of the session, as doit's run asks it: there is no other answer. What is decided here is only
whether doit would do nothing but ask and report: docs/adr/0024-a-plain-dodo-is-remembered.md.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
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
        if _is_fresh(plain):
            return
        from bootsmith.tasks.command.image_tasks import ImageTasks

        ImageTasks.begun = plain.session  # doit goes on with it: the lock is held
    from bootsmith.tasks.command.engine.loading import run

    run()


class _PlainRun(NamedTuple):
    """A run that names stages of the default recipe and nothing else: for each word, those it stands for."""

    session: Session
    builder: Builder
    asked: Mapping[str, tuple[str, ...]]


def _plain_run(words: list[str]) -> _PlainRun | None:
    """Return the run that a command line means, where dodo.py and plan are known; else it is for doit to say."""
    if any(word.startswith("-") or "=" in word for word in words):
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
    builder = session.recalled()
    if builder is None:
        return None
    for stage in builder.plan.stages:
        session.progress.widen(stage.name)
    known: dict[str, tuple[str, ...]] = {stage.name: (stage.name,) for stage in builder.plan.stages}
    known |= builder.plan.groups()
    named = words or ["image"]
    return _PlainRun(session, builder, {word: known[word] for word in named}) if known.keys() >= set(named) else None


def _is_fresh(plain: _PlainRun) -> bool:
    """Tell whether all that is asked for is fresh, and report it; else leave the run as it is to doit."""
    from bootsmith.tasks.command.reporter import tell_fresh, tell_outputs

    session, builder, asked = plain
    try:
        session.begin(builder)
        stages = {stage.name: stage for names in asked.values() for stage in builder.plan.needed(names)}
        if not all(builder.status(stage).fresh for stage in stages.values()):
            return False
        for word, names in asked.items():
            for stage in builder.plan.needed(names):
                if stages.pop(stage.name, None):
                    tell_fresh(builder, stage, session.progress, stage.name)
            if word == "image":
                tell_outputs(builder, session.top, session.progress)
        session.progress.sum_up()
        session.end()
    except Exception:  # noqa: BLE001  # as above
        return False
    else:
        return True
    finally:
        builder.freshness.touch()  # what was seen before doit was loaded is seen anew


if __name__ == "__main__":
    main()

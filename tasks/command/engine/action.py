"""What doit runs: the tasks of stages and images, and the actions of those and of commands."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.command.command import Command, function
from bootsmith.tasks.command.engine.refusal import refusing
from bootsmith.tasks.command.reporter import tell_fresh, tell_outputs
from bootsmith.tasks.command.request import Request
from bootsmith.tasks.command.selection import positional
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import priority
from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskError, TaskFailed
from doit.task import Task

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.stage import Stage


class StageTask(Task):  # type: ignore[misc]  # doit has no types
    """A stage; cleaning it removes its outputs and its record, and says so."""

    @refusing()
    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        action: StageAction = self.actions[0]
        action.session.begin(action.builder)
        done = "would remove" if dryrun else "removed"
        outstream.writelines(
            f"{self.name} - {done} {path}\n" for path in action.builder.clean(action.stage, dry_run=dryrun)
        )


class GroupTask(Task):  # type: ignore[misc]  # doit has no types
    """What `image` or `raw` stands for. Cleaning it by its name removes what its stages make, as cleaning all does.

    That of `image` removes what was brought back of past builds and what the recipe no longer makes, too.
    """

    def __init__(self, session: Session, builder: Builder, group: str, name: str, *args: Any, **named: Any) -> None:
        super().__init__(name, *args, **named)
        self._session, self._builder, self._group = session, builder, group

    @refusing()
    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        builder, plan, asked = self._builder, self._builder.plan, self._session.invocation
        self._session.begin(builder)
        removed: list[Path] = []
        if asked.words and not (asked.options.get("cleandep") or asked.options.get("cleanall")):
            stages = plan.stages if self._group == "image" else plan.needed(plan.groups()[self._group])
            removed += [path for stage in stages for path in builder.clean(stage, dry_run=dryrun)]
        if self._group == "image":
            removed += [*builder.clean_past(dry_run=dryrun), *builder.clean_left(dry_run=dryrun)]
        done = "would remove" if dryrun else "removed"
        outstream.writelines(f"{self.name} - {done} {path}\n" for path in removed)


class WordsTask(Task):  # type: ignore[misc]  # doit has no types
    """A command that takes words. They are read as typed, options among them (`Invocation.positional`).

    doit would stop at the first that is no option, and has taken those that hold `=` away.
    """

    def init_options(self, args: list[str] | None = None) -> list[str]:
        super().init_options()
        return args or []


class Action(BaseAction):  # type: ignore[misc]  # doit has no types
    """An action of ours. Not a PythonAction: those swap sys.stdout for the whole process."""

    def __init__(self) -> None:
        self.task: Any = None
        self.out = self.err = self.result = None
        self.values: dict[str, Any] = {}
        self.error: BootsmithError | None = None

    def execute(self, out: object = None, err: object = None) -> BaseFail | None:  # noqa: ARG002  # doit's signature
        """Run; return what doit calls a failure, or None."""
        try:
            self.act()
        except Exception as error:  # noqa: BLE001  # the outermost frame
            found = in_words(error, self.task.name) if isinstance(error, OSError) else error
            if not isinstance(found, BootsmithError):  # a bug of ours, shown whole
                return TaskError("".join(traceback.format_exception(error)))
            self.error = found
            return TaskFailed(str(found))
        return None

    def act(self) -> None:
        raise NotImplementedError


class StageAction(Action):
    """Make one stage fresh."""

    def __init__(self, session: Session, builder: Builder, stage: Stage, name: str) -> None:
        super().__init__()
        self.session, self.builder, self.stage, self.name = session, builder, stage, name

    def act(self) -> None:
        progress = self.session.progress
        self.session.remark_on_root()
        priority.lower(priority.asked())
        progress.start(self.name)
        if self.stage.settles is not None:
            self.session.settle(self.builder, self.stage)
        outcome = self.builder.ensure(
            self.stage,
            force=bool(self.session.invocation.options.get("always")),
            seen=self.stage.settles is None,
            say=partial(progress.say, self.name),
            waiting=lambda holder: progress.tell(f"{self.name} waits for {holder}, which builds the same"),
        )
        why = ""
        if outcome.reasons:
            from bootsmith.tasks.build.reason import causes

            why = causes(outcome.reasons)
        progress.finish(self.name, outcome.state, outcome.seconds, outcome.size, why)
        for each in outcome.notes:
            progress.tell_once(each)

    def fresh(self) -> None:
        """Say that there was nothing to do."""
        tell_fresh(self.builder, self.stage, self.session.progress, self.name)

    @property
    def log(self) -> Path:
        return self.builder.log(self.stage)


class Report(Action):
    """The last task of `image`: name the files there are now."""

    def __init__(self, session: Session, builder: Builder) -> None:
        super().__init__()
        self.session, self.builder = session, builder

    def act(self) -> None:
        if (self.task.options or {}).get("rebuild"):  # none where another command needs the image
            from bootsmith.tasks.command.actions.rebuilding import rebuild

            rebuild(self.session, self.builder)
        tell_outputs(self.builder, self.session.top, self.session.progress)

    fresh = act


class CommandAction(Action):
    """Run one command."""

    def __init__(self, session: Session, command: Command, recipe: str | None) -> None:
        super().__init__()
        self.session, self.command, self.recipe = session, command, recipe

    def act(self) -> None:
        options: Mapping[str, Any] = self.task.options
        given: tuple[str, ...] = ()
        if self.command.positional:
            options, given = positional(self.session.invocation, self.command)
        function(self.command.run)(Request(self.session, self.recipe, options, given))

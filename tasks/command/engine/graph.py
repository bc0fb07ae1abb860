"""The tasks of one command line: those of every recipe it can mean, and its commands'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from bootsmith.tasks.command.command import Command, ImageCommand, TreeCommand, function
from bootsmith.tasks.command.engine import arguments
from bootsmith.tasks.command.engine.action import CommandAction, GroupTask, Report, StageAction, StageTask, WordsTask
from bootsmith.tasks.command.invocation import meant, options
from bootsmith.tasks.command.request import Request
from bootsmith.tasks.command.selection import BY_NAME, ONE_PLAN, Selection, positional
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.command.table import COMMANDS, GROUPS, IMAGE, MACHINES
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.planning import inputs
from doit.task import Task

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.command import Param


class Graph:
    """The tasks of one session, by what they stand for: stages, groups of them, commands."""

    def __init__(self, session: Session, others: set[str], usual: Iterable[str]) -> None:
        self.session = session
        self._others = others
        self.stages: dict[str, tuple[Builder, Stage]] = {}
        self.groups: dict[str, list[str]] = {}
        self.commands: set[str] = set()
        self.held: dict[str, Builder] = {}  # commands that write where a builder does, without needing a stage
        self.selection = Selection(session, others, usual)
        session.images = self.selection.images()
        session.frozen |= self.selection.only_looks()
        session.looks_back |= self.selection.only_commands()
        session.progress.sums_up = not self.selection.only_commands()

    def tasks(self) -> list[Task]:
        """Return the tasks of every recipe this command line can mean. Raises BootsmithError."""
        asked = self.session.invocation
        self._check_names()
        self.selection.check_past()
        if asked.runs:
            self._check_options()
        found: list[Task] = []
        names = self.selection.recipes()
        planned = {
            name: self.session.builder(name, partial(self._foresee, name))
            for name in names
            if self.selection.needs_plan(name)
        }
        for name in names:
            suffix = f":{name}" if name is not None else ""
            builder = planned.get(name)
            if builder is not None:
                found += self._stage_tasks(builder, suffix)
            elif asked.command == "help":  # about a group no recipe is asked
                found += [Task(group + suffix, None, doc=doc, params=_params(group)) for group, doc in GROUPS.items()]
            for command in COMMANDS:
                own = self._own_stages(command, name)
                found += [*own, self._command_task(command, name, builder, [task.name for task in own])]
        if asked.variables and not self.session.builders:
            for name in self.selection.meant():
                self.session.recipe(name)  # nothing planned, but a misspelt variable is still a mistake
        return found

    def _foresee(self, recipe: str | None, plan: Plan) -> list[Secret]:
        """Refuse what a plan shows to come to nothing; return the secrets it will read. Raises BootsmithError."""
        self.selection.refuse(recipe, plan)
        return self.selection.secrets(recipe, plan)

    def _check_names(self) -> None:
        """Refuse a word that names no task whatever the plan: packages may be resolved for one. Raises UsageError."""
        if self.session.invocation.command not in ONE_PLAN:
            return
        known = [*GROUPS, *BY_NAME, *self._others]
        for base, _ in self.selection.tasks():
            if not (base.partition("/")[0] in known or base.startswith("/") or "*" in base):
                raise UsageError(f"{base} is not a task", meant(base, known))

    def _check_options(self) -> None:
        """Refuse options that mean nothing before anything is made for them. Raises BootsmithError."""
        for command, request in self.selection.calls():
            answers = isinstance(command, ImageCommand) and command.within
            if answers or request.options.get("print") or request.options.get("json"):
                self.session.progress.answer_alone()
            elif isinstance(command, (ImageCommand, TreeCommand)) and command.check == MACHINES:
                function("machines:announce")(request, command.name)
            check = command.check if isinstance(command, (ImageCommand, TreeCommand)) else ""
            if check and any(value not in (None, False) for value in request.options.values()):
                function(check)(request)

    def _stage_tasks(self, builder: Builder, suffix: str) -> Iterator[Task]:
        groups = builder.plan.groups()
        others = [each.plan for each in self.session.builders if each is not builder]
        for stage in builder.plan.stages:
            group = stage.name.partition("/")[0]
            name = stage.name + suffix
            self.stages[name] = (builder, stage)
            self.session.progress.widen(name)
            yield StageTask(
                name,
                [StageAction(self.session, builder, stage, name)],
                file_dep=[str(path) for path in (*stage.inputs.values(), *inputs.makers(stage, others))],
                targets=[str(path) for path in stage.outputs.values()],
                doc=stage.doc or GROUPS.get(stage.name, ""),
                subtask_of=None if group == stage.name and not suffix else f"{group}{suffix}",
            )
        for group, doc in GROUPS.items():
            if group in groups:
                members = self.groups[group + suffix] = [name + suffix for name in groups[group]]
                kind = partial(GroupTask, self.session, builder, group) if group in ("image", "raw") else Task
                yield kind(
                    group + suffix,
                    [Report(self.session, builder)] if group == "image" else None,
                    task_dep=members,
                    doc=doc,
                    params=_params(group),
                    has_subtask=group not in ("image", "raw"),
                    subtask_of=f"image{suffix}" if suffix else None,
                )

    def _own_stages(self, command: Command, recipe: str | None) -> list[Task]:
        """Return the stages of a command that makes a plan of its positional argument."""
        asked = self.session.invocation
        if not isinstance(command, TreeCommand) or not (asked.runs or asked.tail):
            return []  # or it is looked at: what it does, not what it would be done to
        if asked.taker != (command.name if recipe is None else f"{command.name}:{recipe}"):
            return []
        if recipe is not None:
            raise UsageError(f"{asked.taker}: {command.name} needs no recipe", f"Write {command.name} and a name.")
        plan = function(command.plan)(Request(self.session, None, *positional(asked, command)))
        suffix = f":{command.name}" if plan.outputs else ""  # stages like a recipe's: not to be taken for those
        return list(self._stage_tasks(self.session.adopt(plan), suffix))

    def _command_task(
        self, command: Command, recipe: str | None, builder: Builder | None, own: Iterable[str] = ()
    ) -> Task:
        name = command.name if recipe is None else f"{command.name}:{recipe}"
        needs = list(own)
        self.commands.add(name)
        if builder and self.selection.holds_builds(command):
            self.held[name] = builder
        needed = self.selection.needed(command, builder.plan) if builder else None
        if needed:
            needs = [f"{needed}:{recipe}" if recipe else needed]
        if self.session.invocation.runs:  # `image run-uefi --format qcow2`: side by side they would run else
            needs += [each for each in self.selection.built_before(command, recipe) if each not in needs]
        return (WordsTask if command.positional else Task)(
            name,
            [CommandAction(self.session, command, recipe)],
            task_dep=needs,
            doc=command.doc,
            params=command.params,
            pos_arg=command.positional,
            subtask_of=f"image:{recipe}" if recipe else None,
            verbosity=2,
        )

    def check_words(self, tasks: Iterable[Task]) -> None:
        """Refuse a word that names no task, with its near names. Raises UsageError."""
        asked = self.session.invocation
        if asked.command not in (*ONE_PLAN, "help"):
            return
        by_name = {task.name: task for task in tasks}
        targets = {target for task in by_name.values() for target in task.targets}
        rest = list(asked.words)
        while rest:
            word = rest.pop(0)
            if word in by_name:
                task = by_name[word]
                if task.pos_arg:
                    if asked.runs:
                        positional(asked, BY_NAME[word.partition(":")[0]])
                    return
                if asked.runs:
                    rest = list(options(word, task.params, rest)[1])
            elif word.partition(":")[0] in self._others:
                return  # a task of the dodo's own: what follows may be its words
            elif "*" in word or word in targets:
                continue
            else:
                others = arguments.commands() if asked.command == "help" else ()
                what = "neither a task nor a command" if others else "not a task"
                raise UsageError(f"{word} is {what}", meant(word, [*by_name, *self._others, *others]))


def _params(group: str) -> tuple[Param, ...]:
    """Return the options that a group of stages has."""
    return IMAGE if group == "image" else ()

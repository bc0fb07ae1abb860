"""Stages and commands as doit tasks: the only importer of doit.

doit decides order and runs; our records decide freshness. Its dependency manager, one object per process, is asked for
every status and told of every `forget`: those few methods are replaced on that object by ours, so that no word of
doit's (list -s, info, forget, ignore, -s, -a) can say or do anything our records do not. Its database holds nothing
we rely on.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from bootsmith.cache.errors import CacheError
from bootsmith.tasks import invocation as invocations
from bootsmith.tasks.commands import COMMANDS, GROUPS, Command, Request
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.progress import Progress, human
from bootsmith.tasks.reporter import reporter_class
from bootsmith.tasks.selection import ONE_PLAN, Selection
from bootsmith.tasks.session import Session
from doit import get_initial_workdir
from doit.action import BaseAction
from doit.cmd_base import DodoTaskLoader
from doit.cmd_info import Info
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.dependency import DependencyStatus, FileChangedChecker
from doit.doit_cmd import DoitMain
from doit.exceptions import BaseFail, InvalidCommand, InvalidDodoFile, TaskError, TaskFailed
from doit.globals import Globals
from doit.task import Task

if TYPE_CHECKING:
    from bootsmith.tasks.builder import Builder
    from bootsmith.tasks.explain import Forecast
    from bootsmith.tasks.reason import Reason
    from bootsmith.tasks.stage import Stage

DATABASE = "build/.doit.json"
BECAUSE = "because"  # a kind of reason for not being up to date that doit has not: our words, as they are


def image_tasks(recipe: Path) -> tuple[dict[str, Any], Callable[[], Iterator[Any]]]:
    """Return DOIT_CONFIG and the task creator for a dodo.py; see `bootsmith.tasks.image_tasks`."""
    top = Path.cwd()  # doit has come to the dodo.py's folder
    dodo = sys._getframe(2).f_globals  # noqa: SLF001  # the dodo.py itself: which tasks are its own
    _discard_broken_database(top / DATABASE)
    progress = Progress()

    def task_bootsmith() -> Iterator[Task]:
        try:
            asked = invocations.read(
                sys.argv[1:],
                commands=[each.get_name() for each in DoitMain.DOIT_CMDS],
                positional=[command.name for command in COMMANDS if command.positional],
                parse=_parse,
            )
            shell = Path(get_initial_workdir() or top)
            engine = Engine(Session(recipe, asked, top, shell, progress), _others(dodo))
            tasks = engine.tasks()
            engine.check_words(tasks)
        except (BootsmithError, CacheError) as error:
            _refuse(error)
        engine.take_over(Globals.dep_manager)
        yield from tasks

    config = {
        "default_tasks": ["image"],
        "backend": "json",
        "dep_file": DATABASE,
        "check_file_uptodate": _Unasked,
        "reporter": reporter_class(progress),
        "par_type": "thread",
        "num_process": min(4, len(os.sched_getaffinity(0))),
        "verbosity": 2,
    }
    return config, task_bootsmith


def _parse(command: str, args: list[str]) -> tuple[Mapping[str, Any], list[str]]:
    """Split a doit command's own options from its words, by doit's own parser."""
    kind = next(each for each in DoitMain.DOIT_CMDS if each.get_name() == command)
    loader_options = DodoTaskLoader.cmd_options
    options = [*getattr(kind, "base_options", ()), *loader_options, *kind.cmd_options]
    found, words = CmdParse([CmdOption(each) for each in options]).parse(args)
    return found, list(words)


def _after(command: Command, words: list[str]) -> list[str]:
    """Return what follows a command's own options; as it is where they are wrong, which doit says a little later."""
    try:
        return list(CmdParse([CmdOption(each) for each in command.params]).parse(words)[1])
    except CmdParseError:
        return words


def _refuse(error: BootsmithError | CacheError) -> NoReturn:
    """End before anything ran, with the error's own exit code."""
    if getattr(error, "exit_code", 1) == 3:
        raise InvalidDodoFile(str(error)) from None
    sys.stderr.write(f"ERROR: {error}\n")
    raise SystemExit(1)


def _discard_broken_database(path: Path) -> None:
    """Move a database doit would trip over aside; it holds nothing that matters."""
    try:
        found = json.loads(path.read_bytes())
        healthy = isinstance(found, dict) and all(isinstance(value, dict) for value in found.values())
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError):
        healthy = False
    if not healthy:
        with suppress(OSError):  # a folder that is not ours to write: the run says so
            path.replace(path.with_suffix(".broken"))


def _others(dodo: Mapping[str, Any]) -> set[str]:
    """Return the names of the tasks a dodo.py creates beside ours, as far as their creators' names tell."""
    return {name.removeprefix("task_") for name in dodo if name.startswith("task_")} - {"bootsmith"}


class _Unasked(FileChangedChecker):  # type: ignore[misc]  # doit has no types
    """doit's file checker, never asked about our tasks: no state to keep, nothing hashed."""

    def check_modified(self, _path: str, _stat: os.stat_result, _state: object) -> bool:
        return True

    def get_state(self, _path: str, _state: object) -> None:
        return None


class Engine:
    """The doit tasks of one session, and what doit is told about them."""

    def __init__(self, session: Session, others: set[str]) -> None:
        self.session = session
        self._others = others
        self._stages: dict[str, tuple[Builder, Stage]] = {}
        self._groups: dict[str, list[str]] = {}
        self._held: dict[str, Builder] = {}  # commands that write where a builder does, without needing a stage
        self._forecasts: dict[Path, dict[str, Forecast]] = {}
        self.selection = Selection(session, others, lambda command: self.positional(command)[1], _after)
        session.frozen |= self.selection.only_looks()

    # -- tasks

    def tasks(self) -> list[Task]:
        """Return the tasks of every recipe this command line can mean. Raises BootsmithError."""
        asked = self.session.invocation
        self.selection.check_past()
        found: list[Task] = []
        for name in self.selection.recipes():
            suffix = f":{name}" if name is not None else ""
            builder = self.session.builder(name) if self.selection.needs_plan(name) else None
            if builder is not None:
                found += self._stage_tasks(builder, suffix)
            for command in COMMANDS:
                own = self._own_stages(command, name)
                found += [*own, self._command_task(command, name, builder, [task.name for task in own])]
        if asked.variables and not self.session.builders:
            for name in self.selection.meant():
                self.session.recipe(name)  # nothing planned, but a misspelt variable is still a mistake
        return found

    def positional(self, command: Command) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return a positional command's options and words, as typed: doit would take a word holding `=` away."""
        options = [CmdOption(each) for each in command.params]
        found, words = CmdParse(options).parse(list(self.session.invocation.tail))
        left = [word for word in self.session.invocation.tail if word.startswith("-") or "=" not in word]
        try:
            CmdParse(options).parse(left)
        except CmdParseError as error:
            raise UsageError(
                f"{command.name}: {error}", "Write an option whose value holds `=` as --option=VALUE."
            ) from None
        return found, tuple(words)

    def _stage_tasks(self, builder: Builder, suffix: str) -> Iterator[Task]:
        plan = builder.plan
        members: dict[str, list[str]] = {group: [] for group in GROUPS}
        for stage in plan.stages:
            group = stage.name.partition("/")[0]
            name = stage.name + suffix
            if group != stage.name:
                members[group].append(name)
            self._stages[name] = (builder, stage)
            yield _StageTask(
                name,
                [_StageAction(self.session, builder, stage, name)],
                file_dep=[str(path) for path in stage.inputs.values()],
                targets=[str(path) for path in stage.outputs.values()],
                doc=stage.doc or GROUPS.get(stage.name, ""),
                subtask_of=None if group == stage.name and not suffix else f"{group}{suffix}",
            )
        members["image"] = [stage.name + suffix for stage in plan.finals()]
        whole = {stage.name for stage in plan.stages}  # a stage of the group's own name stands for the group
        members["raw"] = [f"assemble{suffix}"] if "assemble" in whole else []
        for group, doc in GROUPS.items():
            if members[group] and group not in whole:
                self._groups[group + suffix] = members[group]
                yield (_ImageTask if group == "image" else Task)(
                    group + suffix,
                    [_Report(self.session, builder)] if group == "image" else None,
                    task_dep=members[group],
                    doc=doc,
                    has_subtask=group not in ("image", "raw"),
                    subtask_of=f"image{suffix}" if suffix else None,
                )

    def _own_stages(self, command: Command, recipe: str | None) -> list[Task]:
        """Return the stages of a command that makes a plan of its positional argument."""
        if recipe is not None or not command.plan or command.name not in self.session.invocation.words:
            return []
        from importlib import import_module

        options, words = self.positional(command)
        module, _, function = command.plan.partition(":")
        plan = getattr(import_module(module), function)(Request(self.session, None, options, words))
        suffix = f":{command.name}" if plan.outputs else ""  # stages like a recipe's: not to be taken for those
        return list(self._stage_tasks(self.session.adopt(plan), suffix))

    def _command_task(
        self, command: Command, recipe: str | None, builder: Builder | None, own: Iterable[str] = ()
    ) -> Task:
        name = command.name if recipe is None else f"{command.name}:{recipe}"
        needs = list(own)
        if builder and command.past and self.selection.is_frozen(command):
            self._held[name] = builder
        if command.needs and builder and not self.selection.has_image(command):
            made = {stage.name for stage in builder.plan.stages}
            needs = [command.needs if command.needs in made else "image"]  # without a disk, what there is instead
            needs = [f"{each}:{recipe}" if recipe else each for each in needs]
        return Task(
            name,
            [_CommandAction(self, command, recipe)],
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
        if asked.command not in ONE_PLAN:
            return
        by_name = {task.name: task for task in tasks}
        targets = {target for task in by_name.values() for target in task.targets}
        rest = list(asked.words)
        while rest:
            word = rest.pop(0)
            if word in by_name:
                task = by_name[word]
                if task.pos_arg:
                    return
                if asked.runs:
                    rest = list(CmdParse([CmdOption(each) for each in task.params]).parse(rest)[1])
            elif word.partition(":")[0] in self._others:
                return  # a task of the dodo's own: what follows may be its words
            elif "*" in word or word in targets:
                continue
            else:
                raise UsageError(f"{word} is not a task", invocations.nearest(word, [*by_name, *self._others]))

    # -- doit's own words, told the truth

    def take_over(self, manager: Any) -> None:
        """Replace what doit's dependency manager says of our tasks."""
        ask, forget, forget_all, close = manager.get_status, manager.remove, manager.remove_all, manager.close

        def get_status(task: Task, tasks: Any, get_log: bool = False) -> DependencyStatus:
            if task.name in self._held and self.session.invocation.runs:
                self.session.begin(self._held[task.name])  # here, for signals are the main thread's business
            if task.name in self._stages:
                return self._status(task, get_log=get_log)
            if task.name in self._groups:
                return self._group_status(task, get_log=get_log)
            return ask(task, tasks, get_log)

        def remove(name: str) -> None:
            if self.session.invocation.command == "forget":  # in a run doit only notes a failure so
                self._forget(self._members(name))
            forget(name)

        def remove_all() -> None:
            self._forget(list(self._stages))
            forget_all()

        def shut() -> None:
            self.session.end()
            with suppress(OSError):  # it holds nothing that matters
                Path(DATABASE).parent.mkdir(exist_ok=True)
                close()

        manager.get_status, manager.remove, manager.remove_all = get_status, remove, remove_all
        Info.get_reasons = staticmethod(partial(_reasons, Info.get_reasons))
        manager.ignore, manager.close, manager.status_is_ignore = _refuse_to_ignore, shut, lambda _task: False

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            builder, stage = self._stages[name]
            self.session.begin(builder)
            builder.forget(stage)

    def _members(self, name: str) -> list[str]:
        if name in self._stages:
            return [name]
        return self._groups.get(name, [])

    def _status(self, task: Task, *, get_log: bool) -> DependencyStatus:
        builder, stage = self._stages[task.name]
        try:
            fresh, reasons = self._standing(builder, stage)
        except (BootsmithError, CacheError) as error:
            _refuse(error)
        answer = DependencyStatus(get_log)
        task.dep_changed = []
        if not fresh:
            answer.status = "run"
            for reason in reasons:
                answer.add_reason(BECAUSE, reason.text)
        return answer

    def _standing(self, builder: Builder, stage: Stage) -> tuple[bool, tuple[Reason, ...]]:
        """Tell whether a stage is fresh, and why not: as it is when tasks run, else as it will be when they do."""
        if not self.session.invocation.runs:
            from bootsmith.tasks.explain import explain

            found = self._forecasts.setdefault(builder.plan.site.build, {})
            if not found:
                found.update({each.stage: each for each in explain(builder)})
            if stage.name in found:
                return found[stage.name].verdict == "fresh", found[stage.name].reasons
        else:
            self.session.begin(builder)
        status = builder.status(stage)
        return status.fresh, status.reasons

    def _group_status(self, task: Task, *, get_log: bool) -> DependencyStatus:
        answer = DependencyStatus(get_log)
        for name in self._groups[task.name]:
            builder, stage = self._stages[name]
            if not self._standing(builder, stage)[0]:
                answer.add_reason(BECAUSE, f"{name} is not fresh")
        return answer


def _reasons(others: Callable[[Any], str], reasons: Mapping[str, list[str]]) -> str:
    """Return what `info` says of a task that is not up to date; doit's own tasks have `others`."""
    return "\n".join([f" * {text}" for text in reasons.get(BECAUSE, [])] + [text for text in [others(reasons)] if text])


def _refuse_to_ignore(task: Task) -> None:
    message = f"{task.name} cannot be ignored: an image with a stale part is wrong."
    raise InvalidCommand(f"{message}\nRun the stages you want by name instead.")


class _StageTask(Task):  # type: ignore[misc]  # doit has no types
    """A stage; cleaning it removes its outputs and its record, and says so."""

    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        action: _StageAction = self.actions[0]
        action.session.begin(action.builder)
        done = "would remove" if dryrun else "removed"
        outstream.writelines(
            f"{self.name} - {done} {path}\n" for path in action.builder.clean(action.stage, dry_run=dryrun)
        )


class _ImageTask(Task):  # type: ignore[misc]  # doit has no types
    """All of a recipe; cleaning it removes what was brought back of past builds, too."""

    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        action: _Report = self.actions[0]
        action.session.begin(action.builder)
        done = "would remove" if dryrun else "removed"
        outstream.writelines(f"{self.name} - {done} {path}\n" for path in action.builder.clean_past(dry_run=dryrun))


class _Action(BaseAction):  # type: ignore[misc]  # doit has no types
    """An action of ours. Not a PythonAction: those swap sys.stdout for the whole process."""

    def __init__(self) -> None:
        self.task: Any = None
        self.out = self.err = self.result = None
        self.values: dict[str, Any] = {}
        self.error: BootsmithError | CacheError | None = None

    def execute(self, out: object = None, err: object = None) -> BaseFail | None:  # noqa: ARG002  # doit's signature
        """Run; return what doit calls a failure, or None."""
        try:
            self.act()
        except (BootsmithError, CacheError) as error:
            self.error = error
            return TaskFailed(str(error))
        except Exception as error:  # noqa: BLE001  # the outermost frame: a bug of ours, shown whole
            return TaskError("".join(traceback.format_exception(error)))
        return None

    def act(self) -> None:
        raise NotImplementedError


class _StageAction(_Action):
    """Make one stage fresh."""

    def __init__(self, session: Session, builder: Builder, stage: Stage, name: str) -> None:
        super().__init__()
        self.session, self.builder, self.stage, self.name = session, builder, stage, name

    def act(self) -> None:
        progress = self.session.progress
        progress.start(self.name)
        outcome = self.builder.ensure(
            self.stage,
            force=bool(self.session.invocation.options.get("always")),
            say=partial(progress.say, self.name),
            waiting=lambda holder: progress.tell(f"{self.name} waits for {holder}, which builds the same"),
        )
        why = ""
        if outcome.reasons:
            from bootsmith.tasks.reason import causes

            why = causes(outcome.reasons)
        progress.finish(self.name, outcome.state, outcome.seconds, outcome.size, why)
        for each in outcome.notes:
            progress.tell(each)

    def fresh(self) -> None:
        """Say that there was nothing to do."""
        self.session.progress.finish(self.name, "fresh", size=self.builder.occupied(self.stage))

    @property
    def log(self) -> Path:
        return self.builder.log(self.stage)


class _Report(_Action):
    """The last task of `image`: name the files there are now."""

    def __init__(self, session: Session, builder: Builder) -> None:
        super().__init__()
        self.session, self.builder = session, builder

    def act(self) -> None:
        for path in self.builder.plan.outputs:
            found = path.stat()
            shown = path.relative_to(self.session.top) if path.is_relative_to(self.session.top) else path
            self.session.progress.tell(f"{shown}  {human(found.st_size)}, {human(found.st_blocks * 512)} on disk")

    fresh = act


class _CommandAction(_Action):
    """Run one command."""

    def __init__(self, engine: Engine, command: Command, recipe: str | None) -> None:
        super().__init__()
        self.engine, self.command, self.recipe = engine, command, recipe

    def act(self) -> None:
        from importlib import import_module

        module, _, function = self.command.run.partition(":")
        options: Mapping[str, Any] = self.task.options
        words: tuple[str, ...] = ()
        if self.command.positional:
            options, words = self.engine.positional(self.command)
        request = Request(self.engine.session, self.recipe, options, words)
        getattr(import_module(module), function)(request)

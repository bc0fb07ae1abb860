"""How our tasks stand, said by our records wherever doit asks.

doit's dependency manager, one object per process, is asked for every status and told of every `forget`: those few
methods are replaced on that object by ours, so that no word of doit's (list -s, info, forget, ignore, -s, -a) can say
or do anything our records do not. Its database holds nothing we rely on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.command.database import DATABASE
from bootsmith.tasks.command.engine.graph import Graph
from bootsmith.tasks.command.engine.refusal import refusing
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.dependency import DependencyStatus, FileChangedChecker
from doit.exceptions import InvalidCommand

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.forecast import Forecast
    from bootsmith.tasks.build.reason import Reason
    from bootsmith.tasks.build.stage import Stage
    from doit.task import Task

BECAUSE = "because"  # a kind of reason for not being up to date that doit has not: our words, as they are

STATUSES = {"fresh": "up-to-date", "depends": "depends", "restore": "restore", "build": "run"}
"""Verdict of a forecast -> what doit calls it, or what we let it call so; the later one is, the more it is."""
LETTERS = {"depends": "D", "restore": "S"}
"""What `list -s` shows for what doit does not know."""


class Unasked(FileChangedChecker):  # type: ignore[misc]  # doit has no types
    """doit's file checker, never asked about our tasks: no state to keep, nothing hashed."""

    def check_modified(self, _path: str, _stat: os.stat_result, _state: object) -> bool:
        return True

    def get_state(self, _path: str, _state: object) -> None:
        return None


class Dependency:
    """What doit is told of the tasks of one graph."""

    def __init__(self, graph: Graph, loaded: Callable[[], None]) -> None:
        self.graph = graph
        self._loaded = loaded
        self.session = graph.session
        self._forecasts: dict[Path, dict[str, Forecast]] = {}

    def take_over(self, manager: Any) -> None:
        """Replace what doit's dependency manager says of our tasks."""
        ask, forget, forget_all, close = manager.get_status, manager.remove, manager.remove_all, manager.close

        @refusing()
        def get_status(task: Task, tasks: Any, get_log: bool = False) -> DependencyStatus:
            if task.name in self.graph.commands and self.session.invocation.runs:
                self._expect_signals(task.name)
            if task.name in self.graph.stages:
                return self._status(task, get_log=get_log)
            if task.name in self.graph.groups:
                return self._group_status(task, get_log=get_log)
            return ask(task, tasks, get_log)

        @refusing()
        def remove(name: str) -> None:
            if self.session.invocation.command == "forget":  # in a run doit only notes a failure so
                self._forget(self._members(name))
            forget(name)

        @refusing()
        def remove_all() -> None:
            self._forget(list(self.graph.stages))
            forget_all()

        @refusing()
        def shut() -> None:
            if self.session.invocation.runs:
                self._loaded()
            self.session.end()
            with suppress(OSError):  # it holds nothing that matters
                Path(DATABASE).parent.mkdir(exist_ok=True)
                close()

        manager.get_status, manager.remove, manager.remove_all = get_status, remove, remove_all
        List.STATUS_MAP = {**List.STATUS_MAP, **LETTERS}
        Info.get_reasons = staticmethod(partial(_reasons, Info.get_reasons))
        manager.ignore, manager.close, manager.status_is_ignore = _refuse_to_ignore, shut, lambda _task: False

    def _expect_signals(self, name: str) -> None:
        """Be ready to end while a command runs; here, for signals are the main thread's business."""
        self.session.signals.heed(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if name in self.graph.held:
            self.session.begin(self.graph.held[name])

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            builder, stage = self.graph.stages[name]
            self.session.begin(builder)
            builder.forget(stage)

    def _members(self, name: str) -> list[str]:
        if name in self.graph.stages:
            return [name]
        return self.graph.groups.get(name, [])

    def _status(self, task: Task, *, get_log: bool) -> DependencyStatus:
        builder, stage = self.graph.stages[task.name]
        verdict, reasons = self._standing(builder, stage)
        answer = DependencyStatus(get_log)
        task.dep_changed = []
        for reason in reasons:
            answer.add_reason(BECAUSE, reason.text)
        answer.status = verdict
        return answer

    def _standing(self, builder: Builder, stage: Stage) -> tuple[str, tuple[Reason, ...]]:
        """Tell how a stage stands, and why it is not fresh: now, when tasks run, else as it will be when they do."""
        if not self.session.invocation.runs:
            from bootsmith.tasks.build.forecast import forecast

            found = self._forecasts.setdefault(builder.plan.build, {})
            if not found:
                found.update({each.stage: each for each in forecast(builder)})
            if stage.name in found:
                return STATUSES[found[stage.name].verdict], found[stage.name].reasons
        else:
            self.session.begin(builder)
        status = builder.status(stage)
        return STATUSES["fresh" if status.fresh else "build"], status.reasons

    def _group_status(self, task: Task, *, get_log: bool) -> DependencyStatus:
        answer = DependencyStatus(get_log)
        standing = {name: self._standing(*self.graph.stages[name])[0] for name in self.graph.groups[task.name]}
        for name, status in standing.items():
            if status != STATUSES["fresh"]:
                answer.add_reason(BECAUSE, f"{name} is not fresh")
        answer.status = max(standing.values(), key=[*STATUSES.values()].index, default=STATUSES["fresh"])
        return answer


def _reasons(others: Callable[[Any], str], reasons: Mapping[str, list[str]]) -> str:
    """Return what `info` says of a task that is not up to date; doit's own tasks have `others`."""
    return "\n".join([f" * {text}" for text in reasons.get(BECAUSE, [])] + [text for text in [others(reasons)] if text])


def _refuse_to_ignore(task: Task) -> None:
    message = f"{task.name} cannot be ignored: an image with a stale part is wrong."
    raise InvalidCommand(f"{message}\nRun the stages you want by name instead.")

"""What a dodo.py gets of us: doit's configuration, and the creator of our tasks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.errors import CacheError
from bootsmith.tasks import invocation
from bootsmith.tasks.commands import COMMANDS
from bootsmith.tasks.engine import words
from bootsmith.tasks.engine.dependency import DATABASE, Dependency, Unasked, refuse
from bootsmith.tasks.engine.graph import Graph
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.progress import Progress
from bootsmith.tasks.reporter import reporter_class
from bootsmith.tasks.session import Session
from doit import get_initial_workdir
from doit.globals import Globals

if TYPE_CHECKING:
    from doit.task import Task

NO_ROOT = "needs no root"  # true of every command and stage


def image_tasks(recipe: Path) -> tuple[dict[str, Any], Callable[[], Iterator[Any]]]:
    """Return DOIT_CONFIG and the task creator for a dodo.py; see `bootsmith.tasks.image_tasks`."""
    top = Path.cwd()  # doit has come to the dodo.py's folder
    dodo = sys._getframe(2).f_globals  # noqa: SLF001  # the dodo.py itself: which tasks are its own
    _discard_broken_database(top / DATABASE)
    progress = Progress()

    def task_bootsmith() -> Iterator[Task]:
        try:
            asked = invocation.read(
                sys.argv[1:],
                commands=words.commands(),
                positional=[command.name for command in COMMANDS if command.positional],
                parse=words.parse,
            )
            shell = Path(get_initial_workdir() or top)
            graph = Graph(Session(recipe, asked, top, shell, progress), _others(dodo))
            tasks = graph.tasks()
            graph.check_words(tasks)
        except (BootsmithError, CacheError) as error:
            refuse(error)
        Dependency(graph).take_over(Globals.dep_manager)
        if asked.command == "help":  # which prints a task's line; `list` stays as short as it is
            for task in tasks:
                task.doc = "; ".join(filter(None, (task.doc, NO_ROOT)))
        yield from tasks

    config = {
        "default_tasks": ["image"],
        "backend": "json",
        "dep_file": DATABASE,
        "check_file_uptodate": Unasked,
        "reporter": reporter_class(progress),
        "par_type": "thread",
        "num_process": min(4, len(os.sched_getaffinity(0))),
        "verbosity": 2,
    }
    return config, task_bootsmith


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

"""The tasks of a dodo.py, as doit asks for them; and doit itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bootsmith.cache.files import encoding
from bootsmith.tasks.command import invocation
from bootsmith.tasks.command.engine import arguments
from bootsmith.tasks.command.engine.dependency import Dependency, refuse
from bootsmith.tasks.command.engine.graph import Graph
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.command.table import COMMANDS
from bootsmith.tasks.errors import BootsmithError, UsageError
from doit import get_initial_workdir
from doit.doit_cmd import DoitMain
from doit.globals import Globals

if TYPE_CHECKING:
    from bootsmith.tasks.command.progress import Progress
    from doit.task import Task

NO_ROOT = "needs no root"  # true of every command and stage


def run() -> NoReturn:
    """Be doit."""
    sys.exit(DoitMain().run(sys.argv[1:]))


def start_anew() -> NoReturn:
    """Start doit once more, in the folder it was started in, with names taken as UTF-8."""
    folder = get_initial_workdir()
    if not folder:
        refuse(UsageError("this Python takes names for something else than UTF-8", "Run it by `python -X utf8`."))
    os.chdir(folder)
    try:
        encoding.settle()
    except UsageError as error:
        refuse(error)
    raise AssertionError("it was started anew")


def session(recipe: Path, top: Path, progress: Progress) -> Session:
    """Return what this command line, as doit was given it, asks for in a dodo.py's folder."""
    asked = invocation.read(
        sys.argv[1:],
        commands=arguments.commands(),
        positional=[command.name for command in COMMANDS if command.positional],
        parse=arguments.parse,
    )
    return Session(recipe, asked, top, Path(get_initial_workdir() or top), progress)


def tasks(
    session: Session, namespace: Mapping[str, Any], configuration: object, loaded: Callable[[], None]
) -> Iterator[Task]:
    """Yield the tasks of a session, for a dodo.py with the names and the configuration given.

    `loaded` is called at the end of a run: all there is in the dodo.py was to doit's liking.
    """
    try:
        graph = Graph(session, _others(namespace), _usual(configuration))
        found = graph.tasks()
        graph.check_words(found)
    except BootsmithError as error:
        refuse(error)
    Dependency(graph, loaded).take_over(Globals.dep_manager)
    if session.invocation.command == "help":  # which prints a task's line; `list` stays as short as it is
        for task in found:
            task.doc = "; ".join(filter(None, (task.doc, NO_ROOT)))
    yield from found


def _usual(configuration: object) -> Iterable[str]:
    """Return the tasks that doit runs where none is named, as far as the dodo.py tells."""
    return configuration.get("default_tasks", ()) if isinstance(configuration, dict) else ()


def _others(namespace: Mapping[str, Any]) -> set[str]:
    """Return the names of the tasks a dodo.py creates beside ours, as far as their creators' names tell."""
    return {name.removeprefix("task_") for name in namespace if name.startswith("task_")} - {"bootsmith"}

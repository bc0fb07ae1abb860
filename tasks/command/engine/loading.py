"""The tasks of a dodo.py, as doit asks for them; and doit itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import bootsmith
from bootsmith.cache.display import escaped
from bootsmith.cache.files import encoding
from bootsmith.tasks.command import invocation
from bootsmith.tasks.command.command import HostCommand
from bootsmith.tasks.command.engine import arguments
from bootsmith.tasks.command.engine.dependency import Dependency
from bootsmith.tasks.command.engine.graph import Graph
from bootsmith.tasks.command.engine.refusal import refusing
from bootsmith.tasks.command.selection import BY_NAME
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.command.table import GROUPS
from bootsmith.tasks.errors import UsageError
from doit import get_initial_workdir
from doit.doit_cmd import DoitMain
from doit.globals import Globals
from doit.version import VERSION

if TYPE_CHECKING:
    from bootsmith.tasks.command.progress import Progress
    from doit.task import Task

_ALL = 2  # doit's word for all that a task prints
NO_ROOT = "needs no root"  # true of every command and stage


def run() -> NoReturn:
    """Be doit."""
    relaying = [name for name, command in BY_NAME.items() if isinstance(command, HostCommand) and command.relays]
    sys.argv[1:] = invocation.help_first(
        invocation.verbose_first(sys.argv[1:]), [*arguments.commands(), *GROUPS, *BY_NAME], relaying
    )
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"bootsmith {bootsmith.__version__} on doit {'.'.join(map(str, VERSION))}\n")
        sys.exit()
    try:
        _seek(arguments.read(sys.argv[1:]))
    except UsageError as error:
        sys.stderr.write(f"ERROR: {escaped(str(error))}\n")
        sys.exit(error.exit_code)
    sys.exit(DoitMain().run(sys.argv[1:]))


def _seek(asked: invocation.Invocation) -> None:
    """Let doit look for a dodo.py above this folder, where the command line says nothing of it. Raises UsageError."""
    told = any(word.startswith(("-d", "--dir", "-f", "--file", "-k", "--seek")) for word in sys.argv[1:])
    about = [*asked.words, "task"][0] if asked.command == "help" else asked.command
    here = Path.cwd()
    if told or "DOIT_FILE" in os.environ or (here / "dodo.py").exists():
        return
    if any((folder / "dodo.py").exists() for folder in here.parents):
        os.environ["DOIT_SEEK_FILE"] = "1"
    elif about not in ("task", "tabcompletion") and not (asked.command == "help" and about in arguments.commands()):
        own = Path(bootsmith.__file__).resolve().parents[2] / "dodo.py"
        or_own = f", or say `-f {own}`" if own.exists() else ""
        raise UsageError(f"there is no dodo.py in {here}, nor in a folder above", f"Go to one that has it{or_own}.")


@refusing()
def start_anew() -> NoReturn:
    """Start doit once more, in the folder it was started in, with names taken as UTF-8."""
    folder = get_initial_workdir()
    if not folder:
        raise UsageError("this Python takes names for something else than UTF-8", "Run it by `python -X utf8`.")
    os.chdir(folder)
    encoding.settle()
    raise AssertionError("it was started anew")


def session(recipe: Path, top: Path, progress: Progress) -> Session:
    """Return what this command line, as doit was given it, asks for in a dodo.py's folder."""
    with refusing():
        asked = arguments.read(sys.argv[1:])
    if not asked.runs:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads what it prints may have seen enough
    progress.verbose = asked.options.get("verbosity") == _ALL
    return Session(recipe, asked, top, Path(get_initial_workdir() or top), progress)


def tasks(
    session: Session, namespace: Mapping[str, Any], configuration: object, loaded: Callable[[], None]
) -> Iterator[Task]:
    """Yield the tasks of a session, for a dodo.py with the names and the configuration given.

    `loaded` is called at the end of a run: all there is in the dodo.py was to doit's liking.
    """
    with refusing():
        graph = Graph(session, _others(namespace), _usual(configuration))
        found = graph.tasks()
        graph.check_words(found)
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

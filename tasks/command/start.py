"""How `./doitw` starts: a run that finds all fresh ends before doit is loaded; everything else is doit's.

What is fresh is asked of the session, as doit's run asks it: there is no other answer. What is decided here is only
whether doit would do nothing but ask and report: docs/adr/0021-fresh-before-doit.md.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.command.image_tasks import ImageTasks

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan

CONFIGURING = ("DOIT_FILE", "DOIT_SEEK_FILE")  # variables of the environment that stand for options of doit
COMMANDS = (
    "help", "run", "list", "info", "clean", "forget", "ignore", "dumpdb", "strace", "tabcompletion", "reset-dep",
)  # fmt: skip
"""The names that doit lets no task have."""
OF_DOIT = re.compile(
    r"""(?<![\w"'-])doit[ \t]*[].=]|["']doit["'][ \t]*[.=]|^[ \t]*\[.*["']doit["'][ \t]*\]|\\[uUx]""", re.MULTILINE
)
"""Where a pyproject.toml may say something to doit: its name as a key, bare or quoted, or hidden behind escapes."""
ALONE = {"actions", "doc", "pos_arg", "verbosity"}
"""What the dict of a task may say that depends on nothing and makes nothing."""


def main() -> None:
    """Be `doit` for the words of this command line."""
    sys.argv[0] = "doitw"
    if _is_plain(sys.argv[1:]):
        dodo = _read()
        if dodo is not None and _is_fresh(dodo, sys.argv[1:]):
            return
    from bootsmith.tasks.command.engine.loading import run

    run()


def _is_plain(words: list[str]) -> bool:
    """Tell whether a command line and its folder hold nothing but names of tasks and a dodo.py."""
    if any(word.startswith("-") or "=" in word for word in words) or any(name in os.environ for name in CONFIGURING):
        return False
    if Path("doit.cfg").exists() or not Path("dodo.py").is_file():
        return False
    try:
        return not OF_DOIT.search(Path("pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


# -- the dodo.py


class _Wanted(BaseException):
    """A dodo.py, or what it imports, asked for doit: it must be there first."""


class _Barrier:
    """Keeps doit away while a dodo.py is read: what it would find there is not as doit makes it."""

    def __init__(self) -> None:
        self.was_hit = False

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "doit":
            self.was_hit = True
            raise _Wanted


def _read() -> ImageTasks | None:
    """Import the dodo.py as doit does, to whom it stays imported; return what it has of us, if that is all that counts.

    None where doit has to read it: it fails, needs doit, or changes what a plain run means.
    """
    barrier = _Barrier()
    sys.path.insert(0, str(Path.cwd()))
    sys.meta_path.insert(0, barrier)
    try:
        module = import_module("dodo")
        if not barrier.was_hit:
            return _ours(module)
        del sys.modules["dodo"]
    except (Exception, _Wanted):  # noqa: BLE001  # whatever it is, doit will come upon it, and say so
        return None
    finally:
        sys.meta_path.remove(barrier)
    return None


def _ours(module: ModuleType) -> ImageTasks | None:
    names = vars(module)
    found = []
    for name, value in names.items():
        if hasattr(value, "create_doit_tasks"):
            return None
        if not name.startswith("task_") or not isinstance(value, (FunctionType, MethodType)):
            continue
        if name.removeprefix("task_") in COMMANDS:
            return None
        owner = getattr(value, "__self__", None)
        if isinstance(owner, ImageTasks):
            found.append(owner)
        elif not _is_alone(name.removeprefix("task_"), value):
            return None
    if len(found) != 1 or "__dir__" in names:
        return None
    dodo = found[0]
    return dodo if names.get("DOIT_CONFIG") is dodo.config and dodo.is_unchanged() else None


def _is_alone(name: str, creator: FunctionType | MethodType) -> bool:
    """Tell whether a creator makes one task that has nothing to do with ours."""
    from bootsmith.tasks.command import table

    if name in table.GROUPS or name in {command.name for command in table.COMMANDS}:
        return False
    if hasattr(creator, "doit_create_after") or hasattr(creator, "_task_creator_params"):
        return False
    task: Any = creator()
    return (
        type(task) is dict
        and task.keys() <= ALONE
        and isinstance(task.get("actions"), list)
        and all(isinstance(action, (str, FunctionType)) for action in task["actions"])
        and isinstance(task.get("pos_arg", ""), str)
        and isinstance(task.get("doc", ""), str)
        and task.get("verbosity", 0) in (0, 1, 2)
    )


# -- the run


def _members(plan: Plan, words: list[str]) -> dict[str, tuple[str, ...]] | None:
    """Return, for each word, the stages it stands for; None where one stands for none."""
    known: dict[str, tuple[str, ...]] = {stage.name: (stage.name,) for stage in plan.stages} | plan.groups()
    return {word: known[word] for word in words} if known.keys() >= set(words) else None


def _is_fresh(dodo: ImageTasks, words: list[str]) -> bool:
    """Tell whether all that the words ask for is fresh, and report it; else leave the run as it is to doit."""
    from bootsmith.tasks.command.invocation import Invocation
    from bootsmith.tasks.command.reporter import tell_fresh, tell_outputs
    from bootsmith.tasks.command.session import Session

    asked_for = Invocation("run", {}, tuple(words), {})
    session = Session(dodo.recipe, asked_for, dodo.top, dodo.top, dodo.progress)
    builder = None
    try:
        builder = session.recalled()
        asked = builder and _members(builder.plan, words or ["image"])
        if not builder or not asked:
            return False
        dodo.session = session  # from here on doit goes on with it: the lock is held
        session.begin(builder)
        stages = {stage.name: stage for names in asked.values() for stage in builder.plan.needed(names)}
        if not all(builder.status(stage).fresh for stage in stages.values()):
            return False
        for word, names in asked.items():
            for stage in builder.plan.needed(names):
                if stages.pop(stage.name, None):
                    tell_fresh(builder, stage, dodo.progress, stage.name)
            if word == "image":
                tell_outputs(builder, dodo.top, dodo.progress)
        session.end()
    except Exception:  # noqa: BLE001  # whatever it is, doit's run will come upon it, and say so
        return False
    else:
        return True
    finally:
        if builder:
            builder.freshness.touch()  # what was seen before doit was loaded is seen anew


if __name__ == "__main__":
    main()

"""Which dodo.py is known by its text alone: only one that does nothing but what it says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import pytest
from bootsmith.tasks.command import plain_dodo
from doit.exceptions import InvalidDodoFile, InvalidTask
from doit.loader import load_tasks
from doit.task import Task
from hypothesis import given, settings
from hypothesis import strategies as st

OURS = 'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("my.yaml")\n'
TAKEN = ("list", "run")


def lines(text: str) -> list[str]:
    r"""Return what a text holds, a line each; \n within one is the end of a line."""
    return [f"{line}\n".replace(r"\n", "\n") for line in text.strip().splitlines()]


def read(source: str) -> plain_dodo.PlainDodo | None:
    """Read a dodo.py."""
    return plain_dodo.read(source.encode(), TAKEN)


PLAIN = lines(
    r"""
'Words.'
from __future__ import annotations
import os.path\nimport json as j\nfrom pathlib import Path\nfrom typing import Any
NAMES = ['a', {'b': (1, -2, None)}]\ntask_force = 7\nsay = print
def task_mine():\n    'Words.'\n    return {'actions': ['true', say, lambda: None], 'doc': 'x'}
def task_mine(): return {'actions': [], 'verbosity': 2, 'pos_arg': 'words'}
def say(words: list[str], *more: 'X', size: int | None = 3) -> dict[str, tuple[int, ...]]:\n    open(words[0])
def task_mine():\n    def act(words):\n        import tests\n        return tests.run()\n    return {'actions': [act]}
"""
)


@pytest.mark.parametrize("more", ["", *PLAIN])
def test_a_plain_dodo_is_known(more: str) -> None:
    """Two lines, and below them imports, values, functions, and tasks that have nothing to do with ours."""
    found = read(more + OURS if "__future__" in more else OURS + more)
    assert found is not None
    assert found.recipe == "my.yaml"


def test_what_it_imports_is_told() -> None:
    """A module of that name beside dodo.py would be another one."""
    found = read(f"import os.path\nfrom collections.abc import Mapping\n{OURS}")
    assert found is not None
    assert found.imports == ("bootsmith", "collections", "os")


@pytest.mark.parametrize(
    "source",
    [
        "", "def\n", "x = '\0'\n", "pass\n", f"{OURS}{OURS}", OURS.replace('"my.yaml"', "RECIPE"),
        OURS.replace(")", ", 1)"), OURS.replace('("my', '(*"my'),
        OURS.replace("task_bootsmith", "task_image"), OURS.replace("import image_tasks", "import *"),
        OURS.replace("from bootsmith", "from .bootsmith"), OURS.replace('"my.yaml"', 'f"my.yaml"'),
        "import bootsmith\n" + OURS.replace("image_tasks(", "bootsmith.tasks.image_tasks("),
    ],
)  # fmt: skip
def test_without_our_two_lines_it_is_not_plain(source: str) -> None:
    """The recipe is named in quotes, once."""
    assert read(source) is None


MORE = lines(
    r"""
import this
import requests
import tests
from tests import *
from os import *
from . import os
import doit
from doit.tools import run_once
from os import environ as dict
from shutil import copy as task_copy
from shutil import copy as DOIT_CONFIG
import os as task_bootsmith
open('read', 'a')
x = open('read').read()
x = f'{1}'
x = 1 + 1
x = [print]
x: int = 1
x = y = 1
x, y = 1, 2
x = 1\nx = 2
x += 1
del DOIT_CONFIG
DOIT_CONFIG['x'] = 1
DOIT_CONFIG.update(x=1)
DOIT_CONFIG = {}
task_bootsmith = 1
image_tasks = print
__dir__ = print
def __getattr__(name): return 1
def image_tasks(x): return {}, 1
task_mine = print
task_image = 7
task_list = 7
class A: pass
if True: x = 1
for x in (): pass
try: pass\nexcept ValueError: pass
with open('x'): pass
assert True
raise SystemExit
global x
x = (y := 1)
import os\nos.environ['x']
1 / 0
@print\ndef say(): pass
def say(x=open('y')): pass
def say(*, x=print): pass
import os\ndef say() -> os.environ['X']: pass
from os import environ\ndef say() -> environ['X']: pass
def say(x: open('y')): pass
def say(*x: open('y')): pass
def dict(): pass
async def task_mine(): return {'actions': []}
def task_image(): return {'actions': []}
def task_show(): return {'actions': []}
def task_list(): return {'actions': []}
def task_mine(): return None
def task_mine(): return
def task_mine(): pass
def task_mine(): yield {'actions': []}
def task_mine(): return dict(actions=[])
def task_mine(): return {'actions': [], 'task_dep': ['image']}
def task_mine(): return {'targets': ['x']}
def task_mine(): return {'actions': [], **X}
def task_mine(): return {'actions': [], 'basename': 'image'}
def task_mine(): return {'actions': [print()]}
def task_mine(): return {'actions': [lambda x=print(): x]}
def task_mine(): return {'actions': ACTIONS}
def task_mine(): return {'actions': [], 'doc': words()}
def task_mine(): return {X: []}
def task_mine():\n    x = 1\n    return {'actions': []}
def task_mine():\n    global x\n    return {'actions': []}
def task_mine():\n    @print\n    def act(): pass\n    return {'actions': [act]}
def task_mine():\n    def act(x=print()): pass\n    return {'actions': [act]}
def task_mine():\n    if X: return {'actions': []}
@print\ndef task_mine(): return {'actions': []}
"""
)


@pytest.mark.parametrize("more", MORE)
def test_whatever_else_it_says_it_is_not_plain(more: str) -> None:
    """What could do, read or be anything else is doit's to find out."""
    assert read(OURS + more) is None


class Ours:
    """Stands for what `image_tasks` makes."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"default_tasks": ["image"]}

    def __call__(self, _recipe: str) -> tuple[dict[str, Any], Callable[[], Iterator[Any]]]:
        return self.config, self.task_bootsmith

    def task_bootsmith(self) -> Iterator[Any]:
        yield Task("image", None)
        yield Task("show", None)


LINES = lines(
    r"""
import os
import this
from typing import Any
from os import environ as dict
from os import environ
from os import environ as task_x
NAME = 'x'
NAME = print
task_mine = 7
task_mine = print
task_image = 1
task_x = NAME
DOIT_CONFIG = {}
DOIT_CONFIG['verbosity'] = 0
task_bootsmith = None
__dir__ = dict
def __dir__(): return []
def task_mine(): return {'actions': ['true']}
def task_image(): return {'actions': []}
def task_mine(): return {'actions': [], 'targets': ['x']}
def task_other(a: dict['A'] = 1): return {'actions': [NAME]}
def task_list(): return {'actions': []}
def task_other(): return {'actions': [], 'basename': 'image'}
def NAME(a=7) -> Any: return environ
@print\ndef task_late(): return {'actions': []}
def image_tasks(x): return {}, 1
def task_two():\n    yield {'name': 'x', 'actions': []}
def task_four():\n    def a(): pass\n    return {'actions': [a]}
"""
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=4), st.integers(0, 4), st.booleans())
def test_what_is_plain_is_plain_to_doit(drawn: list[str], at: int, ours_last: bool) -> None:
    """Whatever stands beside our lines: where the text is plain, doit finds our tasks, and none that touches them."""
    source = "".join([*drawn[:at], "" if ours_last else OURS, *drawn[at:], OURS if ours_last else ""])
    if read(source) is None:
        return
    ours = Ours()
    names: dict[str, Any] = {}
    code = source.replace("from bootsmith.tasks import image_tasks", "image_tasks = IMAGE_TASKS")
    names["IMAGE_TASKS"] = ours
    try:
        exec(compile(code, "dodo.py", "exec"), names)  # what doit does
        found = load_tasks({name: value for name, value in names.items() if name[0] != "_"}, TAKEN)
    except (NameError, TypeError, InvalidTask, InvalidDodoFile):
        return  # doit's run would end, and nothing be remembered
    assert names["DOIT_CONFIG"] is ours.config
    assert ours.config == {"default_tasks": ["image"]}
    assert isinstance(names["task_bootsmith"], MethodType)
    alone = {name for name in names if name.startswith("task_") and inspect.isfunction(names[name])}
    assert {task.name for task in found} == {"image", "show"} | {name.removeprefix("task_") for name in alone}
    for task in found:
        assert [task.task_dep, task.file_dep, task.targets, task.subtask_of] == [[], set(), [], None]

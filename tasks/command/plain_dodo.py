"""A dodo.py that is known by its text alone: each of its statements is one that can do nothing but what it says.

Such a dodo.py imports modules that only define things, calls `image_tasks` once with a recipe in quotes, names values,
and defines functions; a task of its own is a dictionary in which nothing is called, so that it neither makes nor needs
anything of ours. A file that holds anything else is not plain, and nothing is known of it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import NamedTuple

from bootsmith.tasks.command.table import COMMANDS, GROUPS

HARMLESS = frozenset({
    "__future__", "collections", "collections.abc", "datetime", "functools", "glob", "itertools", "json", "math", "os",
    "os.path", "pathlib", "platform", "re", "shlex", "shutil", "string", "subprocess", "sys", "tempfile", "textwrap",
    "time", "typing",
})  # fmt: skip
"""Modules of the standard library that do nothing, and say nothing, when they are imported."""
TYPES = frozenset({"typing", "collections.abc", "pathlib"})
"""Those whose names may stand in annotations, which Python evaluates."""
BUILT_IN = frozenset({"bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"})
ALONE = frozenset({"actions", "doc", "pos_arg", "verbosity"})
"""What a task may say that depends on nothing and makes nothing."""
CREATOR = "task_"


class PlainDodo(NamedTuple):
    """What such a dodo.py says: its recipe, and the top-level modules that it imports."""

    recipe: str
    imports: tuple[str, ...]


def read(source: bytes, taken: Collection[str]) -> PlainDodo | None:
    """Return what a dodo.py says; None where it is not plain. No task may be called like one of `taken`, or of ours."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    reader = _Reader({*taken, *GROUPS, *(command.name for command in COMMANDS)})
    if not all(reader.takes(statement) for statement in statements) or reader.recipe is None:
        return None
    return PlainDodo(reader.recipe, tuple(sorted(reader.imports)))


class _Reader:
    """The names a dodo.py has bound so far; each may be bound once, so that it is what it was first."""

    def __init__(self, taken: Collection[str]) -> None:
        self.recipe: str | None = None
        self.imports: set[str] = set()
        self._taken = taken
        self._bound: set[str] = set()
        self._types = {*BUILT_IN}

    def takes(self, statement: ast.stmt) -> bool:
        """Tell whether a statement of the file itself is one that is known, and note what it says."""
        match statement:
            case ast.Expr(value=ast.Constant()):
                known = True
            case ast.Import(names=names):
                known = all(self._imports(each.name, each.asname or each.name.partition(".")[0]) for each in names)
            case ast.ImportFrom(module="bootsmith.tasks", level=0, names=[ast.alias(name="image_tasks", asname=None)]):
                self.imports.add("bootsmith")
                known = self._binds("image_tasks")
            case ast.ImportFrom(module=str() as module, level=0, names=names):
                given = [each.asname or each.name for each in names]
                self._types.update(given if module in TYPES else ())
                known = all(self._imports(module, each) for each in given)
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="DOIT_CONFIG"), ast.Name(id="task_bootsmith")])]):
                self.recipe = _recipe(statement.value)
                known = self.recipe is not None and self._binds("DOIT_CONFIG", "task_bootsmith")
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                other = isinstance(value, ast.Name) and not name.startswith(CREATOR)
                known = (other or _is_literal(value)) and self._defines(name)
            case ast.FunctionDef(name=name):
                creates = name.startswith(CREATOR)
                known = self._is_simple(statement) and self._defines(name)
                known &= not creates or self._is_alone(statement.body)
            case _:
                known = False
        return known

    def _imports(self, module: str, name: str) -> bool:
        self.imports.add(module.partition(".")[0])
        return module in HARMLESS and not name.startswith(CREATOR) and self._defines(name)

    def _defines(self, name: str) -> bool:
        """Bind a name that means nothing to Python, nor to doit but as a task that stands alone."""
        return (
            not name.startswith("__")
            and name not in {"*", "DOIT_CONFIG", "image_tasks", "task_bootsmith", *BUILT_IN}
            and not (name.startswith(CREATOR) and name.removeprefix(CREATOR) in self._taken)
            and self._binds(name)
        )

    def _binds(self, *names: str) -> bool:
        news = self._bound.isdisjoint(names)
        self._bound.update(names)
        return news

    def _is_simple(self, function: ast.FunctionDef) -> bool:
        """Tell whether nothing happens when a function is defined."""
        given = function.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        annotations = [function.returns, *(each.annotation for each in every if each)]
        defaults = [*given.defaults, *given.kw_defaults]
        return (
            not function.decorator_list
            and not getattr(function, "type_params", ())
            and all(each is None or _is_literal(each) for each in defaults)
            and all(each is None or self._is_type(each) for each in annotations)
        )

    def _is_type(self, annotation: ast.expr) -> bool:
        match annotation:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return name in self._types
            case ast.Subscript(value=ast.Name() as value, slice=inner):
                return self._is_type(value) and self._is_type(inner)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._is_type(left) and self._is_type(right)
            case ast.Tuple(elts=each) | ast.List(elts=each):
                return all(self._is_type(one) for one in each)
        return False

    def _is_alone(self, body: list[ast.stmt]) -> bool:
        """Tell whether a creator only returns a task that has nothing to do with ours."""
        *before, last = body
        for statement in before:
            match statement:
                case ast.Expr(value=ast.Constant()):
                    pass
                case ast.FunctionDef() if self._is_simple(statement):
                    pass
                case _:
                    return False
        match last:
            case ast.Return(value=ast.Dict(keys=keys, values=values)):
                names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
                return ALONE.issuperset(names) and all(
                    _are_actions(value) if name == "actions" else isinstance(value, ast.Constant)
                    for name, value in zip(names, values, strict=True)
                )
        return False


def _recipe(value: ast.expr) -> str | None:
    """Return the recipe that `image_tasks` is called with, where it is that, and the recipe stands in quotes."""
    match value:
        case ast.Call(func=ast.Name(id="image_tasks"), args=[ast.Constant(value=str() as recipe)], keywords=[]):
            return recipe
    return None


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _are_actions(value: ast.expr) -> bool:
    """Tell whether a value is a list of functions and of lines for the shell."""
    return isinstance(value, ast.List) and all(
        isinstance(each, ast.Name)
        or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        or (isinstance(each, ast.Lambda) and not each.args.defaults and not any(each.args.kw_defaults))
        for each in value.elts
    )

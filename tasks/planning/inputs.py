"""The files that recipes name, wherever these really are: what a plan reads and no stage of it makes.

One file has many paths, through `..`, links and all that leads to the same place. Whether it is a stage's output is
asked of where a path really leads, in every run: a link can be turned while no recipe changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.errors import RecipeError

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.recipe.model.boot import Boot
    from bootsmith.tasks.recipe.model.recipe import Recipe

SECTIONS = ("build", "source", "archive", "layers", "system", "boot", "outputs")
"""Where a recipe names files for its stages; what a machine or a test takes is no stage's."""


_LEAVES_OUT = re.compile(r"(^|: )(source\.context$|build\.[^.]+\.(dir$|inputs\.))")
"""The keys whose stages leave out builds that are in a folder."""


def named(recipe: Recipe) -> dict[str, Path]:
    """Return the files and folders that a recipe names, secrets included, by the keys that do."""
    said = {section: getattr(recipe, section) for section in SECTIONS}
    said["boot"] = _once(recipe.boot)
    found = {key: path for section, value in said.items() for key, path in _paths(section, value)}
    for other in recipe.others.values():
        found |= {f"{other.name}: {key}": path for key, path in named(other).items()}
    return found


def sought(recipe: Recipe) -> list[Path]:
    """Return the files that would be taken in place of those that a recipe names, if they were there."""
    found = [path for section in SECTIONS for path in _sought(getattr(recipe, section))]
    return found + [path for other in recipe.others.values() for path in sought(other)]


def _sought(value: Any) -> Iterator[Path]:
    from dataclasses import fields, is_dataclass

    match value:
        case Mapping():
            for each in value.values():
                yield from _sought(each)
        case tuple():
            for each in value:
                yield from _sought(each)
        case _ if is_dataclass(value):
            for field in fields(value):
                found = getattr(value, field.name)
                if field.name != "instead_of":
                    yield from _sought(found)
                else:
                    yield from (each for each in found if isinstance(each, Path))


def _once(boot: Boot) -> dict[str, Any]:
    """Return what a recipe says of booting, its entries without what they have of it: that is said once."""
    entries = {
        name: {field: value for field, value in _fields(entry).items() if value != getattr(boot, field, None)}
        for name, entry in boot.entries.items()
    }
    return _fields(boot) | {"entries": entries}


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {field.name: getattr(value, field.name) for field in fields(value)}


def _paths(key: str, value: Any) -> Iterator[tuple[str, Path]]:
    from dataclasses import fields, is_dataclass  # whose loading would be most of a build with nothing to do

    match value:
        case Path():
            yield key, value
        case str() if key.startswith("boot.loader") and value.endswith(".py"):  # a loader of the user's own
            yield key, Path(value)
        case Mapping():
            for name, each in value.items():
                yield from _paths(f"{key}.{name}", each)
        case tuple():
            for number, each in enumerate(value):
                yield from _paths(f"{key}.{number}", each)
        case _ if is_dataclass(value):
            for field in fields(value):
                if field.name != "instead_of":  # looked for, and not there
                    name = "from" if field.name == "source" else field.name  # which is no name in Python
                    yield from _paths(f"{key}.{name}", getattr(value, field.name))


def check(named: Mapping[str, Path], build: Path, recipe: Path) -> None:
    """Refuse what leads into the build directory of the recipe that names it, or holds that. Raises RecipeError."""
    if not named:
        return
    folder = os.path.realpath(build)
    problems = []
    for key, path in named.items():
        real = os.path.realpath(path)
        if _holds(folder, real):
            kind = "image" if key.endswith(".backing") else "file"
            problems.append(f"{key}: {path.name} is made by this very recipe; name another {kind}")
        elif _holds(real, folder) and not _LEAVES_OUT.search(key):
            problems.append(f"{key}: {path.name} holds the folder where this very recipe is built; name another folder")
    if problems:
        raise RecipeError([f"{recipe.name}: {each}" for each in problems])


def are_spread(recipe: Recipe, builds: Path) -> bool:
    """Tell whether planning looks at what a recipe names: a folder that holds the builds, which files may be run."""
    from bootsmith.tasks.planning import spread
    from bootsmith.tasks.recipe.model.source import Container

    folder = recipe.source.folder if isinstance(recipe.source, Container) else None
    if folder and any(spread.holds(folder, each) for each in spread.written(recipe, builds)):
        return True
    read = [path for build in recipe.build.values() for path in build.inputs]
    return any(not path.is_dir() or spread.holds(path, builds) for path in read)


def makers(stage: Stage, others: Iterable[Plan]) -> list[Path]:
    """Return the outputs of other plans that a stage reads, whatever it calls them, as those plans call them."""
    others = list(others)
    if not others:
        return []
    read = [*stage.inputs.values(), *(each.file for each in stage.secrets.values() if each.file is not None)]
    wanted = [os.path.realpath(path) for path in read]
    found = []
    for plan in others:
        build = os.path.realpath(plan.build)
        near = [real for real in wanted if _holds(build, real) or _holds(real, build)]
        for output in (path for other in plan.stages for path in other.outputs.values()) if near else ():
            real = os.path.realpath(output)
            if any(_holds(each, real) for each in near):
                found.append(output)
    return found


def _holds(folder: str, path: str) -> bool:
    """Tell whether a real path is a folder, or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one place."""
    return os.path.realpath(one) == os.path.realpath(other)

"""The request: all of a recipe that decides which packages it needs, as its lock file notes it, and mistakes in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.packages import kernel_package
from bootsmith.tasks.packages.loader_packages import packages
from bootsmith.tasks.recipe.model.layers import Packages
from bootsmith.tasks.recipe.model.source import Debian, Ubuntu
from bootsmith.tasks.recipe.values.files import packaged

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Json
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.recipe import Recipe


FETCHER: Final = "bootsmith.tasks.packages.downloads:supply"
"""What a stage that fetches packages names as its fetcher, with `hints`."""


def needed(recipe: Recipe) -> bool:
    """Tell whether a recipe needs any package, and so a lock file."""
    return isinstance(recipe.source, Debian) or any(packaged(recipe))


def request(recipe: Recipe) -> dict[str, str]:
    """Return all of a recipe that decides which packages it needs, as a lock file writes it."""
    debian = recipe.source
    files = sorted({file.key if file.security else f"{file.key}/without-security" for file in packaged(recipe)})
    of_files = {"files": " ".join(files)} if files else {}
    if not isinstance(debian, Debian):
        return of_files
    found = {
        "suite": debian.suite,
        "arch": recipe.arch,
        "variant": debian.variant,
        "components": " ".join(debian.components),
        "packages": " ".join(sorted(set(debian.packages))),
        "loader": " ".join(packages(recipe)),
        "exclude": " ".join(sorted(set(debian.exclude))),
        "recommends": _yes(debian.recommends),
        "security": _yes(debian.security),
    }
    if of_ubuntu(recipe):
        found["distribution"] = "ubuntu"
    for number, layer in enumerate(layers(recipe), 1):
        found[f"layer{number}"] = " ".join(
            [
                layer.name,
                *(f"+{name}" for name in sorted(layer.install)),
                *(f"-{name}" for name in sorted(layer.remove)),
            ]
        )
    for number, each in enumerate(debian.repositories, 1):
        found[f"repository{number}"] = json.dumps([each.uri, each.suite, *each.components])
    return found | of_files


def layers(recipe: Recipe) -> list[Packages]:
    """Return the layers of packages of a recipe, the lowest first."""
    return [layer for layer in recipe.layers if isinstance(layer, Packages)]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def stale(lock: LockFile, recipe: Recipe) -> str | None:
    """Return why a lock no longer fits the recipe, or None where it does."""
    wanted = _wanted(lock, recipe)
    for key in {**wanted, **lock.request}:
        before, now = lock.request.get(key, ""), wanted.get(key, "")
        if before == now:
            continue
        if key not in ("packages", "components", "exclude", "loader", "kernel", "files"):
            return f"{key}: {before or 'none'} became {now or 'none'}"
        more = sorted(set(now.split()) - set(before.split()))
        less = sorted(set(before.split()) - set(now.split()))
        return f"{key}: " + " ".join([*(f"+{name}" for name in more), *(f"-{name}" for name in less)])
    return None


def begins_alike(lock: LockFile, recipe: Recipe) -> bool:
    """Tell whether all that a lock says but for layers of packages fits the recipe still."""
    begins = [
        {key: value for key, value in each.items() if not key.startswith("layer")}
        for each in (lock.request, _wanted(lock, recipe))
    ]
    return begins[0] == begins[1]


def _wanted(lock: LockFile, recipe: Recipe) -> dict[str, str]:
    """Return what a lock that fits the recipe says, given which kernel this one has."""
    wanted = request(recipe)
    added = kernel_package.FACT in lock.request or not kernel_package.is_among(lock.packages)
    if added and kernel_package.is_asked(recipe):
        wanted[kernel_package.FACT] = kernel_package.name(recipe)
    return wanted


def mirrors(recipe: Recipe) -> tuple[str | None, list[str]]:
    """Return what a recipe says of mirrors: its own, and the URIs of its further repositories."""
    source = recipe.source
    return (source.mirror, [each.uri for each in source.repositories]) if isinstance(source, Debian) else (None, [])


def hints(recipe: Recipe) -> dict[str, Json]:
    """Return the hints of a stage that fetches packages."""
    own, extras = mirrors(recipe)
    return {"mirror": own, "extras": extras, "ubuntu": of_ubuntu(recipe)}


def of_ubuntu(recipe: Recipe) -> bool:
    """Tell whether a recipe's packages are Ubuntu's."""
    return isinstance(recipe.source, Ubuntu)


def mistake(recipe: Recipe, word: str, key: str, what: str) -> RecipeError:
    """Return a mistake in the recipe, placed where the word stands."""
    for file in filter(Path.is_file, recipe.files):  # of a tree without a recipe there is none
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            found = re.search(rf"(?<![\w.+-]){re.escape(word)}(?![\w.+-])", line.partition(" #")[0])
            if found:
                return RecipeError([f"{shown(file)}:{number}:{found.start() + 1}: {key}: {what}"])
    return RecipeError([f"{shown(recipe.file)}: {key}: {what}"])

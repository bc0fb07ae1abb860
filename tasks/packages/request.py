"""The request: all of a recipe that decides which packages it needs, as its lock file notes it, and mistakes in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.packages import kernel_package, tree_lock
from bootsmith.tasks.packages.loader_packages import packages
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.layers import Packages
from bootsmith.tasks.recipe.model.source import Arch, Debian, Fedora, Ubuntu
from bootsmith.tasks.recipe.values.files import packaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsmith.tasks.build.stage import Json
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.source import Repository


ARCHIVE: Final = "archive"
"""The section that says where packages come from on top of such a tree."""
FETCHER: Final = "bootsmith.tasks.packages.downloads:supply"
"""What a stage that fetches packages names as its fetcher, with `hints`."""


def needed(recipe: Recipe) -> bool:
    """Tell whether a recipe needs any package, and so a lock file."""
    return isinstance(recipe.source, Debian | Arch | Fedora) or any(packaged(recipe))


def request(recipe: Recipe) -> dict[str, str]:
    """Return all of a recipe that decides which packages it needs, as a lock file writes it."""
    debian = recipe.source
    files = sorted({file.key if file.security else f"{file.key}/without-security" for file in packaged(recipe)})
    of_files = {"files": " ".join(files)} if files else {}
    if isinstance(recipe.source, Arch):
        return _of_arch(recipe.source) | of_files
    if isinstance(recipe.source, Fedora):
        return _of_fedora(recipe.source) | of_files
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
    if isinstance(debian, Ubuntu):
        found["distribution"] = distribution(recipe)
    found |= {f"layer{number}": _layer(layer) for number, layer in enumerate(layers(recipe), 1)}
    return found | _repositories(debian.repositories) | of_files


def on_tree(recipe: Recipe) -> dict[str, str]:
    """Return all of a recipe that decides which packages come on top of a tree that says itself what it has.

    Nothing where none do. What the tree decides stands in the lock file beside it, see `tree_lock`.
    """
    if not tree_packages.wanted(recipe):
        return {}
    archive = recipe.archive
    found = {
        "arch": recipe.arch,
        "components": " ".join(archive.components or ()),
        "recommends": _yes(archive.recommends),
        "security": _yes(archive.security),
        "release": archive.suite or "",
    }
    found |= {f"layer{number}": _layer(layer) for number, layer in enumerate(layers_on_tree(recipe), 1)}
    return {key: value for key, value in (found | _repositories(archive.repositories)).items() if value}


def layers_on_tree(recipe: Recipe) -> list[Packages]:
    """Return the layers of packages on top of such a tree, the lowest first: that of a kernel names none yet."""
    added = [Packages(tree_packages.LAYER, (), (), ())] if tree_packages.adds_kernel(recipe) else []
    return [*added, *layers(recipe)]


def _layer(layer: Packages) -> str:
    return " ".join(
        [layer.name, *(f"+{name}" for name in sorted(layer.install)), *(f"-{name}" for name in sorted(layer.remove))]
    )


def _repositories(repositories: Sequence[Repository]) -> dict[str, str]:
    return {
        f"repository{number}": json.dumps([each.uri, each.suite, *each.components])
        for number, each in enumerate(repositories, 1)
    }


def _of_arch(source: Arch) -> dict[str, str]:
    return {
        "distribution": "arch",
        "packages": " ".join(sorted(set(source.packages))),
        "repositories": " ".join(source.repositories),
        "snapshot": source.snapshot or "",
    }


def _of_fedora(source: Fedora) -> dict[str, str]:
    found = {
        "distribution": "fedora",
        "release": source.release,
        "packages": " ".join(sorted(set(source.packages))),
        "updates": _yes(source.updates),
    }
    return found | {f"repository{number}": each.uri for number, each in enumerate(source.repositories, 1)}


def layers(recipe: Recipe) -> list[Packages]:
    """Return the layers of packages of a recipe, the lowest first."""
    return [layer for layer in recipe.layers if isinstance(layer, Packages)]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def stale(lock: LockFile, recipe: Recipe) -> str | None:
    """Return why a lock no longer fits the recipe, or None where it does."""
    wanted = _wanted(lock, recipe)
    apart = tree_packages.wanted(recipe)  # of what is on top of a tree its stage tells, once the tree is there
    for key in {**wanted, **lock.request}:
        if apart and tree_lock.is_on_tree(key):
            continue
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
    where = {"key": section(recipe), "distribution": distribution(recipe)}
    return {"mirror": own, "extras": extras, **where}


def hints_on_tree(recipe: Recipe) -> dict[str, Json]:
    """Return the hints of a stage that fetches packages for the top of a tree that says itself what it has."""
    archive = recipe.archive
    extras: list[Json] = [each.uri for each in archive.repositories]
    return {"mirror": archive.mirror, "extras": extras, "key": ARCHIVE, "distribution": ""}


def distribution(recipe: Recipe) -> str:
    """Return whose packages a tree is installed from, or files are taken out of."""
    return "ubuntu" if isinstance(recipe.source, Ubuntu) else "debian"


def section(recipe: Recipe) -> str:
    """Return where a recipe says from where these come."""
    return f"source.{distribution(recipe)}"


def mistake(recipe: Recipe, word: str, key: str, what: str) -> RecipeError:
    """Return a mistake in the recipe, placed where the word stands."""
    for file in filter(Path.is_file, recipe.files):  # of a tree without a recipe there is none
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            found = re.search(rf"(?<![\w.+-]){re.escape(word)}(?![\w.+-])", line.partition(" #")[0])
            if found:
                return RecipeError([f"{shown(file)}:{number}:{found.start() + 1}: {key}: {what}"])
    return RecipeError([f"{shown(recipe.file)}: {key}: {what}"])

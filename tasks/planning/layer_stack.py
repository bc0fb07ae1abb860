"""The layers of a recipe's tree, the base first, and how stages take them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.layers import FileSpec, Packages
from bootsmith.tasks.recipe.model.source import Debian, Nothing

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model.boot import Module
    from bootsmith.tasks.recipe.model.files import File
    from bootsmith.tasks.recipe.model.recipe import Recipe

SYSTEM: Final = "system"
MODULES: Final = "modules"
CONTAINER: Final = "container"


def stack(recipe: Recipe, site: Site) -> tuple[Layer, ...]:
    """Return all layers of a recipe's tree, the base first, the system's last."""
    declared = () if recipe.system == "none" else (site.layer(SYSTEM),)
    added = (site.layer(MODULES),) if modules(recipe) else ()
    mended = (site.layer(CONTAINER),) if may_be_a_containers(recipe) else ()
    kernel = (site.layer(tree_packages.LAYER),) if tree_packages.adds_kernel(recipe) else ()
    return (site.base, *mended, *kernel, *(site.layer(spec.name) for spec in recipe.layers), *declared, *added)


def may_be_a_containers(recipe: Recipe) -> bool:
    """Tell whether a recipe's source is a tree that somebody made, and Linux is to find a system in it on a disk."""
    on_a_disk = any(each.mount == "/" for each in recipe.disk.partitions.values())
    return on_a_disk and recipe.boot.protocol == "linux" and not isinstance(recipe.source, Debian | Nothing)


def packaged(recipe: Recipe) -> int:
    """Return how many layers above the base there are up to that of a kernel which is added to the tree."""
    return may_be_a_containers(recipe) + 1 if tree_packages.adds_kernel(recipe) else 0


def modules(recipe: Recipe) -> dict[str, FileSpec]:
    """Return the multiboot modules of all entries, as files of the tree."""
    return {each.path: FileSpec(file, None, 0o755, "root", "root") for each, file in _each_module(recipe)}


def module_words(recipe: Recipe) -> dict[str, str]:
    """Return all that the entries hand to each module, by its path."""
    found: dict[str, str] = {}
    for each, _ in _each_module(recipe):
        found[each.path] = f"{found.get(each.path, '')} {each.args}".strip()
    return found


def _each_module(recipe: Recipe) -> Iterator[tuple[Module, File]]:
    for entry in recipe.boot.entries.values():
        yield from ((module, module.file) for module in entry.modules if module.file != "none")


def parted(recipe: Recipe) -> bool:
    """Tell whether a recipe's lock file holds more than the packages that its tree begins with."""
    return any(isinstance(spec, Packages) for spec in recipe.layers)


def inputs(layers: Sequence[Layer], *, tars: bool) -> dict[str, Path]:
    """Return layers as a stage's inputs: "0.index", "1.index" ..., and "0.tar" ... where files are read."""
    found = {f"{number}.index": layer.index for number, layer in enumerate(layers)}
    return found | ({f"{number}.tar": layer.tar for number, layer in enumerate(layers)} if tars else {})

"""The stage `kernel`: the newest kernel in the tree, or the recipe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.recipe.model import Nothing
from bootsmith.tasks.stage import Stage
from bootsmith.tasks.stages import layers, packaged, system

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bootsmith.tasks.recipe.model import Kernel, Recipe
    from bootsmith.tasks.site import Site


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stage that has the kernel, where a recipe has one: out of the tree, or the recipe's own."""
    kernel, tree = recipe.boot.kernel, system.lower(layers.stack(recipe, site), tars=True)
    if kernel == "none":
        return []
    if kernel == "auto":
        return [_in_tree(tree, site)]
    nameless = isinstance(recipe.source, Nothing) or recipe.boot.initrd == "tree"  # a menu needs no name of it
    return [_own(kernel, recipe, site, {} if nameless else tree)]


def _in_tree(tree: Mapping[str, Path], site: Site) -> Stage:
    """Return the stage that takes the kernel out of the tree."""
    return Stage(
        "kernel",
        "bootsmith.tasks.tree.kernel:run",
        tree,
        {"kernel": site.kernel, "facts": site.kernel_facts},
        doc="the kernel, out of the tree",
    )


def _own(kernel: Kernel, recipe: Recipe, site: Site, tree: Mapping[str, Path]) -> Stage:
    """Return the stage that takes the recipe's own kernel; of the tree, given as inputs, it reads whose it is."""
    return Stage(
        "kernel",
        "bootsmith.tasks.tree.own_kernel:run",
        {"file": packaged.path(kernel.file, recipe, site), **tree},
        {"kernel": site.kernel, "facts": site.kernel_facts},
        {"protocol": recipe.boot.protocol, "arch": recipe.arch, "version": recipe.version},
        ("zstd",),
        doc="the kernel",
    )

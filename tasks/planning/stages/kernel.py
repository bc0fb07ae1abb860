"""The stages `kernel`, and `kernel/ENTRY` of an entry with another one: the newest in the tree, or the recipe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot.own_kernel import KernelParams
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.kernel_paths import key, role
from bootsmith.tasks.planning import entries, layer_stack
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.model.source import Nothing
from bootsmith.tasks.tree.installed_kernel import InstalledParams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.boot import Kernel
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that have the kernels which entries start: out of the tree, or the recipe's own."""
    tree = layer_stack.inputs(layer_stack.stack(recipe, site), tars=True)
    nameless = isinstance(recipe.source, Nothing) or recipe.boot.initrd == "tree"  # a menu needs no name of it
    return [
        _in_tree(recipe, site, tree, entry)
        if isinstance(kernel, str)
        else _own(kernel, recipe, site, {} if nameless else tree, entry)
        for entry, kernel in boot_files.kernels(recipe.boot).items()
    ]


def _in_tree(recipe: Recipe, site: Site, tree: Mapping[str, Path], entry: str) -> Stage:
    """Return the stage that takes the kernel out of the tree, for an entry or for `boot` itself."""
    return Stage(
        role("kernel", entry),
        "bootsmith.tasks.tree.installed_kernel:run",
        tree,
        {"kernel": site.kernel_for(entry), "facts": site.kernel_facts_for(entry)},
        InstalledParams(recipe.arch, entries.inits(recipe, entry)).to_json(),
        hints={"key": key(entry, "kernel")},
        doc="the kernel, out of the tree" + (f", for the entry {entry}" if entry else ""),
    )


def _own(kernel: Kernel, recipe: Recipe, site: Site, tree: Mapping[str, Path], entry: str) -> Stage:
    """Return the stage that takes the recipe's own kernel; of the tree, given as inputs, it reads whose it is."""
    return Stage(
        role("kernel", entry),
        "bootsmith.tasks.boot.own_kernel:run",
        {"file": extraction.path(kernel.file, recipe, site), **tree},
        {"kernel": site.kernel_for(entry), "facts": site.kernel_facts_for(entry)},
        KernelParams(recipe.boot.protocol, recipe.arch, recipe.version, entries.inits(recipe, entry)).to_json(),
        hints={"key": key(entry, "kernel")},
        doc=f"the kernel of the entry {entry}" if entry else "the kernel",
    )

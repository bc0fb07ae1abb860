"""What a disk is filled from, as the inputs and parameters of stages: layers, kernel and initrd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.disk.kernel_paths import role
from bootsmith.tasks.disk.sources import FACTS, ROOT_HASH
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning import placement as places
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.loaders import partitions

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def _layers(recipe: Recipe, site: Site) -> tuple[Layer, ...]:
    return layer_stack.stack(recipe, site) if places.mounted(recipe.disk) else ()


def layers(recipe: Recipe, site: Site) -> tuple[str, ...]:
    """Return the names of the layers, by which `indexes` and `tars` are called."""
    return tuple(layer.name for layer in _layers(recipe, site))


def indexes(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the inputs that say what files there are."""
    return {f"{layer.name}.index": layer.index for layer in _layers(recipe, site)}


def tars(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the inputs that hold the files."""
    return {f"{layer.name}.tar": layer.tar for layer in _layers(recipe, site)}


def kernels(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the kernels, the initrds where there are some, and what is known of them, as inputs."""
    found = boot_files.kernels(recipe.boot)
    initrds = boot_files.initrds(recipe.boot) if found else ()
    return {
        **{role("kernel", entry): site.kernel_for(entry) for entry in found},
        **{role("initrd", entry): site.initrd_for(entry) for entry in initrds},
        **facts(recipe, site),
    }


def root_hash(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the root hash of a root that is verified, as an input: nothing where none is."""
    found = partitions.verity(recipe.disk)
    return {ROOT_HASH: site.root_hash(found[1].name)} if found else {}


def facts(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return what is known of the kernels, as inputs."""
    return {role(FACTS, entry): site.kernel_facts_for(entry) for entry in boot_files.kernels(recipe.boot)}

"""What a disk is filled from, as the inputs and parameters of stages: layers, kernel and initrd."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.stages import layers
from bootsmith.tasks.stages import placement as places

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.site import Layer, Site
    from bootsmith.tasks.stage import Json


def _layers(recipe: Recipe, site: Site) -> tuple[Layer, ...]:
    return layers.stack(recipe, site) if places.mounted(recipe.disk) else ()


def params(recipe: Recipe, site: Site, *, kernels: bool) -> dict[str, Json]:
    """Return the parameters that `gather` reads; `kernels`: kernel and initrd are put where they belong."""
    where = places.placement(recipe)
    return {
        "epoch": site.epoch,
        "layers": [layer.name for layer in _layers(recipe, site)],
        "mounts": dict(places.mounted(recipe.disk)),
        "kernels": asdict(where) if kernels else None,
    }


def indexes(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the inputs that say what files there are."""
    return {f"{layer.name}.index": layer.index for layer in _layers(recipe, site)}


def tars(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the inputs that hold the files."""
    return {f"{layer.name}.tar": layer.tar for layer in _layers(recipe, site)}


def kernels(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the kernel, the initrd where there is one, and what is known of them, as inputs."""
    if recipe.boot.kernel == "none":
        return {}
    initrd = {} if recipe.boot.initrd == "none" else {"initrd": site.initrd}
    return {"kernel": site.kernel, **initrd, "facts": site.kernel_facts}

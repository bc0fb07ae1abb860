"""The stages `layers/...`: one for each item of the recipe's `layers`, and the declared system on top of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Json, Stage
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.stages import extraction, system
from bootsmith.tasks.recipe.model import Devices, Directories, Files, LayerSpec, Links, Overlay, Remove
from bootsmith.tasks.tree.accounts import is_name

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model import Recipe

_RUN = "bootsmith.tasks.tree.additions:"


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that make the delta layers, lowest first."""
    layers = layer_stack.stack(recipe, site)
    count = len(recipe.layers)
    found = [_stage(spec, recipe, site, layers[: number + 1]) for number, spec in enumerate(recipe.layers)]
    if recipe.system != "none":
        found.append(system.stage(recipe, site, layers[: count + 1]))
    if layer_stack.modules(recipe):
        found.append(_stage(Files(layer_stack.MODULES, layer_stack.modules(recipe)), recipe, site, layers[:-1]))
    return found


def _stage(spec: LayerSpec, recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    target = site.layer(spec.name)
    run, sources, params, named = _content(spec, recipe, site)
    return Stage(
        f"layers/{spec.name}",
        _RUN + run,
        sources | layer_stack.inputs(below, tars=named),
        {"tar": target.tar, "index": target.index},
        {"epoch": site.epoch, **params},
        doc=f"what {spec.name} adds to the tree",
    )


def _content(spec: LayerSpec, recipe: Recipe, site: Site) -> tuple[str, dict[str, Path], dict[str, Json], bool]:
    """Return a layer's function, its own inputs and parameters, and whether it names owners that the tree must know."""
    match spec:
        case Overlay():
            return "lay_over", {"overlay": spec.source}, {"to": spec.to, "exclude": list(spec.exclude)}, False
        case Files():
            sources = {
                path: extraction.path(each.source, recipe, site) for path, each in spec.files.items() if each.source
            }
            params: dict[str, Json] = {
                path: {"content": each.content, "mode": each.mode, "owner": each.owner, "group": each.group}
                for path, each in spec.files.items()
            }
            named = any(is_name(each.owner, each.group) for each in spec.files.values())
            return "add_files", sources, {"files": params}, named
        case Directories():
            wanted: dict[str, Json] = {
                path: {"mode": each.mode, "owner": each.owner, "group": each.group}
                for path, each in spec.directories.items()
            }
            named = any(is_name(each.owner, each.group) for each in spec.directories.values())
            return "make_directories", {}, {"directories": wanted}, named
        case Links():
            return "add_links", {}, {"links": dict(spec.links)}, False
        case Devices():
            nodes: dict[str, Json] = {
                path: {"node": list(each.node), "mode": each.mode, "owner": each.owner, "group": each.group}
                for path, each in spec.devices.items()
            }
            named = any(is_name(each.owner, each.group) for each in spec.devices.values())
            return "add_devices", {}, {"devices": nodes}, named
        case Remove():
            return "remove", {}, {"remove": list(spec.remove)}, False

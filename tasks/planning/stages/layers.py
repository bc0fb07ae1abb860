"""The stages `layers/...`: one for each item of the recipe's `layers`, and the declared system on top of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bootsmith.tasks.boot.module_layer import ModulesParams
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.stages import extraction, inside, system
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.layers import (
    Devices,
    Directories,
    Files,
    LayerSpec,
    Links,
    Overlay,
    Packages,
    Remove,
    Run,
    Script,
)
from bootsmith.tasks.tree import additions
from bootsmith.tasks.tree.accounts import is_name
from bootsmith.tasks.tree.container_layer import ContainerParams
from bootsmith.tasks.tree.overlay_layer import OverlayParams

if TYPE_CHECKING:
    from bootsmith.tasks.build.parameters import Params
    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.tree.additions import Access

_RUN = "bootsmith.tasks.tree.additions:"
_Cheap: TypeAlias = "Overlay | Files | Directories | Links | Devices | Remove"


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that make the delta layers, lowest first."""
    layers = layer_stack.stack(recipe, site)
    found = [_container(site)] if layer_stack.may_be_a_containers(recipe) else []
    if tree_packages.adds_kernel(recipe):
        found.append(inside.kernel(recipe, site, layers[: len(found) + 1]))
    for spec in recipe.layers:
        found.append(_stage(spec, recipe, site, layers[: len(found) + 1]))
    if recipe.system != "none":
        found.append(system.stage(recipe, site, layers[: len(found) + 1]))
    if layer_stack.modules(recipe):
        found.append(_modules(recipe, site, layers[:-1]))
    return found


def _stage(spec: LayerSpec, recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    if isinstance(spec, Packages | Run | Script):
        return inside.stage(spec, recipe, site, below)
    target = site.layer(spec.name)
    run, sources, params, named = _content(spec, recipe, site)
    return Stage(
        f"layers/{spec.name}",
        run,
        sources | layer_stack.inputs(below, tars=named),
        {"tar": target.tar, "index": target.index},
        params.to_json(),
        carry="tar" if isinstance(spec, Overlay) else None,
        doc=f"what {spec.name} adds to the tree",
    )


def _container(site: Site) -> Stage:
    target = site.layer(layer_stack.CONTAINER)
    return Stage(
        f"layers/{layer_stack.CONTAINER}",
        "bootsmith.tasks.tree.container_layer:run",
        layer_stack.inputs((site.base,), tars=False),
        {"tar": target.tar, "index": target.index},
        ContainerParams(site.epoch).to_json(),
        doc="what a container's tree lacks, or has too much, as a system",
    )


def _modules(recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    spec = Files(layer_stack.MODULES, layer_stack.modules(recipe))
    stage = _stage(spec, recipe, site, below)
    params = ModulesParams(site.epoch, _added(spec), layer_stack.module_words(recipe), recipe.arch)
    return stage._replace(run="bootsmith.tasks.boot.module_layer:run", params=params.to_json())


def _added(spec: Files) -> dict[str, additions.AddedFile]:
    return {
        path: additions.AddedFile(each.mode, each.owner, each.group, each.content) for path, each in spec.files.items()
    }


def _content(spec: _Cheap, recipe: Recipe, site: Site) -> tuple[str, dict[str, Path], Params, bool]:
    """Return what a layer's stage runs, its inputs and parameters, and whether it names owners of the tree."""
    epoch = site.epoch
    match spec:
        case Overlay():
            params = OverlayParams(epoch, spec.to, spec.exclude)
            return "bootsmith.tasks.tree.overlay_layer:run", {"overlay": spec.source}, params, False
        case Files():
            sources = {
                path: extraction.path(each.source, recipe, site) for path, each in spec.files.items() if each.source
            }
            files = _added(spec)
            return f"{_RUN}add_files", sources, additions.FilesParams(epoch, files), _named(files)
        case Directories():
            directories = {
                path: additions.Access(each.mode, each.owner, each.group) for path, each in spec.directories.items()
            }
            return f"{_RUN}make_directories", {}, additions.DirectoriesParams(epoch, directories), _named(directories)
        case Links():
            return f"{_RUN}add_links", {}, additions.LinksParams(epoch, spec.links), False
        case Devices():
            devices = {
                path: additions.AddedDevice(each.mode, each.owner, each.group, each.node)
                for path, each in spec.devices.items()
            }
            return f"{_RUN}add_devices", {}, additions.DevicesParams(epoch, devices), _named(devices)
        case Remove():
            return f"{_RUN}remove", {}, additions.RemovalParams(epoch, spec.remove), False


def _named(added: Mapping[str, Access]) -> bool:
    return any(is_name(each.owner, each.group) for each in added.values())

"""The stages of layers that change the tree from inside: packages, commands, scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.packages import package_layer, request
from bootsmith.tasks.packages.package_layer import PackagesParams
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.layers import Packages, Run, Script
from bootsmith.tasks.recipe.model.source import Debian
from bootsmith.tasks.tree import commands
from bootsmith.tasks.tree.commands import CommandParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stage(spec: Packages | Run | Script, recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    """Return the stage of such a layer, on top of the layers `below`."""
    return _packages(spec, recipe, site, below) if isinstance(spec, Packages) else _command(spec, site, below)


def kernel(recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    """Return the stage of the distribution's kernel, put on a tree that has none; what that is, the lock says."""
    found = _packages(Packages(tree_packages.LAYER, (), (), ()), recipe, site, below)
    return found._replace(doc="the distribution's kernel, where the tree has none")


def _command(spec: Run | Script, site: Site, below: Sequence[Layer]) -> Stage:
    """Return the stage of what is run in the tree below."""
    target = site.layer(spec.name)
    inputs = {f"input/{name}": path for name, path in spec.inputs.items()}
    if isinstance(spec, Script):
        inputs[commands.SCRIPT] = spec.file
    return Stage(
        f"layers/{spec.name}",
        "bootsmith.tasks.tree.commands:run",
        inputs | layer_stack.inputs(below, tars=True),
        {"tar": target.tar, "index": target.index},
        CommandParams(
            epoch=site.epoch,
            command=spec.command if isinstance(spec, Run) else None,
            inputs=tuple(spec.inputs),
            env=spec.env,
            network=spec.network,
        ).to_json(),
        commands.TOOLS,
        doc=f"what {spec.name} changes in the tree",
    )


def _packages(spec: Packages, recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    """Return the stage of packages on top of the tree below."""
    target = site.layer(spec.name)
    own = isinstance(recipe.source, Debian)
    docs = recipe.source.docs if isinstance(recipe.source, Debian) else recipe.archive.docs
    return Stage(
        f"layers/{spec.name}",
        "bootsmith.tasks.packages.package_layer:run",
        {"lock": site.layer_lock(spec.name)} | layer_stack.inputs(below, tars=True),
        {"tar": target.tar, "index": target.index},
        PackagesParams(site.epoch, docs, spec.preseed).to_json(),
        package_layer.TOOLS,
        listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
        hints=request.hints(recipe) if own else request.hints_on_tree(recipe),
        fetcher=request.FETCHER,
        doc=f"what the packages of {spec.name} change in the tree",
    )

"""The stage `bootloader`: the loaders' files and entries, and the boot code of the one that has some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import registry, signing
from bootsmith.tasks.boot.loader_layer import LoaderParams
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import bootcode
from bootsmith.tasks.packages import loader_packages
from bootsmith.tasks.planning import disk_inputs, entries, placement
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.recipe.loaders import own
from bootsmith.tasks.recipe.loaders.boot_places import BOOT_SECTOR
from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.source import Debian

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


_READING = {"btrfs": ("btrfs",)}
"""Modules by which GRUB reads kernels from a filesystem, where not every image of it has them."""


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the loaders' files."""
    where, secure = placement.placement(recipe), recipe.boot.secure_boot
    kernels = recipe.disk.partitions[where.partition] if where.partition else None
    tools = [tool for name in recipe.boot.loader for tool in _tools(recipe, name)]
    outputs = {"tar": site.loader.tar, "index": site.loader.index}
    if has_boot_code(recipe):
        outputs |= site.boot_code
    return Stage(
        name="bootloader",
        run="bootsmith.tasks.boot.loader_layer:run",
        inputs=_inputs(recipe, site),
        outputs=outputs,
        params=LoaderParams(
            epoch=site.epoch,
            loaders=tuple(_role(recipe, name) for name in recipe.boot.loader),
            menu=entries.menu(recipe),
            esp=placement.esp(recipe.disk),
            active=placement.active(recipe.disk),
            table=recipe.disk.table,
            room=bootcode.room(recipe.disk) if has_boot_code(recipe) else None,
            mounts=placement.mounted(recipe.disk),
            kernels=where,
            kernels_uuid=kernels.uuid if kernels else "",
            host=from_host(recipe),
            removable=recipe.boot.removable,
            grub_modules=(*_READING.get(kernels.fs if kernels else "", ()), *recipe.boot.grub_modules),
            signed=secure is not None,
            enroll=secure is not None and secure.enroll,
        ).to_json(),
        loads=_loads(recipe),
        tools=tuple(dict.fromkeys([*tools, *(signing.TOOLS if secure else ())])),
        secrets={signing.KEY: secure.key} if secure else {},
        doc="the bootloaders and their menu",
    )


def _role(recipe: Recipe, name: str) -> str:
    """Return what a loader is called among the parameters; one of a user's own has its file as an input of that role.

    Where that file stands is nobody's business.
    """
    return f"loader/{recipe.boot.loader.index(name)}" if own.is_own(name) else name


def _loads(recipe: Recipe) -> tuple[str, ...]:
    """Return the modules that make the recipe's loaders; one of a user's own is an input, which may import some."""
    found: list[str] = []
    for name in recipe.boot.loader:
        found += own.OURS if own.is_own(name) else [registry.LOADERS[name]]
    return tuple(dict.fromkeys(found))


def _inputs(recipe: Recipe, site: Site) -> dict[str, Path]:
    found = {"base.tar": site.base.tar, "base.index": site.base.index}
    found |= {f"config/{name}": extraction.path(file, recipe, site) for name, file in recipe.boot.config.items()}
    found |= {_role(recipe, name): Path(name) for name in recipe.boot.loader if own.is_own(name)}
    found |= disk_inputs.kernels(recipe, site) if _wants_kernel(recipe) else disk_inputs.facts(recipe, site)
    found |= disk_inputs.root_hash(recipe, site)
    if recipe.boot.secure_boot:
        found[signing.CERTIFICATE] = recipe.boot.secure_boot.certificate
    return found


def _wants_kernel(recipe: Recipe) -> bool:
    """Tell whether a loader may take the kernel itself into its files, not only the way to it."""
    return any(name == "efistub" or own.is_own(name) for name in recipe.boot.loader)


def from_host(recipe: Recipe) -> bool:
    """Tell whether the host's files stand in for loader packages, which the tree does not bring."""
    return not recipe.boot.packages or not isinstance(recipe.source, Debian)


def has_boot_code(recipe: Recipe) -> bool:
    """Tell whether a loader of the recipe is started by the disk's first sector."""
    return any(BOOT_SECTOR in KINDS[name].boot_places for name in recipe.boot.loader)


def _tools(recipe: Recipe, name: str) -> tuple[str, ...]:
    loader = loader_packages.loader(name)
    return (*loader.TOOLS, *(loader.HOST if from_host(recipe) else ()))

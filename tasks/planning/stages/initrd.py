"""The stages `initramfs...`: the initrds, each made by the tree's own tools, of the tree itself, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.kernel_paths import key, role
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.stages import extraction, system
from bootsmith.tasks.recipe import boot_files, tree_packages
from bootsmith.tasks.recipe.cmdline import OVERLAY
from bootsmith.tasks.tree import initramfs
from bootsmith.tasks.tree.initramfs import InitramfsParams, ViewParams
from bootsmith.tasks.tree.initrd_sources import PACK, CompressionParams
from bootsmith.tasks.tree.root_initramfs import RootParams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bootsmith.tasks.build.stage import Json
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.boot_files import Initrd
    from bootsmith.tasks.recipe.model.recipe import Recipe


_RUN: Final = "bootsmith.tasks.tree.initrd_sources:"


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that make the initrds which entries start with."""
    wanted = boot_files.initrds(recipe.boot)
    sources = [initrd.source for initrd in wanted.values()]
    found = []
    if "auto" in sources and tree_packages.makes_initrds(recipe):
        found.append(_view(recipe, site))
    if "tree" in sources:
        found.append(_packing(recipe, site))
    return [*found, *(_stage(recipe, site, entry, initrd) for entry, initrd in wanted.items())]


def _stage(recipe: Recipe, site: Site, entry: str, initrd: Initrd) -> Stage:
    """Return the stage that has the initrd of an entry, or that of `boot` itself."""
    name, outputs = role("initramfs", entry), {"initrd": site.initrd_for(entry)}
    whose = f" of the entry {entry}" if entry else ""
    hints = {"key": key(entry, "initrd")}
    match initrd.source:
        case "auto" if tree_packages.makes_initrds(recipe):
            inputs = {"base": site.base.tar, "index": site.base.index, "view": site.view}
            inputs["facts"] = site.kernel_facts_for(initrd.kernel)
            run, params = _made(recipe, site)
            return Stage(name, run, inputs, outputs, params, initramfs.TOOLS, hints=hints, doc=f"the initrd{whose}")
        case "auto":
            inputs = layer_stack.inputs(layer_stack.stack(recipe, site), tars=True)
            inputs["facts"] = site.kernel_facts_for(initrd.kernel)
            return Stage(name, f"{_RUN}find", inputs, outputs, hints=hints, doc=f"the initrd{whose}, out of the tree")
        case "tree":
            return compressed(name, "gzip", site, site.initrd_for(entry), f"the initrd{whose}: the tree, packed")
        case file:
            assert not isinstance(file, str), "there is no other word"
            inputs = {"file": extraction.path(file, recipe, site)}
            return Stage(name, f"{_RUN}take", inputs, outputs, hints=hints, doc=f"the initrd{whose}")


def _made(recipe: Recipe, site: Site) -> tuple[str, Mapping[str, Json]]:
    """Return what makes an initrd out of the tree's own tools, and its parameters."""
    root = next((part for part in recipe.disk.partitions.values() if part.mount == "/"), None)
    if root is None or (root.overlay == "none" and not root.encrypt and not root.verity):
        return "bootsmith.tasks.tree.initramfs:run", InitramfsParams(site.epoch).to_json()
    params = RootParams(
        site.epoch,
        OVERLAY if root.overlay == "memory" else "",
        (root.fs,) if root.packed else (),
        system.crypttab([root]),
        root.verity,
    )
    return "bootsmith.tasks.tree.root_initramfs:run", params.to_json()


def _packing(recipe: Recipe, site: Site) -> Stage:
    return Stage(
        "initramfs/tree",
        f"{_RUN}pack",
        layer_stack.inputs(layer_stack.stack(recipe, site), tars=True),
        {"cpio": site.build / "initramfs/tree.cpio"},
        stored=False,
        doc="the whole tree, as an archive that Linux unpacks",
    )


def compressed(name: str, how: str, site: Site, target: Path, doc: str) -> Stage:
    """Return a stage that packs the tree's archive: "none", "gzip" or "zstd"."""
    return Stage(
        name,
        f"{_RUN}compress",
        {"cpio": site.build / "initramfs/tree.cpio"},
        {"initrd": target},
        CompressionParams(how).to_json(),
        PACK[how][:1] if how in PACK else (),
        doc=doc,
    )


def _view(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the layers' view of what matters to an initrd, the same for all kernels."""
    return Stage(
        "initramfs/view",
        "bootsmith.tasks.tree.initramfs:view",
        layer_stack.inputs(layer_stack.stack(recipe, site), tars=True),
        {"view": site.view},
        ViewParams(site.epoch, layer_stack.packaged(recipe)).to_json(),
        doc="of the layers, what the initramfs tools may read",
    )

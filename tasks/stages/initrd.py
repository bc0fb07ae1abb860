"""The stages `initramfs...`: the initrd, made by the tree's own tools, of the tree itself, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe.model import Debian
from bootsmith.tasks.stage import Stage
from bootsmith.tasks.stages import layers, packaged, system
from bootsmith.tasks.tree import initramfs
from bootsmith.tasks.tree.initrd import PACK

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.site import Site


_RUN: Final = "bootsmith.tasks.tree.initrd:"


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that make a recipe's initrd."""
    match recipe.boot.initrd:
        case "none":
            return []
        case "auto" if isinstance(recipe.source, Debian):
            return _by_its_tools(recipe, site)
        case "auto":
            inputs = {**system.lower(layers.stack(recipe, site), tars=True), "facts": site.kernel_facts}
            return [
                Stage("initramfs", f"{_RUN}find", inputs, {"initrd": site.initrd}, doc="the initrd, out of the tree")
            ]
        case "tree":
            cpio = site.build / "initramfs/tree.cpio"
            return [
                Stage(
                    "initramfs/tree",
                    f"{_RUN}pack",
                    system.lower(layers.stack(recipe, site), tars=True),
                    {"cpio": cpio},
                    stored=False,
                    doc="the whole tree, as an archive that Linux unpacks",
                ),
                compressed("initramfs", "gzip", site, site.initrd, "the initrd: the tree, packed"),
            ]
        case file:
            inputs = {"file": packaged.path(file, recipe, site)}
            return [Stage("initramfs", f"{_RUN}take", inputs, {"initrd": site.initrd}, doc="the initrd")]


def compressed(name: str, how: str, site: Site, target: Path, doc: str) -> Stage:
    """Return a stage that packs the tree's archive: "none", "gzip" or "zstd"."""
    return Stage(
        name,
        f"{_RUN}compress",
        {"cpio": site.build / "initramfs/tree.cpio"},
        {"initrd": target},
        {"compress": how},
        PACK[how][:1] if how in PACK else (),
        doc=doc,
    )


def _by_its_tools(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that make the initrd: the layers' view of what matters to it, then the initrd."""
    deltas = layers.stack(recipe, site)[1:]
    view = Stage(
        "initramfs/view",
        "bootsmith.tasks.tree.initramfs:view",
        system.lower(deltas, tars=True),
        {"view": site.view},
        {"epoch": site.epoch},
        doc="of the layers, what the initramfs tools may read",
    )
    initrd = Stage(
        "initramfs",
        "bootsmith.tasks.tree.initramfs:run",
        {"base": site.base.tar, "index": site.base.index, "view": site.view, "facts": site.kernel_facts},
        {"initrd": site.initrd},
        {"epoch": site.epoch},
        initramfs.TOOLS,
        doc="the initrd",
    )
    return [view, initrd]

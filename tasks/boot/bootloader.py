"""The stage `bootloader`: the loaders' files and entries, as a layer whose top folders are partitions, and boot code.

Kernel and initrd are not in it, but for unified kernel images: the filesystems take them as they are, so that another
kernel command line costs no more than a few text files.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from bootsmith.tasks.boot import (
    direct,
    efistub,
    enrolment,
    grub_bios,
    grub_efi,
    menu,
    placement,
    signing,
    syslinux,
    systemd_boot,
)
from bootsmith.tasks.recipe import loaders
from bootsmith.tasks.recipe.model import Debian
from bootsmith.tasks.stage import Context, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bootsmith.tasks.boot.loader import Loader
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.site import Site

LOADERS: Mapping[str, Loader] = {
    "systemd-boot": systemd_boot,
    "grub-efi": grub_efi,
    "grub-bios": grub_bios,
    "syslinux": syslinux,
    "efistub": efistub,
    "direct": direct,
}
"""Loader's name in recipes -> the module that makes it. Imported, not looked up: a stage's code must be found."""


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the loaders' files."""
    where, secure = placement.placement(recipe), recipe.boot.secure_boot
    tools = [tool for name in recipe.boot.loader for tool in _tools(recipe, name)]
    outputs = {"tar": site.loader.tar, "index": site.loader.index}
    if has_boot_code(recipe):
        outputs |= site.boot_code
    return Stage(
        name="bootloader",
        run="bootsmith.tasks.boot.bootloader:run",
        inputs=_inputs(recipe, site),
        outputs=outputs,
        params={
            "epoch": site.epoch,
            "loaders": list(recipe.boot.loader),
            "menu": menu.menu(recipe),
            "esp": placement.esp(recipe.disk),
            "active": placement.active(recipe.disk),
            "table": recipe.disk.table,
            "mounts": dict(placement.mounted(recipe.disk)),
            "kernels": {"partition": where.partition, "kernel": where.kernel, "initrd": where.initrd},
            "kernels_uuid": recipe.disk.partitions[where.partition].uuid if where.partition else "",
            "host": from_host(recipe),
            "removable": recipe.boot.removable,
            "grub_modules": list(recipe.boot.grub_modules),
            "signed": secure is not None,
            "enroll": secure is not None and secure.enroll,
        },
        tools=tuple(dict.fromkeys([*tools, *(signing.TOOLS if secure else ())])),
        secrets={signing.KEY: secure.key} if secure else {},
        doc="the bootloaders and their menu",
    )


def _inputs(recipe: Recipe, site: Site) -> dict[str, Path]:
    found = {"facts": site.kernel_facts, "base.tar": site.base.tar, "base.index": site.base.index}
    found |= {f"config/{name}": path for name, path in recipe.boot.config.items()}
    if "efistub" in recipe.boot.loader:
        found["kernel"] = site.kernel
        if recipe.boot.initrd != "none":
            found["initrd"] = site.initrd
    if recipe.boot.secure_boot:
        found[signing.CERTIFICATE] = recipe.boot.secure_boot.certificate
    return found


def from_host(recipe: Recipe) -> bool:
    """Tell whether the host's files stand in for loader packages, which the tree does not bring."""
    return not recipe.boot.packages or not isinstance(recipe.source, Debian)


def has_boot_code(recipe: Recipe) -> bool:
    """Tell whether a loader of the recipe is started by the disk's first sector."""
    return any(loaders.BOOT_SECTOR in loaders.KINDS[name].claims for name in recipe.boot.loader)


def _tools(recipe: Recipe, name: str) -> tuple[str, ...]:
    loader = LOADERS[name]
    return (*loader.TOOLS, *(loader.HOST if from_host(recipe) else ()))


def packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages that the recipe's bootloaders need in the tree."""
    source = recipe.source
    if not recipe.boot.packages or not isinstance(source, Debian):
        return ()
    found = (package for name in recipe.boot.loader for package in LOADERS[name].packages(source.suite))
    return tuple(dict.fromkeys(found))


def run(ctx: Context) -> None:
    """Write the loaders' layer, and the boot code of the one that has some."""
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.tree.layer import LayerWriter

    params = cast("dict[str, Any]", ctx.params)
    facts = json.loads(ctx.inputs["facts"].read_bytes())
    where = placement.Placement(**params["kernels"])
    shown = menu.from_param(params["menu"]).completed(facts["pretty_name"], *where.named(facts))
    signer = signing.Signer(ctx) if params["signed"] else None
    keys: dict[str, bytes] = {}
    if signer and params["enroll"]:
        offered = enrolment.variables(signer.certificate.whole)
        keys = {each.name: enrolment.signed(each, params["epoch"], signer.detached) for each in offered}
    with LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params["epoch"]) as layer:
        making = Making(
            ctx=ctx, layer=layer, menu=shown, version=facts["version"], table=params["table"], mounts=params["mounts"],
            esp=params["esp"], active=params["active"], kernels=where.partition, kernels_uuid=params["kernels_uuid"],
            loaders=tuple(params["loaders"]), facts=facts, removable=params["removable"], signer=signer, keys=keys,
        )  # fmt: skip
        for name in params["loaders"]:
            LOADERS[name].make(making)

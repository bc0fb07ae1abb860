"""The stage `bootloader`: the loaders' files and entries, as a layer whose top folders are partitions, and boot code.

Kernel and initrd are not in it, but for unified kernel images: the filesystems take them as they are, so that another
kernel command line costs no more than a few text files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bootsmith.tasks.boot import (
    direct,
    efistub,
    enrolment,
    grub_bios,
    grub_efi,
    menu,
    own,
    placement,
    signing,
    syslinux,
    systemd_boot,
)
from bootsmith.tasks.disk import bootcode, sources
from bootsmith.tasks.recipe import loaders, own_loader
from bootsmith.tasks.recipe.model import Debian
from bootsmith.tasks.stage import Context, Stage
from bootsmith.tasks.tree import packaged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsmith.tasks.boot.loader import Loader
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.recipe.own_loader import OwnLoader
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


_NO_KERNEL: Mapping[str, str] = {"version": "", "id": "linux", "version_id": "", "pretty_name": "Linux"}


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
            "loaders": [_role(recipe, name) for name in recipe.boot.loader],
            "menu": menu.menu(recipe),
            "esp": placement.esp(recipe.disk),
            "active": placement.active(recipe.disk),
            "table": recipe.disk.table,
            "room": list(bootcode.room(recipe.disk)) if has_boot_code(recipe) else None,
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


def _role(recipe: Recipe, name: str) -> str:
    """Return what a loader is called among the parameters; one of a user's own has its file as an input of that role.

    Where that file stands is nobody's business.
    """
    return f"loader/{recipe.boot.loader.index(name)}" if own_loader.is_own(name) else name


def _loader(name: str) -> Loader | OwnLoader:
    return own_loader.read(Path(name)) if own_loader.is_own(name) else LOADERS[name]


def _inputs(recipe: Recipe, site: Site) -> dict[str, Path]:
    found = {"base.tar": site.base.tar, "base.index": site.base.index}
    found |= {f"config/{name}": packaged.path(file, recipe, site) for name, file in recipe.boot.config.items()}
    found |= {_role(recipe, name): Path(name) for name in recipe.boot.loader if own_loader.is_own(name)}
    if recipe.boot.kernel != "none":
        found |= sources.kernels(recipe, site) if _wants_kernel(recipe) else {"facts": site.kernel_facts}
    if recipe.boot.secure_boot:
        found[signing.CERTIFICATE] = recipe.boot.secure_boot.certificate
    return found


def _wants_kernel(recipe: Recipe) -> bool:
    """Tell whether a loader may take the kernel itself into its files, not only the way to it."""
    return any(name == "efistub" or own_loader.is_own(name) for name in recipe.boot.loader)


def from_host(recipe: Recipe) -> bool:
    """Tell whether the host's files stand in for loader packages, which the tree does not bring."""
    return not recipe.boot.packages or not isinstance(recipe.source, Debian)


def has_boot_code(recipe: Recipe) -> bool:
    """Tell whether a loader of the recipe is started by the disk's first sector."""
    return any(loaders.BOOT_SECTOR in loaders.KINDS[name].claims for name in recipe.boot.loader)


def _tools(recipe: Recipe, name: str) -> tuple[str, ...]:
    loader = _loader(name)
    return (*loader.TOOLS, *(loader.HOST if from_host(recipe) else ()))


def packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages that the recipe's bootloaders need in the tree."""
    source = recipe.source
    if not recipe.boot.packages or not isinstance(source, Debian):
        return ()
    found = (package for name in recipe.boot.loader for package in _loader(name).packages(source.suite))
    return tuple(dict.fromkeys(found))


def run(ctx: Context) -> None:
    """Write the loaders' layer, and the boot code of the one that has some."""
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.tree.layer import LayerWriter

    params = cast("dict[str, Any]", ctx.params)
    facts = json.loads(ctx.inputs["facts"].read_bytes()) if "facts" in ctx.inputs else _NO_KERNEL
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
            if name in LOADERS:
                LOADERS[name].make(making)
            else:
                own.make(ctx.inputs[name], making)

"""The stages `iso/...`, a live system's root and initrds, and `convert/iso`: the CDs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import optical, signing
from bootsmith.tasks.boot.optical import OpticalParams
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import squashfs
from bootsmith.tasks.disk.kernel_paths import key, role
from bootsmith.tasks.disk.squashfs import SquashfsParams
from bootsmith.tasks.planning import disk_inputs, entries, layer_stack
from bootsmith.tasks.recipe import boot_files, cmdline
from bootsmith.tasks.recipe.completion import identifiers
from bootsmith.tasks.recipe.model.outputs import Iso
from bootsmith.tasks.tree import initramfs
from bootsmith.tasks.tree.initramfs import InitramfsParams

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.boot.menu import Menu
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    """Yield the stages of a recipe's CDs; several are numbered."""
    isos = [output for output in recipe.outputs if isinstance(output, Iso)]
    if any(each.mode == "live" for each in isos):
        yield _root(recipe, site)
        yield from (_initrd(site, entry, kernel) for entry, kernel in _ours(recipe).items())
    for number, iso in enumerate(isos, 1):
        yield _iso("convert/iso" if number == 1 else f"convert/iso-{number}", iso, recipe, site)


def _ours(recipe: Recipe) -> dict[str, str]:
    """Return whose initrds are made for a live system, and for whose kernels: those that are not the recipe's own."""
    found = boot_files.initrds(recipe.boot)
    return {entry: initrd.kernel for entry, initrd in found.items() if initrd.source == "auto"}


def _root(recipe: Recipe, site: Site) -> Stage:
    own = recipe.system != "none" and recipe.system.fstab != "none"
    return Stage(
        "iso/root",
        "bootsmith.tasks.disk.squashfs:run",
        layer_stack.inputs(layer_stack.stack(recipe, site), tars=True),
        {"image": site.live_root},
        SquashfsParams(site.epoch, fstab=own).to_json(),
        squashfs.TOOLS,
        doc="the tree of a live system, packed",
    )


def _initrd(site: Site, entry: str, kernel: str) -> Stage:
    inputs = {"base": site.base.tar, "index": site.base.index, "view": site.view}
    return Stage(
        role("iso/initrd", entry),
        "bootsmith.tasks.tree.live_initramfs:run",
        {**inputs, "facts": site.kernel_facts_for(kernel)},
        {"initrd": site.live_initrd_for(entry)},
        InitramfsParams(site.epoch).to_json(),
        initramfs.TOOLS,
        hints={"key": key(entry, "initrd")},
        doc="the initrd of a live system" + (f", for the entry {entry}" if entry else ""),
    )


def _iso(name: str, iso: Iso, recipe: Recipe, site: Site) -> Stage:
    secure = recipe.boot.secure_boot if "efistub" in iso.loader else None
    return Stage(
        name,
        "bootsmith.tasks.boot.optical:run",
        _inputs(iso, recipe, site),
        {"image": site.output(iso.file)},
        OpticalParams(
            epoch=site.epoch,
            label=iso.label,
            uuid=iso.uuid,
            serial=identifiers.serial(recipe.seed, "iso", iso.uuid),
            loaders=iso.loader,
            menu=menu(recipe, iso),
            grub_modules=recipe.boot.grub_modules if any(each.startswith("grub-") for each in iso.loader) else (),
            signed=secure is not None,
        ).to_json(),
        tools=optical.tools(iso.loader, signed=secure is not None),
        secrets={signing.KEY: secure.key} if secure else {},
        stored=False,  # what is large in it is stored already, and it is soon made
        doc=f"a CD that also starts as a disk: {iso.file}",
    )


def menu(recipe: Recipe, iso: Iso | None = None) -> Menu:
    """Return what the loaders of a CD show: of a recipe's first, unless another is named."""
    iso = iso or next(output for output in recipe.outputs if isinstance(output, Iso))
    root = iso.uuid if iso.mode == "live" else None
    return entries.menu(recipe, lambda own: cmdline.of_medium(recipe.boot, own, root))


def _inputs(iso: Iso, recipe: Recipe, site: Site) -> dict[str, Path]:
    found = {"base.tar": site.base.tar, "base.index": site.base.index, **disk_inputs.kernels(recipe, site)}
    if iso.mode == "live":
        found["root"] = site.live_root
        found |= {role("initrd", entry): site.live_initrd_for(entry) for entry in _ours(recipe)}
    if recipe.boot.secure_boot and "efistub" in iso.loader:
        found[signing.CERTIFICATE] = recipe.boot.secure_boot.certificate
    return found

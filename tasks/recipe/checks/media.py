"""What the outputs that are media of their own ask of the rest of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bootsmith.tasks.recipe import boot_files, tree_packages
from bootsmith.tasks.recipe.checks.boot import handed_otherwise
from bootsmith.tasks.recipe.loaders import optical
from bootsmith.tasks.recipe.model.outputs import Cidata, Iso
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Nothing
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

_FIRMWARE = {"bios": "a BIOS", "uefi": "UEFI"}


def _isos(recipe: Recipe) -> Iterator[tuple[KeyPath, Iso]]:
    for number, output in enumerate(recipe.outputs):
        if isinstance(output, Iso):
            yield ("outputs", number, "iso"), output


def _loaders(recipe: Recipe) -> Iterable[Finding]:
    for path, iso in _isos(recipe):
        seen: dict[str, str] = {}
        for name in iso.loader:
            firmware = _FIRMWARE[optical.firmware(name)]
            if firmware in seen:
                yield (*path, "loader"), f"{seen[firmware]} and {name} are both started by {firmware}; keep one of them"
            seen.setdefault(firmware, name)
            if recipe.arch == "i386" and firmware == "UEFI":
                what = f"{name} is for 64-bit machines"
                yield (*path, "loader"), f"{what}; with arch: i386 write grub-bios or isolinux"
        if "efistub" in iso.loader and len(recipe.boot.entries) > 1:
            what = "a kernel image that the firmware starts shows no menu"
            yield (*path, "loader"), f"{what}; write grub-efi, or keep one of boot.entries"
        if recipe.boot.secure_boot and "grub-efi" in iso.loader:
            what = "GRUB without shim verifies neither its menu nor the kernel"
            yield (*path, "loader"), f"{what}; write efistub, which boot.secure_boot signs"


def _starts(recipe: Recipe) -> Iterable[Finding]:
    """Find what an ISO could not start, or could not find its root with."""
    boot = recipe.boot
    for path, iso in _isos(recipe):
        if boot.protocol != "linux":
            yield path, f"an ISO starts Linux, and no {boot.protocol} kernel; leave this output out"
            continue
        if not boot_files.kernels(boot) or any(entry.kernel == "none" for entry in boot.entries.values()):
            yield path, "an entry without a kernel cannot be started from an ISO; name one, or leave this output out"
            continue
        if iso.mode == "live" and isinstance(recipe.source, Nothing) and not recipe.layers:
            yield (*path, "mode"), "there is no tree to be the live system; write initramfs"
        for entry in boot.entries.values():
            initrd = entry.initrd
            if iso.mode == "initramfs" and initrd in ("auto", "none"):
                what = f"with initrd: {initrd} the entry {entry.name} wants a root on a disk, and there is none"
                yield (*path, "mode"), f"{what}; write live, or for the entry initrd: tree or a file"
            elif iso.mode == "live" and initrd in ("tree", "none"):
                what = f"with initrd: {initrd} the entry {entry.name} finds no live root"
                yield (*path, "mode"), f"{what}; write {'initramfs' if initrd == 'tree' else 'initrd: auto'}"
            elif iso.mode == "live" and initrd == "auto" and not tree_packages.makes_initrds(recipe):
                what = "whether the tree's own initrd finds a live root cannot be told"
                yield (*path, "mode"), f"{what}; let boot.initrd name one that does, or write initramfs"


def _words(recipe: Recipe) -> Iterable[Finding]:
    for _, iso in _isos(recipe):
        yield from handed_otherwise(recipe, [name for name in iso.loader if name.startswith("grub-")])


def _cloud_init(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system == "none" or recipe.system.cloud_init is None:
        return
    if not any(isinstance(output, Cidata) for output in recipe.outputs):
        yield ("system", "cloud_init"), "nothing holds it; add cidata to outputs"


_BOOT: KeyPath = ("boot",)
RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("outputs",), ("boot", "entries"), ("boot", "secure_boot"), ("arch",)), _loaders),
    ((("outputs",), ("source",), ("layers",), _BOOT), _starts),
    ((("outputs",), ("boot", "cmdline"), ("boot", "entries"), ("boot", "modules")), _words),
    ((("outputs",), ("system", "cloud_init")), _cloud_init),
)

"""What starts a CD: which firmware each loader is for, and what it is called on a disk. Data, and pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.outputs import Cidata, InitramfsOutput, Iso, KernelOutput

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.recipe import Recipe

ON_DISKS: Final[Mapping[str, str]] = {
    "isolinux": "syslinux", "grub-bios": "grub-bios", "grub-efi": "grub-efi", "efistub": "efistub",
}  # fmt: skip


def firmware(name: str) -> str:
    """Return what starts a loader: "bios" or "uefi"."""
    return KINDS[ON_DISKS[name]].firmware


def started(recipe: Recipe) -> tuple[str, ...]:
    """Return what starts the image that a recipe is tested by: its disk, or where it keeps none the CD."""
    isos = [output for output in recipe.outputs if isinstance(output, Iso)]
    alone = all(isinstance(output, Iso | Cidata | KernelOutput | InitramfsOutput) for output in recipe.outputs)
    return on_disks(isos[0]) if isos and alone else recipe.boot.loader


def on_disks(iso: Iso) -> tuple[str, ...]:
    """Return what the loaders of a CD are called on disks, where they show the same menus."""
    return tuple(ON_DISKS[name] for name in iso.loader)

"""Where a recipe puts kernel and initrd, and which partitions its loaders put files on. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bootsmith.tasks.disk.content import owner
from bootsmith.tasks.disk.placement import Placement
from bootsmith.tasks.recipe import loaders

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import Disk, Recipe


def placement(recipe: Recipe) -> Placement:
    """Return where a recipe puts kernel and initrd.

    On the ESP as the Boot Loader Specification lays its type 1 entries out; elsewhere as Debian names them, so that the
    guest's own tools find them; or where the recipe says that its own kernel stands.
    """
    if recipe.boot.place == "none" or recipe.boot.kernel == "none":
        return Placement("", "", "")
    kernel, initrd = "vmlinuz-{version}", "initrd.img-{version}"
    own = not isinstance(recipe.boot.kernel, str)
    if recipe.boot.place == "esp":
        found = Placement(esp(recipe.disk), "{id}/{version}/linux", "{id}/{version}/initrd", own)
    elif recipe.boot.place == "active":
        found = Placement(active(recipe.disk), kernel, initrd, own)
    else:
        mounts = mounted(recipe.disk)
        partition, inside = owner(mounts, f"boot/{kernel}")
        found = Placement(partition, inside, owner(mounts, f"boot/{initrd}")[1], own)
    if isinstance(recipe.boot.kernel, str) or recipe.boot.kernel.path is None:
        return found
    _, inside = owner(mounted(recipe.disk), recipe.boot.kernel.path.strip("/"))
    return replace(found, kernel=inside.replace("{", "{{").replace("}", "}}"))


def images(recipe: Recipe) -> int:
    """Return how many unified kernel images the ESP holds."""
    boot = recipe.boot
    if "efistub" not in boot.loader:
        return 0
    return len(boot.entries) if "systemd-boot" in boot.loader else 2 if boot.removable == "also" else 1


def esp(disk: Disk) -> str:
    """Return the name of the EFI system partition, nothing where a disk has none."""
    found = loaders.esp(disk)
    return found.name if found else ""


def active(disk: Disk) -> str:
    """Return the name of the partition whose boot sector a BIOS goes on with, nothing where a disk has none."""
    found = loaders.active(disk)
    return found.name if found else ""


def mounted(disk: Disk) -> dict[str, str]:
    """Return the mount points of a disk's partitions, by name: none where the tree is on no partition."""
    found = {name: partition.mount for name, partition in disk.partitions.items() if partition.mount is not None}
    return found if "/" in found.values() else {}

"""Where a recipe puts kernels and initrds, and which partitions its loaders put files on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootsmith.tasks.disk.content import owner as owner_of
from bootsmith.tasks.disk.kernel_paths import Placement, role
from bootsmith.tasks.recipe import boot_files, tree_packages
from bootsmith.tasks.recipe.loaders import partitions

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.boot import Kernel
    from bootsmith.tasks.recipe.model.disk import Disk
    from bootsmith.tasks.recipe.model.recipe import Recipe

ENTRIES: Final = "entries"
"""The folder of what entries have of their own, beside the usual kernels."""


def placement(recipe: Recipe) -> Placement:
    """Return where a recipe puts kernels and initrds.

    On the ESP as the Boot Loader Specification lays its type 1 entries out; in /boot, be that the ESP, where the tree
    has them, else as Debian names them, so that the guest's own tools find them; or where the recipe says that its own
    kernel stands. What an entry has of its own stands in a folder of the entry's name, where it meets nothing else.
    """
    boot, found = recipe.boot, boot_files.kernels(recipe.boot)
    if boot.place == "none" or not found:
        return Placement()
    partition, folder = _home(recipe)
    kernel, initrd = ("linux", "initrd") if boot.place == "esp" else ("vmlinuz", "initrd.img")
    usual = ("{id}/{version}/linux", "{id}/{version}/initrd")
    in_boot = _boot(recipe, partition)
    if boot.place != "esp" or in_boot is not None:
        usual = ("vmlinuz-{version}", "initrd.img-{version}")

    def place(owner: str, said: Kernel | str) -> str:
        if not isinstance(said, str) and said.path is not None:
            _, inside = owner_of(mounted(recipe.disk), said.path.strip("/"))
            return inside.replace("{", "{{").replace("}", "}}")
        return folder + (f"{ENTRIES}/{owner}/{kernel}" if owner else usual[0])

    return Placement(
        partition,
        {owner: place(owner, said) for owner, said in found.items()},
        {owner: folder + (f"{ENTRIES}/{owner}/{initrd}" if owner else usual[1]) for owner in boot_files.initrds(boot)},
        tuple(owner for owner, said in found.items() if owner or not isinstance(said, str)),
        in_boot,
        boot.initrd == "auto" and not tree_packages.makes_initrds(recipe),
    )


def inside(disk: Disk, path: str) -> str:
    """Return the path of a folder in the partition that holds it."""
    return owner_of(mounted(disk), path.strip("/"))[1]


def _boot(recipe: Recipe, partition: str) -> str | None:
    """Return where /boot is on a partition, with a slash behind it, None where it is not on that one."""
    if not mounted(recipe.disk):
        return None
    owner, inside = owner_of(mounted(recipe.disk), "boot/vmlinuz")
    return inside.removesuffix("vmlinuz") if owner == partition else None


def _home(recipe: Recipe) -> tuple[str, str]:
    """Return the partition that holds kernels, and the folder in it, with a slash behind it, that they stand in."""
    if recipe.boot.place == "esp":
        return esp(recipe.disk), ""
    if recipe.boot.place == "active":
        return active(recipe.disk), ""
    partition, _ = owner_of(mounted(recipe.disk), "boot/vmlinuz")
    return partition, _boot(recipe, partition) or ""


def images(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    """Return the unified kernel images that the ESP holds, each by the roles of the files that it is made of."""
    boot = recipe.boot
    if "efistub" not in boot.loader:
        return ()
    entries = [*boot.entries.values()]
    if "systemd-boot" not in boot.loader:
        entries = entries[:1] * (2 if boot.removable == "also" else 1)
    found = []
    for entry in entries:
        initrd = boot_files.initrd_of(boot, entry)
        kernel = role("kernel", boot_files.kernel_of(boot, entry))
        found.append((kernel,) if initrd is None else (kernel, role("initrd", initrd)))
    return tuple(found)


def esp(disk: Disk) -> str:
    """Return the name of the EFI system partition, nothing where a disk has none."""
    found = partitions.esp(disk)
    return found.name if found else ""


def active(disk: Disk) -> str:
    """Return the name of the partition whose boot sector a BIOS goes on with, nothing where a disk has none."""
    found = partitions.active(disk)
    return found.name if found else ""


def mounted(disk: Disk) -> dict[str, str]:
    """Return the mount points of a disk's partitions, by name: none where the tree is on no partition."""
    found = {name: partition.mount for name, partition in disk.partitions.items() if partition.mount is not None}
    return found if "/" in found.values() else {}

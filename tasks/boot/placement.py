"""Where kernel and initrd stand: which partition, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsmith.tasks.disk.content import owner

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import Disk, Recipe


@dataclass(frozen=True, slots=True)
class Placement:
    """`partition` holds both; the paths are inside it, `{id}` and `{version}` being the kernel's facts."""

    partition: str
    kernel: str
    initrd: str

    def named(self, facts: Mapping[str, str]) -> tuple[str, str]:
        """Return the paths of kernel and initrd for the kernel that was built."""
        return self.kernel.format_map(facts), self.initrd.format_map(facts)


def placement(recipe: Recipe) -> Placement:
    """Return where a recipe puts kernel and initrd.

    On the ESP as the Boot Loader Specification lays its type 1 entries out; in the tree as Debian names them, so that
    the guest's own tools find them.
    """
    if recipe.boot.place == "esp":
        return Placement(esp(recipe.disk), "{id}/{version}/linux", "{id}/{version}/initrd")
    mounts = mounted(recipe.disk)
    partition, kernel = owner(mounts, "boot/vmlinuz-{version}")
    return Placement(partition, kernel, owner(mounts, "boot/initrd.img-{version}")[1])


def esp(disk: Disk) -> str:
    """Return the name of the EFI system partition. Raises KeyError where a recipe has none, which its check refuses."""
    for name, partition in disk.partitions.items():
        if partition.type == "esp":
            return name
    raise KeyError("esp")


def mounted(disk: Disk) -> dict[str, str]:
    """Return the mount points of a disk's partitions, by name."""
    return {name: partition.mount for name, partition in disk.partitions.items() if partition.mount is not None}

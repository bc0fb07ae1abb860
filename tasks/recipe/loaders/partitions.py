"""The partitions of a disk that mean something to a loader. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.recipe.model.disk import HASH_TREE

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.loaders.builtin import LoaderKind
    from bootsmith.tasks.recipe.model.disk import Disk, Partition


def esp(disk: Disk) -> Partition | None:
    """Return the EFI system partition."""
    return next((part for part in disk.partitions.values() if part.type == "esp"), None)


def active(disk: Disk) -> Partition | None:
    """Return the partition whose boot sector a BIOS disk goes on with: MBR's active one, GPT's legacy-boot one."""
    return next(
        (part for part in disk.partitions.values() if part.active or {"legacy-boot", 2} & {*part.attributes}), None
    )


def verity(disk: Disk) -> tuple[Partition, Partition] | None:
    """Return the partition whose blocks are verified, and that of its hash tree."""
    data = next((part for part in disk.partitions.values() if part.verity), None)
    tree = next((part for part in disk.partitions.values() if part.fs == HASH_TREE), None)
    return (data, tree) if data and tree else None


def types(kind: LoaderKind, table: str) -> tuple[str, ...]:
    """Return the types of the partitions a loader looks for kernels on; nobody looks for xbootldr on MBR."""
    return tuple(each for each in kind.types if each != "xbootldr" or table == "gpt")


def kernels(disk: Disk, place: str) -> Partition | None:
    """Return the partition that holds the kernels, None where the disk has none for them."""
    if place == "none":
        return None
    if place in ("esp", "active"):
        return esp(disk) if place == "esp" else active(disk)
    mounted = {part.mount: part for part in disk.partitions.values()}
    return mounted.get("/boot") or mounted.get("/")

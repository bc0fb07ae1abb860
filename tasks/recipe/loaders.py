"""The bootloaders as a recipe knows them: what starts each, where it lives, what it reads kernels from. Data, and pure.

What makes a loader's files is its module in tasks/boot/, registered there in registry.py under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bootsmith.tasks.recipe.boot_places import BOOT_SECTOR, REMOVABLE

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import Disk, Partition
    from bootsmith.tasks.recipe.text.nodes import Raw


@dataclass(frozen=True, slots=True)
class LoaderKind:
    """A bootloader. Of several words the first is the usual one."""

    firmware: Literal["uefi", "bios", "direct"]
    """What starts it."""
    layouts: Mapping[str, Mapping[str, Raw]]
    """The partition tables it can live on, each with the partitions a disk of its own has; those types it needs."""
    reads: tuple[str, ...]
    """Filesystems it reads kernels from."""
    places: tuple[str, ...]
    """Where kernels may stand: "root" is the tree's /boot, "esp" and "active" the partition the firmware looks at."""
    claims: tuple[str, ...]
    """What it alone may have on a disk, in the words of a refusal."""
    types: tuple[str, ...] = ()
    """Types of the partitions it looks for kernels on; any, where there are none."""
    protocols: tuple[str, ...] = ("linux",)
    """What kernels it can start expect of it."""
    escaped: str = ""
    """Letters that reach a kernel with a backslash before them, which no kernel takes away."""
    config: tuple[str, ...] = ()
    """Its configuration files, for which a recipe may have its own."""


_BIOS_BOOT: dict[str, Raw] = {"bios-boot": {"type": "bios-boot", "size": "1M"}}
_ESP: dict[str, Raw] = {"esp": {"type": "esp", "size": "512M", "mount": "/boot/efi"}}
_BOOT: dict[str, Raw] = {"boot": {"fs": "vfat", "size": "256M", "mount": "/boot/syslinux"}}
_ROOT: dict[str, Raw] = {"root": {"fs": "ext4", "mount": "/"}}
_UEFI = {"gpt": _ESP | _ROOT, "mbr": _ESP | _ROOT}
_GRUB_ESCAPES = "'\\"
_ANY = ("ext4", "ext3", "ext2", "vfat")

USUAL: Mapping[str, Mapping[str, Raw]] = {"uefi": _ESP | _ROOT, "bios": _ROOT, "direct": _ROOT}
"""The partitions of a loader's disk, by what starts it, where it does not say."""


class _Kinds(dict[str, LoaderKind]):
    """The loaders by name; one of a user's own, by the path of its file, is looked up there."""

    def __missing__(self, name: str) -> LoaderKind:
        from pathlib import Path

        from bootsmith.tasks.recipe import own_loader

        if not own_loader.is_own(name):
            raise KeyError(name)
        return own_loader.read(Path(name)).kind


KINDS = _Kinds(
    {
        "systemd-boot": LoaderKind(
            "uefi", _UEFI, ("vfat",), ("esp", "root"), (REMOVABLE,), types=("esp", "xbootldr"), config=("loader.conf",)
        ),
        "grub-efi": LoaderKind(
            "uefi", _UEFI, _ANY, ("root", "esp", "active"), (REMOVABLE,), escaped=_GRUB_ESCAPES, config=("grub.cfg",)
        ),
        "grub-bios": LoaderKind(
            "bios",
            {"mbr": _ROOT, "gpt": _BIOS_BOOT | _ROOT},
            _ANY,
            ("root", "esp", "active"),
            (BOOT_SECTOR,),
            protocols=("linux", "multiboot", "multiboot2"),
            escaped=_GRUB_ESCAPES,
            config=("grub.cfg",),
        ),
        "syslinux": LoaderKind(
            "bios",
            {"mbr": _BOOT | _ROOT, "gpt": _BOOT | _ROOT},
            ("vfat",),
            ("active",),
            (BOOT_SECTOR,),
            config=("syslinux.cfg",),
        ),
        "efistub": LoaderKind("uefi", _UEFI, (), (), (REMOVABLE,)),
        "direct": LoaderKind("direct", {"none": _ROOT, "gpt": _ROOT, "mbr": _ROOT}, (), (), ()),
    }
)


def common_tables(loaders: Sequence[str]) -> list[str]:
    """Return the tables on which all of some loaders can live, the most usual first; with a tie, GPT."""
    kinds = [KINDS[name] for name in loaders]
    ranks = {table: 0 for table in kinds[0].layouts if all(table in kind.layouts for kind in kinds)}
    for kind in kinds:
        for rank, table in enumerate(kind.layouts):
            if table in ranks:
                ranks[table] += rank
    return sorted(ranks, key=lambda table: (ranks[table], table != "gpt"))


def usual_table(loaders: Sequence[str]) -> str:
    """Return the table a disk with these loaders has; where they have none in common, the first one's."""
    return next(iter(common_tables(loaders) or KINDS[loaders[0]].layouts))


def usual_layout(loaders: Sequence[str], table: str, initrd: str = "auto") -> dict[str, Raw]:
    """Return the partitions a disk with these loaders has, for a recipe that writes none.

    Where the whole tree is the initrd there is no root, unless a loader looks for kernels on it.
    """
    found: dict[str, Raw] = {}
    for name in loaders:
        found |= KINDS[name].layouts.get(table) or next(iter(KINDS[name].layouts.values()))
    if "esp" in found:
        found.pop("boot", None)  # one FAT partition serves both firmwares
    if initrd == "tree" and not any("root" in KINDS[name].places and not KINDS[name].types for name in loaders):
        found.pop("root", None)
    order = {"bios-boot": 0, "root": 2}
    return dict(sorted(found.items(), key=lambda each: order.get(each[0], 1)))


def served(loaders: Sequence[str]) -> list[str]:
    """Return the firmware under which a disk with these loaders starts, in the loaders' order."""
    return list(dict.fromkeys(KINDS[name].firmware for name in loaders))


def esp(disk: Disk) -> Partition | None:
    """Return the EFI system partition."""
    return next((part for part in disk.partitions.values() if part.type == "esp"), None)


def active(disk: Disk) -> Partition | None:
    """Return the partition whose boot sector a BIOS disk goes on with: MBR's active one, GPT's legacy-boot one."""
    return next(
        (part for part in disk.partitions.values() if part.active or {"legacy-boot", 2} & {*part.attributes}), None
    )


def claims(name: str, loaders: Sequence[str], removable: str) -> tuple[str, ...]:
    """Return what a loader alone may have on a disk with these loaders."""
    leaves = removable == "no" or (name == "efistub" and "systemd-boot" in loaders)
    return tuple(claim for claim in KINDS[name].claims if not (leaves and claim == REMOVABLE))


def readers(loaders: Sequence[str]) -> list[str]:
    """Return those of the loaders that read kernels; systemd-boot starts the kernel images of efistub instead."""
    return [name for name in loaders if KINDS[name].places and not (name == "systemd-boot" and "efistub" in loaders)]


def usual_place(loaders: Sequence[str], disk: Disk) -> str:
    """Return where kernels stand: the first place from which all loaders of a disk read them."""
    same = active(disk) is not None and active(disk) is esp(disk)
    wishes = []
    for name in readers(loaders):
        kind = KINDS[name]
        places = [
            "esp" if same and place == "active" else place for place in kind.places if _looked_on(kind, disk, place)
        ]
        part = kernels(disk, "root")
        wishes.append(sorted(places, key=lambda place: not (place == "root" and part and part.type == "xbootldr")))
    shared = [place for wish in wishes for place in wish if all(place in other for other in wishes)]
    return next(iter([*shared, *(place for wish in wishes for place in wish)]), "none")


def _looked_on(kind: LoaderKind, disk: Disk, place: str) -> bool:
    """Tell whether a loader looks for kernels there; a partition that is missing is for the checks to tell."""
    part = kernels(disk, place)
    return part is None or not kind.types or part.type in types(kind, disk.table)


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

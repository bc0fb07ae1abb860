"""The bootloaders as a recipe knows them: what starts each, where it lives, what it reads kernels from. Data, and pure.

What makes a loader's files is its module in tasks/boot/, registered there in registry.py under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bootsmith.tasks.recipe.loaders.boot_places import BOOT_SECTOR, REMOVABLE

if TYPE_CHECKING:
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
    boot_places: tuple[str, ...]
    """Where firmware looks for it, which no other on a disk may have too."""
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
_ANY = ("ext4", "ext3", "ext2", "vfat", "btrfs")

USUAL: Mapping[str, Mapping[str, Raw]] = {"uefi": _ESP | _ROOT, "bios": _ROOT, "direct": _ROOT}
"""The partitions of a loader's disk, by what starts it, where it does not say."""

BUILT_IN: Mapping[str, LoaderKind] = {
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

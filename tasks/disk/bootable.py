"""Which firmware finds something to start on a disk image, read from the image: nothing is booted or mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bootsmith.tasks.disk import fat_listing, gpt, mbr, parts, superblock
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.disk.raw_content import Disk
from bootsmith.tasks.recipe.loaders.kinds import KINDS

LOADER = "::/EFI/BOOT/BOOTX64.EFI"
"""What UEFI firmware starts from a disk it has never seen (UEFI 2.10, 3.5.1.1)."""
_PROGRAMS = {
    "systemd-bootx64.efi": "systemd-boot",
    "shimx64.efi": "grub-efi",  # it starts the GRUB beside it
    "grubx64.efi": "grub-efi",
}
"""What loaders' programs are called on their vendors' paths."""
_FOREIGN = re.compile(r"(ia32|ia64|arm|aa64|riscv64|loongarch64)\.efi$", re.IGNORECASE)
"""What programs for other machines end in."""
_CD = 2048  # bytes in a sector
_VOLUMES = 16  # the sector where an ISO 9660's volume descriptors begin
_PLATFORMS = {0x00: "bios", 0xEF: "uefi"}


def firmware(
    image: Path,
    format: str,  # noqa: A002  the word of the recipe and of QEMU
    passphrase: Passphrase | None = None,
) -> frozenset[str]:
    """Return which of "uefi" and "bios" find something to start; `format` is QEMU's name, or "iso" for a CD."""
    with opened(image, format, passphrase) as disk:
        return _of_cd(disk) if format == "iso" else of_disk(disk)


def vendors(
    image: Path,
    format: str,  # noqa: A002
    loaders: Sequence[str] = (),
    passphrase: Passphrase | None = None,
) -> str | None:
    """Return the path of the EFI program that an entry in a firmware's variables is to name; None where there is none.

    What shows a menu comes before kernel images, and among that the first of `loaders`, which are a recipe's.
    """
    if format == "iso":
        return None
    menus = {*_PROGRAMS.values()}
    asked = [each for each in loaders if KINDS[each].firmware == "uefi" and each != "efistub"]
    order = [*(each if each in menus else "" for each in asked), *sorted(menus, reverse=True), "", "efistub"]

    def rank(path: str) -> tuple[int, int, str]:
        *_, folder, name = path.lower().split("/")
        loader = _PROGRAMS.get(name, "efistub" if folder == "linux" else "")
        return order.index(loader), [*_PROGRAMS, name].index(name), path

    with opened(image, format, passphrase) as disk:
        found = [path for stretch in _stretches(disk, disk.read(0, gpt.SECTOR)) for path in _programs(disk, *stretch)]
    return min(found, key=rank, default=None)


def sector(
    image: Path,
    format: str,  # noqa: A002
    passphrase: Passphrase | None = None,
) -> int:
    """Return of how many bytes the sectors are that a disk's table counts: 512, where it has none."""
    with opened(image, format, passphrase) as disk:
        return gpt.SECTOR if format == "iso" else parts.sector(disk)


def of_disk(disk: Disk) -> frozenset[str]:
    """Return which firmware finds something to start on a disk."""
    found = set()
    sector = disk.read(0, gpt.SECTOR)
    if sector[510:] == b"\x55\xaa" and any(sector[:440]):
        found.add("bios")
    if any(_has_loader(disk, start, size) for start, size in _stretches(disk, sector)):
        found.add("uefi")
    return frozenset(found)


def _stretches(disk: Disk, sector: bytes) -> Iterator[tuple[int, int]]:
    """Yield where firmware looks for a filesystem: start and size of each partition, or of the whole disk."""
    table = gpt.decode(disk.read, disk.size)
    if table is not None:
        yield from ((slot.start, slot.size) for slot in table.slots)
    elif superblock.probe(disk.read) is not None:
        yield 0, disk.size
    elif (primaries := mbr.decode(sector, disk.size)) is not None:
        yield from ((slot.start, slot.size) for slot in primaries.slots.values())


def _has_loader(disk: Disk, start: int, size: int) -> bool:
    return bool(_listed(disk, start, size, LOADER))


def _programs(disk: Disk, start: int, size: int) -> list[str]:
    """Return the EFI programs below EFI on a FAT partition: their paths, as /EFI/debian/grubx64.efi."""
    lines = _listed(disk, start, size, "-/", "::/EFI")
    return [line.removeprefix("::") for line in lines if line.lower().endswith(".efi") and not _FOREIGN.search(line)]


def _listed(disk: Disk, start: int, size: int, *words: str) -> list[str]:
    """Return what `mdir` lists of a FAT partition; nothing where it is none, or has no such files."""

    def inside(offset: int, length: int) -> bytes:
        return disk.read(start + offset, max(0, min(length, size - offset)))

    found = superblock.probe(inside)
    if found is None or not found.kind.startswith("FAT"):
        return []
    return fat_listing.paths(disk, start, size, *words)


def _of_cd(disk: Disk) -> frozenset[str]:
    """Return what a CD's boot catalog has an entry for (El Torito 1.0, 2.0 to 2.5)."""
    for sector in range(_VOLUMES, _VOLUMES + 16):
        volume = disk.read(sector * _CD, _CD)
        if volume[1:6] != b"CD001" or volume[0] == 0xFF:
            break
        if volume[0] == 0 and volume[7:30] == b"EL TORITO SPECIFICATION":
            return _of_catalog(disk.read(int.from_bytes(volume[0x47:0x4B], "little") * _CD, _CD))
    return frozenset()


def _of_catalog(catalog: bytes) -> frozenset[str]:
    entries = [catalog[at : at + 32] for at in range(0, len(catalog) - 31, 32)]
    found = set()
    platform = entries[0][1] if entries and entries[0][0] == 1 else None
    for entry in entries[1:]:
        if entry[0] in (0x90, 0x91):  # the header of a further section
            platform = entry[1]
        elif entry[0] == 0x88 and platform in _PLATFORMS:  # bootable
            found.add(_PLATFORMS[platform])
    return frozenset(found)

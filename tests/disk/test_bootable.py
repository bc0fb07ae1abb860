"""What can start an image is read from it, whatever its format."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import bootable
from bootsmith.tasks.errors import BootsmithError

MIB = 1 << 20
CODE = b"\xfa\xeb\xfd"  # cli; jmp $
BOTH = {"uefi", "bios"}


def fat(loader: str | None, folder: Path) -> bytes:
    """Return a FAT filesystem, with a loader of that name."""
    image = folder / "fat.img"
    image.unlink(missing_ok=True)
    subprocess.run(["mkfs.vfat", "-C", image, "4096"], check=True, stdout=subprocess.DEVNULL)
    if loader:
        (folder / "loader.efi").write_bytes(b"MZ")
        *above, _ = loader.split("/")
        for depth in range(1, len(above) + 1):
            subprocess.run(["mmd", "-i", image, "::/" + "/".join(above[:depth])], check=True)
        subprocess.run(["mcopy", "-i", image, folder / "loader.efi", f"::/{loader}"], check=True)
    return image.read_bytes()


def disk(tmp_path: Path, *, table: str, code: bytes = b"", loader: str | None = None) -> Path:
    """Return a raw disk with one FAT partition; `code` is its first sector's."""
    image = tmp_path / "disk.raw"
    content = fat(loader, tmp_path)
    if table == "none":
        image.write_bytes(content)
        return image
    image.write_bytes(bytes(8 * MIB))
    kind = "U" if table == "gpt" else "c"
    script = f"label: {'gpt' if table == 'gpt' else 'dos'}\nstart=2048, size=8192, type={kind}\n"
    subprocess.run(["sfdisk", "-q", image], input=script, text=True, check=True)
    with image.open("r+b") as file:
        file.write(code)
        file.seek(MIB)
        file.write(content)
    return image


@pytest.mark.parametrize("table", ["gpt", "mbr"])
@pytest.mark.parametrize(
    ("code", "loader", "found"),
    [
        (b"", "EFI/BOOT/BOOTX64.EFI", {"uefi"}),
        (b"", "efi/boot/bootx64.efi", {"uefi"}),
        (CODE, None, {"bios"}),
        (CODE, "EFI/BOOT/BOOTX64.EFI", BOTH),
        (b"", "EFI/debian/grubx64.efi", set()),
        (b"", None, set()),
    ],
)
def test_what_starts_a_disk(tmp_path: Path, table: str, code: bytes, loader: str | None, found: set[str]) -> None:
    """Boot code means a BIOS, the removable path on a FAT partition means UEFI, a vendor's path alone neither (A6)."""
    assert bootable.firmware(disk(tmp_path, table=table, code=code, loader=loader), "raw") == found


@pytest.mark.parametrize(
    ("programs", "loaders", "found"),
    [
        (("debian/grubx64.efi", "debian/mmx64.efi", "debian/shimx64.efi"), (), "debian/shimx64.efi"),
        (("Linux/a.efi", "systemd/systemd-bootx64.efi"), ("systemd-boot", "efistub"), "systemd/systemd-bootx64.efi"),
        (("Linux/a.efi", "mine/boot.efi"), (), "mine/boot.efi"),
        (("debian/grubx64.efi", "systemd/systemd-bootx64.efi"), (), "systemd/systemd-bootx64.efi"),
        (("debian/grubx64.efi", "systemd/systemd-bootx64.efi"), ("grub-efi", "systemd-boot"), "debian/grubx64.efi"),
        (("linux/grubx64.efi", "Linux/a.efi"), ("efistub", "grub-efi"), "linux/grubx64.efi"),
        (("linux/grubx64.efi", "memtest/a.efi"), ("grub-bios", "grub-efi"), "linux/grubx64.efi"),
        (("Linux/default.efi",), ("efistub",), "Linux/default.efi"),
        (("debian/grub.cfg", "BOOT/BOOTAA64.EFI", "debian/grubaa64.efi"), (), None),
    ],
)
def test_what_a_boot_entry_is_for(
    tmp_path: Path, programs: tuple[str, ...], loaders: tuple[str, ...], found: str | None
) -> None:
    """Below EFI: what has a menu, in the recipe's order, before kernel images; nothing for other machines (C14)."""
    image = tmp_path / "disk.raw"
    subprocess.run(["mkfs.vfat", "-C", image, "4096"], check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "program").write_bytes(b"MZ")
    folders = {"EFI", *(f"EFI/{each.partition('/')[0]}".lower() for each in programs)}
    subprocess.run(["mmd", "-i", image, *(f"::/{each}" for each in sorted(folders))], check=True)
    for each in programs:
        subprocess.run(["mcopy", "-i", image, tmp_path / "program", f"::/EFI/{each}"], check=True)
    wanted = found and f"/EFI/{found}".lower()
    assert (bootable.vendors(image, "raw", loaders) or "").lower() == (wanted or "")
    assert bootable.vendors(image, "iso", loaders) is None


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vpc", "vhdx", "vdi"])
def test_any_format_is_looked_into(tmp_path: Path, form: str) -> None:
    """Images of other formats are read by qemu-img, and left as they are."""
    raw, image = disk(tmp_path, table="gpt", code=CODE, loader="EFI/BOOT/BOOTX64.EFI"), tmp_path / "other, image"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, raw, image], check=True)
    before = image.read_bytes()
    assert bootable.firmware(image, form) == BOTH
    assert image.read_bytes() == before


@pytest.mark.parametrize("left", [60, -1000])
def test_an_image_that_is_cut_off_is_named(tmp_path: Path, left: int) -> None:
    """A download that broke off is told as one, by its name, whatever of it is missing; no program's words alone."""
    raw = disk(tmp_path, table="gpt", loader="EFI/BOOT/BOOTX64.EFI")
    image = tmp_path / "cut.qcow2"
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    image.write_bytes(image.read_bytes()[:left])
    with pytest.raises(BootsmithError) as caught:
        bootable.firmware(image, "qcow2")
    assert caught.value.message.startswith(f"{image} is damaged or cut off: ")
    assert "qemu-img check" in caught.value.hint


def test_a_filesystem_without_a_table(tmp_path: Path) -> None:
    """A FAT filesystem that is the whole disk is looked into too; nothing at all starts nothing."""
    assert "uefi" in bootable.firmware(disk(tmp_path, table="none", loader="EFI/BOOT/BOOTX64.EFI"), "raw")
    for size in (0, 511, MIB):
        (tmp_path / "empty").write_bytes(bytes(size))
        assert bootable.firmware(tmp_path / "empty", "raw") == set()


def test_a_partition_beyond_the_disk(tmp_path: Path) -> None:
    """A table that names places the disk does not have is no error: nothing starts from there."""
    sector = bytearray(512)
    struct.pack_into("<B3xB3xII", sector, 446, 0, 0xC, 1 << 30, 1 << 20)
    sector[510:] = b"\x55\xaa"
    (tmp_path / "disk").write_bytes(sector)
    assert bootable.firmware(tmp_path / "disk", "raw") == set()


@pytest.mark.parametrize(
    ("platforms", "found"), [((0,), {"bios"}), ((0xEF,), {"uefi"}), ((0, 0xEF), BOTH), ((), set()), ((1,), set())]
)
def test_what_starts_a_cd(tmp_path: Path, platforms: tuple[int, ...], found: set[str]) -> None:
    """A CD is started by the firmware its boot catalog has entries for (W6)."""
    sectors = {16: b"\x01CD001\x01", 18: b"\xffCD001\x01"}
    if platforms:
        sectors[17] = b"\x00CD001\x01EL TORITO SPECIFICATION".ljust(0x47, b"\0") + struct.pack("<I", 20)
        catalog = bytes([1, platforms[0]]).ljust(32, b"\0") + b"\x88".ljust(32, b"\0")
        for platform in platforms[1:]:
            catalog += bytes([0x91, platform, 1]).ljust(32, b"\0") + b"\x88".ljust(32, b"\0")
        sectors[20] = catalog
    content = bytearray(32 * 2048)
    for number, data in sectors.items():
        content[number * 2048 : number * 2048 + len(data)] = data
    (tmp_path / "cd.iso").write_bytes(content)
    assert bootable.firmware(tmp_path / "cd.iso", "iso") == found


def test_a_cd_whose_catalog_is_nowhere(tmp_path: Path) -> None:
    """A catalog beyond the file's end, starts nothing and raises nothing."""
    content = bytearray(20 * 2048)
    for number, data in {
        16: b"\x01CD001", 17: b"\x00CD001\x01EL TORITO SPECIFICATION".ljust(0x47, b"\0") + b"\xff\xff\xff\x7f"
    }.items():  # fmt: skip
        content[number * 2048 : number * 2048 + len(data)] = data
    (tmp_path / "cd.iso").write_bytes(content)
    assert bootable.firmware(tmp_path / "cd.iso", "iso") == set()

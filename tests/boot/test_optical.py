"""CDs: started from the drive and from a disk, under a BIOS, and what their catalog, first sector and volume say."""

from __future__ import annotations

import re
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bootsmith.tasks.disk import bootable, mbr
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.outputs import Iso

from tests.support import cd_build
from tests.support.tar_members import EPOCH

TEXT = (
    "outputs: [iso: {{mode: initramfs, label: BOX_1, loader: {}}}]\n"
    "boot: {{packages: false, initrd: tree, timeout: {}, cmdline: hello}}\n"
)


@pytest.mark.boot
@pytest.mark.parametrize(("loader", "timeout"), [("isolinux", 1), ("[grub-bios, grub-efi]", 0)])
@pytest.mark.parametrize("cd", [True, False], ids=["cd", "disk"])
def test_a_bios_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, timeout: int, *, cd: bool
) -> None:
    """From the drive and copied to a disk, the kernel gets its command line and its initrd (W6, W17)."""
    image = cd_build.make(cd_build.build(tmp_path, monkeypatch, TEXT.format(loader, timeout)))
    heard = cd_build.serial_of(image, tmp_path / "log", cd=cd)
    assert re.search("tiny kernel: .*console=ttyS0 hello.*; initrd: 070701.*tiny initrd", heard), heard
    assert "root=" not in heard


SECTOR = 2048
FIVE = b"CD001"


def volume(image: bytes) -> bytes:
    """Return the primary volume descriptor (ECMA-119, 8.4)."""
    found = image[16 * SECTOR : 17 * SECTOR]
    assert found[:7] == b"\x01" + FIVE + b"\x01"
    return found


def catalog(image: bytes) -> list[tuple[int, bool, int, int]]:
    """Return a boot catalog's entries (El Torito 1.0, 2.0 to 2.5): platform, bootable, sectors of 512 bytes, start."""
    record = image[17 * SECTOR : 18 * SECTOR]
    assert record[1:6] == FIVE
    assert record[7:30] == b"EL TORITO SPECIFICATION"
    table = image[int.from_bytes(record[0x47:0x4B], "little") * SECTOR :][:SECTOR]
    assert sum(struct.unpack("<16H", table[:32])) & 0xFFFF == 0, "the validation entry's sum"
    platform, found = table[1], []
    for at in range(32, SECTOR, 32):
        entry = table[at : at + 32]
        if entry[0] in (0x90, 0x91):
            platform = entry[1]
        elif entry[0] in (0x88, 0x00) and any(entry):
            assert entry[1] == 0, "no floppy is pretended"
            found.append((platform, entry[0] == 0x88, *struct.unpack_from("<HI", entry, 6)))
    return found


@pytest.mark.parametrize(
    ("loader", "platforms"),
    [
        ("[grub-bios, grub-efi]", [0, 0xEF]),
        ("[grub-efi, isolinux]", [0, 0xEF]),
        ("grub-efi", [0xEF]),
        ("isolinux", [0]),
    ],
)
def test_what_is_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, platforms: list[int]) -> None:
    """Catalog, partitions and descriptor name the same loaders, the recipe's label and UUID, byte for byte (V11)."""
    first, second = (
        cd_build.make(cd_build.build(tmp_path / name, monkeypatch, TEXT.format(loader, 1))) for name in ("a", "b")
    )
    image = first.read_bytes()
    assert image == second.read_bytes()
    entries = catalog(image)
    assert [(platform, bootable) for platform, bootable, _, _ in entries] == [(each, True) for each in platforms]
    head = volume(image)
    assert head[40:72] == b"BOX_1".ljust(32)
    recipe = load(tmp_path / "a/box.yaml")
    (iso,) = recipe.outputs
    assert isinstance(iso, Iso)
    assert head[830:846].decode() == iso.uuid.replace("-", "")  # ECMA-119, 8.4.27
    if 0xEF in platforms:
        table = mbr.decode(image[:512], len(image))
        assert table is not None
        _, _, sectors, start = entries[-1]
        (slot,) = [slot for slot in table.slots.values() if slot.type == 0xEF]
        assert (slot.start, slot.size) == (start * SECTOR, sectors * 512)
        assert image[slot.start + 54 : slot.start + 62] == b"FAT16   "
    assert bootable.firmware(first, "iso") == {{0: "bios", 0xEF: "uefi"}[each] for each in platforms}
    assert bootable.firmware(first, "raw") == bootable.firmware(first, "iso")


def test_another_reader_finds_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under their own names, root's, all of the recipe's time, and as they went in (W6)."""
    made = cd_build.build(tmp_path, monkeypatch, TEXT.format("[grub-bios, grub-efi]", 1))
    image = cd_build.make(made)
    words = ["xorriso", "-no_rc", "-indev", image, "-osirrox", "on"]
    listed = subprocess.run([*words, "-find", "/", "-exec", "lsdl"], capture_output=True, check=True, text=True).stdout
    rows = {line.split()[-1].strip("'"): line.split() for line in listed.splitlines()}
    assert {"/boot/vmlinuz", "/boot/initrd.img", "/boot/grub/grub.cfg"} <= rows.keys()
    assert {(row[2], row[3]) for row in rows.values()} == {("0", "0")}
    date = datetime.fromtimestamp(EPOCH, UTC)
    times = {tuple(row[5:8]) for path, row in rows.items() if path != "/boot/boot.cat"}
    assert {(day, year) for _, day, year in times} == {(str(date.day), str(date.year))}
    out = tmp_path / "out"
    subprocess.run([*words, "-extract", "/boot", out], capture_output=True, check=True)
    assert (out / "vmlinuz").read_bytes() == made.site.kernel.read_bytes()
    assert "search --no-floppy --fs-uuid --set=root" in (out / "grub/grub.cfg").read_text()

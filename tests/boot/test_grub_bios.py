"""GRUB under a BIOS: its boot sector, its core in the room a table leaves, and that it starts what it is told to."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.boot import grub_bios
from bootsmith.tasks.disk import bootcode
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import loader_packages
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.tools import host

from tests.support import tiny_kernel
from tests.support.disk_build import VERSION, DiskBuild
from tests.support.tar_members import member

MBR = "disk: {partitions: {root: {mount: /, extra: 10M}}}\nboot: {loader: grub-bios, packages: false}\n"
BTRFS = MBR.replace("mount: /,", "fs: btrfs, mount: /,")
GPT = (
    "disk: {table: gpt, partitions: {bios: {type: bios-boot, size: 1M}, root: {mount: /, extra: 10M}}}\n"
    "boot: {loader: grub-bios, packages: false}\n"
)
SPLIT = (
    "disk: {partitions: {bios: {type: bios-boot, start: 34s, size: 2014s}, esp: {size: 64M, mount: /boot/efi},"
    " boot: {mount: /boot, size: 64M, fs: ext2}, root: {mount: /, extra: 10M}}}\n"
    "boot: {loader: [grub-efi, grub-bios], packages: false}\n"
)
ON_THE_ESP = (
    "disk: {partitions: {bios: {type: bios-boot, size: 1M}, esp: {size: 64M}, root: {mount: /, extra: 10M}}}\n"
    "boot: {loader: [systemd-boot, grub-bios], packages: false, timeout: 1}\n"
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build whose kernel is the tiny one."""
    return tiny_kernel.disk_build(tmp_path, monkeypatch, MBR)


@pytest.mark.parametrize("text", [MBR, GPT, SPLIT, ON_THE_ESP, BTRFS], ids=["mbr", "gpt", "split", "esp", "btrfs"])
@pytest.mark.boot
def test_seabios_boots_it(build: DiskBuild, text: str) -> None:
    """From the MBR gap and from a bios-boot partition, kernels on ext, FAT, btrfs: with command line and initrd."""
    build.write_recipe(text)
    heard, cmdline = tiny_kernel.boot(build)
    assert re.search(re.escape(f" {cmdline}; initrd: ") + "070701.*tiny initrd", heard), heard


@pytest.mark.parametrize(("text", "sector"), [(MBR, 1), (GPT, 2048), (SPLIT, 34)])
def test_sector_and_core_know_where_the_core_is(build: DiskBuild, text: str, sector: int) -> None:
    """The places GRUB's own installer writes; signature and table stay as they were."""
    build.write_recipe(text)
    disk = build.raw_disk().read_bytes()
    table = build.site.table.read_bytes()
    core = build.site.boot_code["core"].read_bytes()
    assert disk[440:512] == table[440:512]
    assert struct.unpack_from("<Q", disk, 0x5C) == (sector,)
    assert (disk[0x64], disk[0x66:0x68], disk[3:0x5A]) == (0xFF, b"\x90\x90", bytes(0x57))
    at = sector * 512
    assert struct.unpack_from("<Q", disk, at + 0x1F4) == (sector + 1,)
    assert disk[at : at + 0x1F4] + disk[at + 0x1FC : at + len(core)] == core[:0x1F4] + core[0x1FC:]


def test_a_core_without_room_is_refused(build: DiskBuild) -> None:
    """Naming the partition and the size it needs, before the previous image is touched (L10)."""
    build.write_recipe(GPT)
    disk = build.raw_disk()
    before = (disk.stat().st_ino, disk.read_bytes())
    build.write_recipe(GPT.replace("size: 1M", "size: 64K"))
    with pytest.raises(StageError, match=r"partitions\.bios\.size: the loader's core has") as caught:
        build.run("bootloader")
    assert "Make it 1M or more" in caught.value.hint
    assert (disk.stat().st_ino, disk.read_bytes()) == before


def test_a_core_too_large_for_the_gap_is_refused() -> None:
    """With enough modules it happens; the first partition has to begin later."""
    with pytest.raises(StageError, match=r"root\.start: the loader's core has 2000000 bytes") as caught:
        bootcode.check(bytes(2_000_000), "disk.partitions.root.start", (1 << 20) - 512)
    assert "Make it 2M or more" in caught.value.hint


@pytest.mark.boot
def test_the_default_entry_starts_with_its_very_words(build: DiskBuild) -> None:
    """Not the first one; dollars, braces, semicolons and blanks in quotes reach the kernel as the recipe has them."""
    entries = r"""{one: {}, two: {title: "it's {2}", cmdline: "$x $(y) {z} a;b *? k=\"q r\" <&|> #"}}"""
    further = f"packages: false, root: none, console: [ttyS0], default: two, timeout: 1, entries: {entries}"
    build.write_recipe(MBR.replace("packages: false", further))
    heard, _ = tiny_kernel.boot(build)
    assert "it's {2}" in heard
    assert """ console=ttyS0 $x $(y) {z} a;b *? "k=q r" <&|> #; initrd: 070701""" in heard, heard


def test_nested_mounts_each_have_their_own(build: DiskBuild) -> None:
    """/, /boot and /boot/efi: what is below each lands on its own partition, and nowhere else (C10)."""
    build.base({"./": member("d"), "etc/a": b"a", "boot/b": b"b", "boot/efi/c": b"c"})
    build.write_recipe(SPLIT)
    build.raw_disk()
    found = {}
    for name, command in (("root", "ls -p /boot"), ("boot", "ls -p /"), ("boot", "ls -p /efi")):
        words = ["debugfs", "-R", command, build.site.partition_image(name).name]
        said = subprocess.run(
            words, cwd=build.site.partition_image(name).parent, capture_output=True, text=True, check=True
        ).stdout
        found[name, command] = {row.split("/")[5] for row in said.split("\n") if row} - {".", "..", "lost+found"}
    kernels = {f"vmlinuz-{VERSION}", f"initrd.img-{VERSION}"}
    assert list(found.values()) == [set(), {"b", "efi", "grub", *kernels}, set()]
    image = build.site.partition_image("esp")
    said = subprocess.run(
        ["mdir", "-b", "-i", image.name, "::"], cwd=image.parent, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == ["::/EFI/", "::/c"]


def test_one_configuration_for_both_firmwares(build: DiskBuild) -> None:
    """The same entries whatever starts the disk (C5)."""
    build.write_recipe(SPLIT)
    build.run("bootloader")
    assert sorted(build.loader_files()) == ["boot/grub/grub.cfg", "esp/EFI/BOOT/BOOTX64.EFI"]


def test_its_own_package_in_the_tree_is_used(build: DiskBuild) -> None:
    """Not the host's: the same disk from any host (C15)."""
    folder = host.find("grub-bios-modules").parent
    wanted = {}
    for text, base in (
        (MBR, {"./": member("d")}),
        (MBR.replace(", packages: false", ""), {"./": member("d"), **{
            f"usr/lib/grub/i386-pc/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())
            if path.suffix in (".mod", ".lst", ".img")}}),
    ):  # fmt: skip
        build.write_recipe(text)
        build.base(base)
        build.run("bootloader")
        wanted[text] = [path.read_bytes() for path in build.site.boot_code.values()]
    assert len({json.dumps([each.hex() for each in made]) for made in wanted.values()}) == 1
    assert "grub-bios-modules" not in build.stages()["bootloader"].tools
    assert loader_packages.packages(build.recipe) == ("grub-pc-bin",)
    build.base({"./": member("d")})
    with pytest.raises(StageError, match="do not hold the loader's files"):
        build.run("bootloader")


def test_several_loaders_bring_all_their_packages(tmp_path: Path) -> None:
    """Each once (C15)."""
    file = tmp_path / "box.yaml"
    file.write_text("source: {debian: {suite: trixie}}\nboot: {loader: [grub-efi, grub-bios]}\n")
    assert loader_packages.packages(load(file)) == ("grub-efi-amd64-bin", "grub-pc-bin")


@pytest.mark.parametrize("data", [b"", bytes(512), b"x" * 1024])
def test_a_file_that_is_no_boot_sector_is_refused(data: bytes) -> None:
    """A damaged package does not become a disk that does not boot."""
    with pytest.raises(StageError, match="not a boot sector"):
        grub_bios.boot_sector(data)

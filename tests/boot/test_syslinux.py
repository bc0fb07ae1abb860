"""SYSLINUX: on FAT, found by the disk's first sector, in MBR and GPT, and that it starts what it is told to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.boot import syslinux
from bootsmith.tasks.boot.menu import Item, Menu, Serial

from tests.support import tiny_kernel
from tests.support.disk_build import VERSION, DiskBuild

PARTS = "partitions: {boot: {fs: vfat, mount: /boot/syslinux, size: 64M}, root: {mount: /, extra: 10M}}"
MBR = f"disk: {{{PARTS}}}\nboot: {{loader: syslinux}}\n"
AT_BOOT = MBR.replace("/boot/syslinux", "/boot").replace("loader: syslinux", "loader: syslinux, timeout: 1")
GPT = f"disk: {{table: gpt, {PARTS}}}\nboot: {{loader: syslinux}}\n"
BOTH = (
    "disk: {{table: {}, partitions: {{root: {{mount: /, extra: 10M}}, esp: {{size: 64M, mount: /boot/efi}}}}}}\n"
    "boot: {{loader: [systemd-boot, syslinux], packages: false}}\n"
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build whose kernel is the tiny one, in a folder with an awkward name."""
    return tiny_kernel.disk_build(tmp_path / 'a $b "c": d', monkeypatch, MBR)


@pytest.mark.parametrize(
    "text", [MBR, AT_BOOT, GPT, BOTH.format("mbr"), BOTH.format("gpt")], ids=["mbr", "menu", "gpt", "esp", "esp-gpt"]
)
@pytest.mark.boot
def test_seabios_boots_it(build: DiskBuild, text: str) -> None:
    """On a partition of its own, on /boot and on the ESP: with the command line and the initrd (A5)."""
    build.write_recipe(text)
    heard, cmdline = tiny_kernel.boot(build)
    assert f" {cmdline} initrd=/" in heard, heard
    assert re.search("; initrd: 070701.*tiny initrd", heard), heard


def test_its_partition_is_marked_and_holds_all(build: DiskBuild) -> None:
    """Active, FAT32 by its type; loader, menu, kernel and initrd on it, where the kernel has its usual name."""
    build.raw_disk()
    boot = build.recipe.disk.partitions["boot"]
    assert (boot.active, boot.type) == (True, "0x0c")
    image = build.site.partition_image("boot")
    listed = subprocess.run(
        ["mdir", "-a", "-b", "-i", image.name, "::"], cwd=image.parent, capture_output=True, text=True, check=True
    ).stdout.split()
    names = ("ldlinux.sys", "ldlinux.c32", "syslinux.cfg", f"vmlinuz-{VERSION}", f"initrd.img-{VERSION}")
    assert sorted(listed) == sorted(f"::/{name}" for name in names)


def test_the_same_recipe_gives_the_same_filesystem(build: DiskBuild) -> None:
    """The installer included: no clock, no name of the folder."""
    image = build.site.partition_image("boot")
    build.raw_disk()
    first = image.read_bytes()
    other = tiny_kernel.disk_build(build.folder.parent / "elsewhere", build.monkeypatch, MBR)
    other.raw_disk()
    assert other.site.partition_image("boot").read_bytes() == first


def test_its_first_sector_knows_where_it_stands(build: DiskBuild) -> None:
    """FAT's hidden sectors are the partition's start, whatever stands before it."""
    parts = "partitions: {root: {mount: /, size: 70M}, boot: {fs: vfat, mount: /boot/syslinux, size: 64M}}"
    build.write_recipe(f"disk: {{{parts}}}\nboot: {{loader: syslinux}}\n")
    build.raw_disk()
    sector = build.site.partition_image("boot").read_bytes()[:512]
    assert int.from_bytes(sector[0x1C:0x20], "little") == (1 + 70) * 2048


def test_its_menu() -> None:
    """Entries, default, serial port and time limit as the recipe has them."""
    items = (Item("plain", "Plain", "quiet", "k", "i"), Item("bare", "Bare", "", "k", None))
    assert syslinux.configuration(Menu(items, "bare", 5, Serial(1, 9600))) == (
        "SERIAL 1 9600\nDEFAULT bare\nPROMPT 0\nUI menu.c32\nTIMEOUT 50\n"
        "\nLABEL plain\n  MENU LABEL Plain\n  LINUX /k\n  INITRD /i\n  APPEND quiet\n"
        "\nLABEL bare\n  MENU LABEL Bare\n  LINUX /k\n"
    )
    assert syslinux.configuration(Menu(items[:1], "plain", 0, None)).startswith("DEFAULT plain\nPROMPT 0\n\n")

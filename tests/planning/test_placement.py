"""Where kernels and initrds stand, those of single entries too: what a menu names is there, and is what is meant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bootsmith.tasks.boot import pe
from bootsmith.tasks.disk.kernel_paths import Placement
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning import placement
from bootsmith.tasks.recipe.model.source import Directory
from bootsmith.tasks.tools import host

from tests.support import tiny_kernel
from tests.support.disk_build import VERSION, DiskBuild
from tests.support.ext_image import read_tree
from tests.support.fat_image import read_fat
from tests.support.tar_members import member

MINE = tiny_kernel.kernel().replace(b"tiny kernel", b"fine kernel")
INITRD = tiny_kernel.INITRD.replace(b"tiny", b"mine")
ENTRIES = "entries: {debian: {}, mine: {kernel: k, initrd: i}, bare: {kernel: k, initrd: none}}"
ESP = "disk: {partitions: {esp: {size: 64M, mount: /boot/efi}, root: {mount: /, extra: 10M}}}\n"
SPLIT = ESP.replace("root:", "boot: {fs: ext2, mount: /boot, size: 64M}, root:")
AT_BOOT = ESP.replace("/boot/efi", "/boot")
XBOOTLDR = ESP.replace("root:", "boot: {mount: /boot, size: 64M}, root:")
BIOS = "disk: {partitions: {root: {mount: /, extra: 10M}}}\n"
FAT = "disk: {partitions: {boot: {fs: vfat, mount: /boot/syslinux, size: 64M}, root: {mount: /, extra: 10M}}}\n"


@dataclass(frozen=True)
class Way:
    """A disk with a loader, and the pattern by which the menu names files: kernel or initrd."""

    disk: str
    loader: str
    holds: str  # the partition with the kernels
    menu: str
    names: str

    def text(self, entries: str = ENTRIES) -> str:
        return f"{self.disk}boot: {{loader: {self.loader}, packages: false, {entries}}}\n"


WAYS = {
    "systemd-boot": Way(ESP, "systemd-boot", "esp", r"loader/entries/.*\.conf", r"^(?:linux|initrd) /(\S+)$"),
    "xbootldr": Way(XBOOTLDR, "systemd-boot", "boot", r"loader/entries/.*\.conf", r"^(?:linux|initrd) /(\S+)$"),
    "esp at /boot": Way(AT_BOOT, "systemd-boot", "esp", r"loader/entries/.*\.conf", r"^(?:linux|initrd) /(\S+)$"),
    "grub-efi": Way(ESP, "grub-efi", "root", "boot/grub/grub.cfg", r"^  (?:linux|initrd) /(\S+)"),
    "grub-efi-esp": Way(ESP, "grub-efi, place: esp", "esp", "grub/grub.cfg", r"^  (?:linux|initrd) /(\S+)"),
    "grub-efi-boot": Way(SPLIT, "grub-efi", "boot", "grub/grub.cfg", r"^  (?:linux|initrd) /(\S+)"),
    "grub-bios": Way(BIOS, "grub-bios", "root", "boot/grub/grub.cfg", r"^  (?:linux|initrd) /(\S+)"),
    "syslinux": Way(FAT, "syslinux", "boot", "syslinux.cfg", r"^  (?:LINUX|INITRD) /(\S+)$"),
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with the tiny kernel, and another one, `k`, with an initrd, `i`, for the entry `mine`."""
    made = DiskBuild(tmp_path, monkeypatch)
    made.base({"./": member("d"), "boot/": member("d"), f"boot/vmlinuz-{VERSION}": tiny_kernel.kernel()})
    made.site.kernel.write_bytes(tiny_kernel.kernel())
    made.site.initrd.write_bytes(tiny_kernel.INITRD)
    for name in ("k", "i"):
        (tmp_path / name).write_bytes(b"read by stages that are not run here")
    made.own("mine", MINE, INITRD)
    return made


def held(build: DiskBuild, partition: str) -> Mapping[str, bytes]:
    """Return the files of a partition that was filled."""
    image = build.site.partition_image(partition)
    if build.recipe.disk.partitions[partition].fs == "vfat":
        return read_fat(image)
    return {path.decode(): node.content for path, node in read_tree(image).items()}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_file_that_an_entry_names_is_there(build: DiskBuild, way: Way) -> None:
    """On each place kernels may stand at: read back from the disk, with the very content that is meant (L6)."""
    build.write_recipe(way.text())
    build.raw_disk()
    found = held(build, way.holds)
    menus = [data.decode() for path, data in found.items() if re.fullmatch(way.menu, path)]
    named = [path for text in menus for path in re.findall(way.names, text, re.MULTILINE)]
    contents = sorted(found[path] for path in named)
    assert contents == sorted([tiny_kernel.kernel(), tiny_kernel.INITRD, MINE, INITRD, MINE])
    own = {path for path in named if "entries/mine/" in path}
    assert len(own) == 2
    assert all(VERSION in path for path in {*named} - own)


@pytest.mark.parametrize("ending", [VERSION, "lts"])
@pytest.mark.parametrize("way", ["esp at /boot", "xbootldr", "grub-efi", "grub-efi-boot", "grub-bios"])
def test_what_stands_in_boot_stands_there_once(way: str, ending: str, build: DiskBuild) -> None:
    """A tree's kernel and its initrd are what the loader starts, by the tree's names: twice, an ESP is soon full."""
    named = {f"boot/vmlinuz-{ending}": tiny_kernel.kernel(), f"boot/initramfs-{ending}": tiny_kernel.INITRD}
    build.base({"./": member("d"), "boot/": member("d"), **named})
    facts = json.loads(build.site.kernel_facts.read_text())
    places = {"path": f"boot/vmlinuz-{ending}", "initrd": f"boot/initramfs-{ending}"}
    build.site.kernel_facts.write_text(json.dumps(facts | places))
    build.write_recipe(WAYS[way].text("timeout: 0"))
    build.recipe = replace(build.recipe, source=Directory(build.folder, "root", "keep", "epoch"))
    build.raw_disk()
    found = held(build, WAYS[way].holds)
    for path, content in named.items():
        ends = path.removeprefix("boot/") if WAYS[way].holds != "root" else path
        assert [path for path, data in found.items() if data == content] == [ends]
        menus = [data.decode() for path, data in found.items() if re.fullmatch(WAYS[way].menu, path)]
        assert [named for text in menus for named in re.findall(WAYS[way].names, text, re.MULTILINE)].count(ends) == 1


def test_the_menu_tells_each_kernels_version(build: DiskBuild) -> None:
    """And an entry without an initrd names none."""
    build.write_recipe(WAYS["systemd-boot"].text())
    build.run("bootloader")
    entries = {path: text.decode() for path, text in build.loader_files().items() if "entries/" in path}
    versions = {path: re.findall("^version (.*)$", text, re.MULTILINE) for path, text in entries.items()}
    folder = "esp/loader/entries"
    own = ["6.9-mine"]
    assert versions == {f"{folder}/debian.conf": [VERSION], f"{folder}/mine.conf": own, f"{folder}/bare.conf": own}
    assert "initrd" not in entries[f"{folder}/bare.conf"]


@pytest.mark.parametrize("default", ["debian", "mine"])
@pytest.mark.parametrize("way", ["grub-bios", "syslinux"])
@pytest.mark.boot
def test_each_entry_starts_what_is_its_own(build: DiskBuild, way: str, default: str) -> None:
    """Kernel and initrd of the distribution, or of the entry, as they are handed over."""
    build.write_recipe(WAYS[way].text(f"default: {default}, timeout: 0, {ENTRIES}"))
    heard = tiny_kernel.serial_of(build.raw_disk(), build.folder / "serial.log")
    assert ("fine kernel: " in heard, "tiny kernel: " in heard) == (default == "mine", default != "mine")
    assert f"; initrd: {tiny_kernel.shown(INITRD if default == 'mine' else tiny_kernel.INITRD)}" in heard


def test_unified_images_are_made_of_each_entrys_own(build: DiskBuild) -> None:
    """One program for each entry, its kernel, initrd and version in it; an ESP of automatic size holds them all."""
    debian = host.find("systemd-boot").read_bytes()  # an EFI program, as kernels are
    mine = debian + b"mine"
    build.site.kernel.write_bytes(debian)
    build.own("mine", mine, INITRD + bytes(70 << 20))
    build.write_recipe(ESP.replace("size: 64M, ", "") + WAYS["systemd-boot"].text().replace(ESP, "").replace(
        "loader: systemd-boot", "loader: [systemd-boot, efistub]"))  # fmt: skip
    build.run("bootloader", "partition", "populate/esp")
    found = {name: pe.parse(data, name) for name, data in build.loader_files().items() if "EFI/Linux" in name}
    contents = {
        name.rpartition("/")[2]: [program.content(section) for section in (".linux", ".initrd", ".uname")]
        for name, program in found.items()
    }
    assert {name: [(linux or b"").rstrip(b"\0"), *rest] for name, (linux, *rest) in contents.items()} == {
        "debian.efi": [debian.rstrip(b"\0"), tiny_kernel.INITRD, VERSION.encode()],
        "mine.efi": [mine, INITRD + bytes(70 << 20), b"6.9-mine"],
        "bare.efi": [mine, None, b"6.9-mine"],
    }
    assert build.site.partition_image("esp").stat().st_size >= 128 << 20


def test_an_entry_may_say_where_its_kernel_stands(build: DiskBuild) -> None:
    """`as:` is a path in the tree, as for the kernel of all."""
    where = "entries: {debian: {}, mine: {kernel: {file: k, as: '/boot/mine{1}'}, initrd: none}}"
    build.write_recipe(WAYS["grub-bios"].text(where))
    assert placement.placement(build.recipe).named({"": {"version": "1"}}).kernels == {
        "": "boot/vmlinuz-1", "mine": "boot/mine{1}"
    }  # fmt: skip


def test_what_takes_a_kernels_place_is_refused(build: DiskBuild) -> None:
    """One's own kernel where the distribution's stands would leave no fall-back: told, with both keys."""
    where = f"entries: {{debian: {{}}, mine: {{kernel: {{file: k, as: /boot/vmlinuz-{VERSION}}}, initrd: none}}}}"
    build.write_recipe(WAYS["grub-bios"].text(where))
    with pytest.raises(StageError, match=r"boot\.kernel and boot\.entries\.mine\.kernel would both stand at boot/vml"):
        build.run("bootloader")


def test_names_differ_by_more_than_their_case() -> None:
    """A FAT filesystem has one of two such names."""
    found = Placement("esp", {"": "linux", "mine": "Linux"})
    with pytest.raises(StageError, match=r"would both stand at Linux on the partition esp"):
        found.named({})


def test_the_tree_is_not_told_of_kernels_on_the_esp(build: DiskBuild) -> None:
    """V8: only what holds an entry's kernel depends on it; with kernels in the tree, the tree does."""
    build.write_recipe(WAYS["systemd-boot"].text())

    def readers() -> set[str]:
        kernel = build.site.kernel_for("mine")
        return {name for name, stage in build.stages().items() if kernel in stage.inputs.values()}

    assert readers() == {"partition", "populate/esp"}
    build.write_recipe(WAYS["grub-bios"].text())
    assert readers() == {"partition", "populate/root"}
    build.write_recipe(WAYS["systemd-boot"].text().replace("systemd-boot", "[systemd-boot, efistub]"))
    assert readers() == {"partition", "bootloader"}

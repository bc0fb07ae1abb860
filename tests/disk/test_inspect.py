"""What `inspect` tells of an image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk.inspect import inspect, to_json, to_text
from bootsmith.tasks.errors import UsageError

from tests.support.disk_build import VERSION, DiskBuild
from tests.support.tar_members import member

MIB = 1 << 20
DISK = "disk: {partitions: {esp: {size: 64M}, root: {mount: /, extra: 20M}}}\nboot: {packages: false}\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "file": b"content"})
    return made


def test_an_image_of_ours_is_told_completely(build: DiskBuild) -> None:
    """Table, partitions, filesystems with their real UUIDs and labels, loader, sizes."""
    found = inspect(build.raw_disk())
    recipe = build.recipe.disk
    assert (found.format, found.table, found.id, found.problems) == ("raw", "gpt", recipe.id, ())
    assert found.occupied < found.disk == found.file
    esp, root = found.parts
    assert (esp.number, esp.name, esp.type, esp.guid) == (1, "esp", "esp", recipe.partitions["esp"].partuuid)
    assert esp.filesystem is not None
    assert root.filesystem is not None
    fat = esp.filesystem
    assert (fat.kind, fat.uuid, fat.label) == ("FAT32", recipe.partitions["esp"].uuid, "ESP")
    assert set(esp.loader) >= {"EFI/BOOT/BOOTX64.EFI", "loader/loader.conf", "loader/entries/default.conf"}
    assert (root.filesystem.kind, root.filesystem.uuid) == ("ext4", recipe.partitions["root"].uuid)
    assert root.filesystem.size == root.size
    assert root.filesystem.free is not None
    assert 20 * MIB < root.filesystem.free < root.size


def test_qcow2_tells_the_same_as_raw(build: DiskBuild) -> None:
    """But for the file's own size and format."""
    raw = inspect(build.raw_disk())
    build.run("convert/qcow2")
    converted = inspect(build.site.output("box.qcow2"))
    assert converted.format == "qcow2"
    assert (converted.parts, converted.disk, converted.id) == (raw.parts, raw.disk, raw.id)
    assert converted.file < raw.file


def test_text_and_json_hold_it_all(build: DiskBuild) -> None:
    """For people and for programs."""
    found = inspect(build.raw_disk())
    text = to_text(found)
    for word in ("gpt", "esp", "root", "FAT32 'ESP'", "ext4 'root'", "EFI/BOOT/BOOTX64.EFI", found.parts[1].guid):
        assert word in text
    root = json.loads(json.dumps(to_json(found)))["parts"][1]
    assert root["filesystem"]["uuid"] == build.recipe.disk.partitions["root"].uuid
    assert VERSION not in text, "kernels are not loader files"


def test_an_mbr_disk_is_told_too(tmp_path: Path) -> None:
    """Type codes, id and the filesystem inside."""
    image = tmp_path / "mbr.img"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    script = "label: dos\nlabel-id: 0xdeadbeef\n\nstart=2048, size=61440, type=83, bootable\n"
    subprocess.run(["sfdisk", "-q", image], input=script.encode(), check=True, capture_output=True)
    made = ["mke2fs", "-q", "-F", "-t", "ext2", "-L", "LITES-ROOT", "-E", f"offset={MIB}", image, "30M"]
    subprocess.run(made, check=True, capture_output=True)
    found = inspect(image)
    assert (found.table, found.id) == ("mbr", "deadbeef")
    (part,) = found.parts
    assert (part.type, part.start, part.size, part.mark) == ("0x83", MIB, 30 * MIB, "active")
    assert part.filesystem is not None
    assert (part.filesystem.kind, part.filesystem.label) == ("ext2", "LITES-ROOT")


BOOT = "boot: {fs: vfat, mount: /boot/syslinux, size: 64M}"
CORE = "bios: {type: bios-boot, size: 1M}"


@pytest.mark.parametrize(("loader", "table", "first", "code", "marks"),
    [("grub-bios", "mbr", "", "GRUB, its core at sector 1", ["active"]),
     ("grub-bios", "gpt", CORE, "GRUB, its core at sector 2048", ["", ""]),
     ("syslinux", "mbr", BOOT, "SYSLINUX's, for the active partition", ["active", ""]),
     ("syslinux", "gpt", BOOT, "SYSLINUX's, for the legacy-boot partition of a GPT", ["legacy-boot", ""])],
)  # fmt: skip
def test_what_a_bios_starts_is_told(
    build: DiskBuild, loader: str, table: str, first: str, code: str, marks: list[str]
) -> None:
    """Whose boot sector, the partition it goes on with, and the loader's files there."""
    parts = ", ".join(filter(None, [first, "root: {mount: /, extra: 20M}"]))
    build.write_recipe(
        f"boot: {{loader: {loader}, packages: false}}\ndisk: {{table: {table}, partitions: {{{parts}}}}}\n"
    )
    found = inspect(build.raw_disk())
    assert (found.code, [part.mark for part in found.parts], found.problems) == (code, marks, ())
    assert f"boot sector: {code}" in to_text(found)
    if "SYSLINUX" in code:
        assert found.parts[0].loader == ("ldlinux.c32", "ldlinux.sys", "syslinux.cfg")


def test_a_lost_core_is_said(build: DiskBuild) -> None:
    """A boot sector that names a place where nothing is."""
    build.write_recipe(
        "boot: {loader: grub-bios, packages: false}\ndisk: {partitions: {root: {mount: /, extra: 20M}}}\n"
    )
    disk = build.raw_disk()
    with disk.open("r+b") as file:
        file.seek(512)
        file.write(bytes(512))
    assert inspect(disk).problems == ("the boot sector names sector 1, where no core of GRUB begins",)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["mke2fs", "-q", "-F", "-t", "ext3"], "ext3"),
        (["mkfs.vfat", "-F", "16"], "FAT16"),
        (["mkfs.vfat", "-F", "12"], "FAT12"),
    ],
)
def test_a_bare_filesystem_is_one_part(tmp_path: Path, words: list[str], kind: str) -> None:
    """A disk without a table."""
    image = tmp_path / "bare.img"
    with image.open("wb") as file:
        file.truncate((16 if "12" not in words else 4) * MIB)
    subprocess.run([*words, image], check=True, capture_output=True)
    found = inspect(image)
    assert found.table == "none"
    assert [part.filesystem and part.filesystem.kind for part in found.parts] == [kind]


def test_an_empty_disk_has_nothing(tmp_path: Path) -> None:
    """No table, no parts, and no error."""
    image = tmp_path / "empty.img"
    image.write_bytes(bytes(MIB))
    assert inspect(image).parts == ()


def test_a_damaged_table_is_said(build: DiskBuild) -> None:
    """The backup is used, and the user told."""
    disk = build.raw_disk()
    with disk.open("r+b") as file:
        file.seek(512 + 20)
        file.write(b"?")
    found = inspect(disk)
    assert len(found.parts) == 2
    assert "problem: primary GPT: its header's checksum is wrong" in to_text(found)


@pytest.mark.parametrize("garbage", [b"\x55\xaa", b"\xff", b"\0"])
def test_noise_is_not_a_crash(tmp_path: Path, garbage: bytes) -> None:
    """Any bytes can be looked at."""
    image = tmp_path / "noise.img"
    image.write_bytes(garbage * (MIB // len(garbage)))
    to_text(inspect(image))


def test_what_cannot_be_inspected_is_refused(tmp_path: Path) -> None:
    """A missing file, another format, and a qcow2 that would make us read another file of the host."""
    with pytest.raises(UsageError, match="is not a file"):
        inspect(tmp_path / "missing")
    (tmp_path / "a.vmdk").write_bytes(b"KDMV" + bytes(508))
    with pytest.raises(UsageError, match="vmdk"):
        inspect(tmp_path / "a.vmdk")
    (tmp_path / "back").write_bytes(bytes(MIB))
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", tmp_path / "back", "-F", "raw", tmp_path / "a.qcow2"]
    subprocess.run(made, check=True)
    with pytest.raises(UsageError, match="refers to a backing file"):
        inspect(tmp_path / "a.qcow2")


@pytest.mark.parametrize(
    ("form", "options", "named"),
    [
        ("vdi", "", "vdi"), ("vhdx", "", "vhdx"), ("vmdk", "", "vmdk"), ("vpc", "subformat=fixed,force_size=on", "vhd"),
        ("vmdk", "subformat=streamOptimized", "vmdk"), ("vpc", "subformat=dynamic,force_size=on", "vhd"),
    ],
)  # fmt: skip
def test_another_format_tells_the_same_as_raw(
    build: DiskBuild, form: str, options: str, named: str, tmp_path: Path
) -> None:
    """The disk in it is looked at, and its own headers are no partition table; it is called what people call it."""
    raw, image = build.raw_disk(), tmp_path / "disk"
    words = ["qemu-img", "convert", "-f", "raw", "-O", form, *(["-o", options] if options else []), raw, image]
    subprocess.run(words, check=True)
    found, wanted = inspect(image), inspect(raw)
    assert found.format == named
    assert (found.disk, found.table, found.id, found.parts) == (wanted.disk, wanted.table, wanted.id, wanted.parts)

"""The stage `partition`: what it writes and what makes it write something else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.planning.stages import system
from bootsmith.tasks.recipe import cmdline

from tests.support.disk_build import DiskBuild
from tests.support.tar_members import member

MIB = 1 << 20
ESP, ROOT, LINUX = (
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "0fc63daf-8483-4772-8e79-3d69d8477de4",
)
DISK = "disk: {partitions: {esp: {size: 64M, mount: /boot/efi}, root: {mount: /, extra: 20M}}}\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "file": bytes(5 * MIB)})
    return made


def table(file: Path) -> gpt.Table:
    """Return the table in a file."""
    data = file.read_bytes()
    found = gpt.decode(lambda offset, length: data[offset : offset + length], len(data))
    assert found is not None
    return found


def test_the_table_is_the_recipes(build: DiskBuild) -> None:
    """GUIDs, names, types and attributes are as the recipe says, and sfdisk finds no fault."""
    build.write_recipe(
        "disk: {id: 01234567-89ab-cdef-0123-456789abcdef, partitions: {"
        "esp: {size: 64M, name: EFI System, attributes: [legacy-boot, no-auto]},"
        "root: {mount: /, size: 100M, partuuid: 11111111-2222-3333-4444-555555555555, attributes: [read-only, 60, 2]},"
        "spare: {fs: none, size: 3M, type: linux}}}\n"
    )
    build.run("partition")
    found = table(build.site.table)
    parts = build.recipe.disk.partitions
    assert found.guid == "01234567-89ab-cdef-0123-456789abcdef"
    assert found.slots == (
        gpt.Slot(MIB, 64 * MIB, ESP, parts["esp"].partuuid, "EFI System", 1 << 2 | 1 << 63),
        gpt.Slot(65 * MIB, 100 * MIB, ROOT, "11111111-2222-3333-4444-555555555555", "root", 1 << 60 | 1 << 2),
        gpt.Slot(165 * MIB, 3 * MIB, LINUX, parts["spare"].partuuid, "spare", 0),
    )
    verified = subprocess.run(["sfdisk", "--verify", build.site.table], capture_output=True, check=True, text=True)
    assert "No errors detected" in verified.stdout
    assert build.site.table.stat().st_blocks * 512 < MIB


def test_the_layout_says_where_everything_stands(build: DiskBuild) -> None:
    """In table order, in bytes, as the table itself has it."""
    build.run("partition")
    layout = json.loads(build.site.layout.read_text())
    assert layout["size"] == build.site.table.stat().st_size
    slots = table(build.site.table).slots
    assert [(row["name"], row["start"], row["size"]) for row in layout["partitions"]] == [
        ("esp", slots[0].start, slots[0].size),
        ("root", slots[1].start, slots[1].size),
    ]


def test_moving_a_partition_does_not_change_its_geometry(build: DiskBuild) -> None:
    """A filesystem is not made again because another one grew before it (C7)."""
    outputs = (build.site.geometry("root"), build.site.geometry("esp"), build.site.table)
    build.run("partition")
    before = [path.read_bytes() for path in outputs]
    build.write_recipe(DISK.replace("64M", "200M"))
    build.run("partition")
    after = [path.read_bytes() for path in outputs]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False]


def test_a_small_edit_changes_nothing_here(build: DiskBuild) -> None:
    """Another motd leaves table and geometries as they were, so that filesystems can be patched."""
    outputs = []
    for text in (b"hello", b"hello, world"):
        with build.delta("1-overlay") as writer:
            writer.add_file("etc/motd", text)
        build.run("partition")
        outputs.append([path.read_bytes() for path in build.stages()["partition"].outputs.values()])
    assert outputs[0] == outputs[1]


def test_more_content_makes_a_larger_partition(build: DiskBuild) -> None:
    """What `auto` means."""
    build.run("partition")
    before = json.loads(build.site.geometry("root").read_text())
    with build.delta("1-overlay") as writer:
        writer.add_file("big", bytes(200 * MIB))
    build.run("partition")
    after = json.loads(build.site.geometry("root").read_text())
    assert after["size"] - before["size"] in (192 * MIB, 256 * MIB)


def test_an_initrd_in_the_tree_counts(build: DiskBuild) -> None:
    """With kernels on root, its size is part of the root filesystem's content; on the ESP it is of that one."""
    build.site.initrd.write_bytes(bytes(100 * MIB))
    build.write_recipe(DISK.replace("size: 64M", "size: auto"))
    build.run("partition")
    on_esp = {name: json.loads(build.site.geometry(name).read_text())["size"] for name in ("esp", "root")}
    build.write_recipe(DISK.replace("size: 64M", "size: auto") + "boot: {loader: grub-efi}\n")
    build.run("partition")
    on_root = {name: json.loads(build.site.geometry(name).read_text())["size"] for name in ("esp", "root")}
    assert on_esp == {"esp": 128 * MIB, "root": 64 * MIB}
    assert on_root == {"esp": 64 * MIB, "root": 192 * MIB}


def test_a_disk_of_fixed_size_gives_the_rest_to_root(build: DiskBuild) -> None:
    """Levitate-like: 256 GiB of which almost nothing is occupied."""
    build.write_recipe("disk: {size: 256G, partitions: {esp: {size: 1G, mount: /boot}, root: {mount: /}}}\n")
    build.run("partition")
    layout = json.loads(build.site.layout.read_text())
    assert layout["size"] == 256 << 30
    assert layout["partitions"][1]["size"] == (255 << 30) - 2 * MIB
    assert build.site.table.stat().st_blocks * 512 < MIB


def test_a_file_elsewhere_does_not_concern_the_esp(build: DiskBuild) -> None:
    """A FAT partition is filled from what lies below its mount alone, which an edit of motd leaves as it was."""
    contents = []
    for text in (b"hello", b"hello, world"):
        with build.delta("1-overlay") as writer:
            writer.add_file("etc/motd", text)
            writer.add_file("boot/efi/startup.nsh", b"exit")
        build.run("partition")
        layer = build.site.content("esp")
        contents.append((layer.tar.read_bytes(), layer.index.read_bytes()))
    assert contents[0] == contents[1]
    inputs = build.stages()["populate/esp"].inputs.values()
    assert not {path for made in build.layers for path in (made.tar, made.index)} & set(inputs)


@pytest.mark.parametrize(
    ("disk", "size", "small", "large", "why"),
    [
        ("size: {}, ", "remaining", "81M", "82M", "disk.size: 81M is too small: the partitions need 82M"),
        ("", "{}", "16392K", "17M", "disk.partitions.swap.size: .* is too small: its content needs 17M"),
    ],
    ids=["remaining", "size"],
)
def test_encrypted_swap_has_room_for_its_header(
    build: DiskBuild, disk: str, size: str, small: str, large: str, why: str
) -> None:
    """What is too small for both is refused with what both need, before anything is made."""
    (build.folder / "word").write_text("correct horse\n")
    swap = f"swap: {{fs: swap, encrypt: {{passphrase: {{file: word}}}}, size: {size}}}"
    text = f"disk: {{{disk}partitions: {{root: {{mount: /, size: 64M}}, {swap}}}}}\nboot: {{loader: grub-bios}}\n"
    with pytest.raises(BootsmithError, match=why):
        build.write_recipe(text.replace("{}", small))
        build.run("partition")
    build.write_recipe(text.replace("{}", large))
    build.run("partition")
    assert json.loads(build.site.geometry("swap").read_text())["size"] == MIB


def test_an_mbr_disk_is_the_recipes(build: DiskBuild) -> None:
    """Signature, types, the active flag; root= and fstab name partitions as the kernel does (L1, C17)."""
    build.write_recipe(
        "disk: {id: CAFE0001, size: 512M, partitions: {boot: {fs: vfat, mount: /boot, size: 64M},"
        "swap: {fs: none, size: 4M, type: swap}, root: {mount: /, fs: ext2, type: 0x83}}}\n"
        "boot: {loader: grub-bios, packages: false}\nsystem: {fstab: partuuid}\n"
    )
    disk = build.raw_disk()
    read = json.loads(subprocess.run(["sfdisk", "--json", disk], capture_output=True, check=True).stdout)
    found = read["partitiontable"]
    rows = [(row["start"], row["size"], row["type"], row.get("bootable", False)) for row in found["partitions"]]
    assert (found["label"], found["id"]) == ("dos", "0xcafe0001")
    assert rows == [(2048, 131072, "c", True), (133120, 8192, "82", False), (141312, 907264, "83", False)]
    assert disk.stat().st_size == 512 * MIB
    verified = subprocess.run(["sfdisk", "--verify", disk], capture_output=True, check=True, text=True)
    assert "No errors detected" in verified.stdout
    parts = build.recipe.disk.partitions
    assert cmdline.of_entry(build.recipe.boot, build.recipe.disk, "").startswith("root=PARTUUID=cafe0001-03 ro")
    assert "PARTUUID=cafe0001-01  /boot" in system.fstab(parts.values(), "partuuid")

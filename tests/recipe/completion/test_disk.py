"""A disk completed: what follows from a partition's name, mount and loader, and what is written goes before it."""

from __future__ import annotations

import pytest
from bootsmith.tasks.recipe.model.disk import Disk, Partition

from tests.support.recipe_folder import SOURCE, RecipeFolder


def disk(recipes: RecipeFolder, partitions: str, *, loader: str = "systemd-boot", more: str = "") -> Disk:
    """Return the disk of these partitions, for a loader."""
    found = recipes.load(f"{SOURCE}boot: {{loader: {loader}}}\ndisk:\n  partitions: {{{partitions}}}\n{more}").disk
    assert found
    return found


def part(recipes: RecipeFolder, written: str, *, name: str = "data") -> Partition:
    """Return one partition beside those of a usual disk."""
    return disk(recipes, f"esp: {{}}, root: {{mount: /}}, {name}: {{{written}}}").partitions[name]


@pytest.mark.parametrize(
    ("name", "written", "kind", "fs"),
    [
        ("esp", "", "esp", "vfat"),
        ("efi", "mount: /efi", "esp", "vfat"),
        ("data", "mount: /home", "home", "ext4"),
        ("data", "mount: /var", "var", "ext4"),
        ("data", "mount: /srv", "linux", "ext4"),
        ("data", "size: 1G", "linux", "ext4"),
        ("data", "type: swap, size: 1G", "swap", "swap"),
        ("data", "type: bios-boot, size: 1M", "bios-boot", "none"),
        ("data", "type: home, size: 1G", "home", "ext4"),
    ],
)
def test_a_type_follows_from_name_and_mount(recipes: RecipeFolder, name: str, written: str, kind: str, fs: str) -> None:
    """The written type, else the mount's; the file system follows from the type."""
    found = disk(
        recipes, f"root: {{mount: /}}, {name}: {{{written}}}", loader="direct", more="  table: gpt\n"
    ).partitions[name]
    assert (found.type, found.fs) == (kind, fs)


@pytest.mark.parametrize(
    ("others", "kind"), [("", "esp"), (", esp: {}", "xbootldr"), (", boot2: {type: esp}", "xbootldr")]
)
def test_systemd_boot_s_boot(recipes: RecipeFolder, others: str, kind: str) -> None:
    """/boot is where it looks: its EFI system partition, or beside one the extended boot loader partition."""
    found = disk(recipes, f"root: {{mount: /}}, boot: {{mount: /boot}}{others}").partitions["boot"]
    assert (found.type, found.fs) == (kind, "vfat")


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("mount: /home", "defaults,nofail"),
        ("mount: /srv/x", "defaults"),
        ("mount: /usr", "defaults"),
        ("mount: /usrlocal", "defaults,nofail"),
        ("mount: /var/lib", "defaults"),
        ("mount: /boot, fs: vfat", "defaults,umask=0077,nofail"),
        ("mount: /home, options: ro", "ro"),
    ],
)
def test_what_a_boot_does_not_need_does_not_end_it(recipes: RecipeFolder, written: str, options: str) -> None:
    """Only what a system comes up without is mounted with nofail; FAT is closed to others; what is written stays."""
    assert part(recipes, written).options == options


@pytest.mark.parametrize(
    ("written", "turn"),
    [("mount: /home", 2), ("mount: /home, options: ro", 0), ("size: 1G", 0), ("mount: /home, pass: 1", 1)],
)
def test_who_is_checked_when(recipes: RecipeFolder, written: str, turn: int) -> None:
    """The root first, then what is mounted to be written; what a guest does not mount is not checked."""
    assert part(recipes, written).fsck_pass == turn
    assert disk(recipes, "esp: {}, root: {mount: /, options: ro}").partitions["root"].fsck_pass == 1


@pytest.mark.parametrize(("size", "root"), [("auto", "auto"), ("8G", "remaining")])
def test_the_root_takes_the_rest(recipes: RecipeFolder, size: str, root: str) -> None:
    """On a disk of a given size the root grows, unless it or another partition says otherwise."""
    more = f"  size: {size}\n"
    assert disk(recipes, "esp: {}, root: {mount: /}", more=more).partitions["root"].size == root
    assert disk(recipes, "esp: {}, root: {mount: /, size: 2G}", more=more).partitions["root"].size == 2 << 30
    if size != "auto":
        taken = disk(recipes, "esp: {}, root: {mount: /}, data: {size: remaining}", more=more)
        assert taken.partitions["root"].size == "auto"


def test_on_an_mbr(recipes: RecipeFolder) -> None:
    """A partition there has no name, and is identified by the disk's signature and its own number."""
    found = disk(recipes, "boot: {mount: /boot, fs: vfat}, root: {mount: /}", loader="syslinux")
    assert found.table == "mbr"
    assert [each.partuuid for each in found.partitions.values()] == [f"{found.id}-01", f"{found.id}-02"]
    assert {each.gpt_name for each in found.partitions.values()} == {""}
    assert [each.name for each in found.partitions.values() if each.active] == ["boot"]
    assert found.partitions["boot"].type == "0x0c"


def test_what_is_written_goes_first(recipes: RecipeFolder) -> None:
    """A UUID, a label and a name of one's own stand; so does an empty label."""
    written = "fs: ext4, size: 1G, uuid: 0fc63daf-8483-4772-8e79-3d69d8477de4, label: '', name: Mine"
    found = part(recipes, written)
    assert (found.uuid, found.label, found.gpt_name) == ("0fc63daf-8483-4772-8e79-3d69d8477de4", "", "Mine")
    usual = part(recipes, "fs: ext4, size: 1G")
    assert (usual.label, usual.gpt_name) == ("data", "data")
    assert usual.uuid != usual.partuuid

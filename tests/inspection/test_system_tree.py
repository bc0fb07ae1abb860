"""Paths in an image: links, mounts and partitions, as the system on it would see them."""

from __future__ import annotations

import os
import subprocess

import pytest
from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.inspection import system_tree
from bootsmith.tasks.inspection.opening import looked_into
from bootsmith.tasks.inspection.system_tree import FstabLine

from tests.support.whole_disk import PASSWD, WholeDisk


def look(disk: WholeDisk, path: str) -> None:
    with looked_into(disk.raw) as image:
        tree, within = system_tree.of(image, path)
        tree.find(within)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/etc/passwd", "etc/passwd"),
        ("etc//./passwd", "etc/passwd"),
        ("/etc/../../../etc/passwd", "etc/passwd"),
        ("/etc/abs", "etc/motd"),
        ("/etc/up", "etc/motd"),
        ("/sbin/init", "usr/sbin/init"),
        ("/sbin/../hello", None),
        ("/", ""),
        ("/boot/efi/EFI/BOOT/BOOTX64.EFI", "boot/efi/EFI/BOOT/BOOTX64.EFI"),
        ("esp:/EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTX64.EFI"),
        ("1:EFI", None),
        ("2:/boot/efi", "boot/efi"),
    ],
)
def test_paths_lead_where_the_system_would_go(whole: WholeDisk, path: str, found: str | None) -> None:
    """Links stay within the tree, and what fstab mounts is there; a partition can be named instead (L21)."""
    with looked_into(whole.raw) as image:
        if found is None:
            with pytest.raises(UsageError, match="holds no"):
                look(whole, path)
            return
        tree, within = system_tree.of(image, path)
        assert tree.find(within).path == os.fsencode(found)
        assert tree.find(b"") == tree.top


def test_a_mount_point_holds_the_other_partition_s_files(whole: WholeDisk) -> None:
    """But seen from its own partition it is empty."""
    with looked_into(whole.raw) as image:
        tree, within = system_tree.of(image, "/boot/efi")
        assert b"loader" in [name for name, _ in tree.children(tree.find(within))]
        root, within = system_tree.of(image, "root:/boot/efi")
        assert not list(root.children(root.find(within)))
        assert system_tree.fstab(tree)[0] == FstabLine(
            f"UUID={whole.recipe.disk.partitions['root'].uuid}", "/", "defaults"
        )


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("/etc/passwrd", "holds no /etc/passwrd", "Did you mean passwd?"),
        ("/etc/passwd/x", "/etc/passwd is not a directory", ""),
        ("/etc/loop", "round in circles", ""),
        ("7:/", "has no partition 7", r"There are 1 \(esp\), 2 \(root\)\."),
    ],
)
def test_what_is_not_there_is_said_with_what_is(whole: WholeDisk, path: str, message: str, hint: str) -> None:
    """With near names, or the partitions that there are."""
    with pytest.raises(UsageError, match=message) as refused:
        look(whole, path)
    assert hint.replace("\\", "") in refused.value.hint


def test_all_files_are_walked_once(whole: WholeDisk) -> None:
    """Those of mounted partitions among them, folders first."""
    with looked_into(whole.raw) as image:
        tree = system_tree.whole(image)
        paths = [place.path for place in tree.walk(tree.top)]
    assert len(paths) == len(set(paths))
    assert paths.index(b"boot/efi") < paths.index(b"boot/efi/loader") < paths.index(b"boot/efi/loader/loader.conf")
    assert b"lost+found" not in paths


def test_texts_are_read_whole_or_not_at_all(whole: WholeDisk) -> None:
    """What is missing, or no file, has none."""
    with looked_into(whole.raw) as image:
        tree = system_tree.whole(image)
        assert tree.text(b"etc/passwd") == PASSWD
        assert tree.text(b"etc") == tree.text(b"none") == b""


def test_folders_in_a_circle_are_refused(disk: WholeDisk) -> None:
    """A damaged directory that is found again below itself."""
    disk.debugfs("ln /home /home/ann/again")
    with looked_into(disk.raw) as image:
        tree = system_tree.whole(image)
        with pytest.raises(StageError, match="two names"):
            list(tree.walk(tree.top))


def test_a_disk_that_no_system_is_on_is_told_by_partition(disk: WholeDisk) -> None:
    """Where nothing tells which partition is the root, one must be named."""
    disk.debugfs("rm /sbin", "symlink /usr2 /usr", "rmdir /nothing")
    with looked_into(disk.raw) as image:
        assert system_tree.whole(image).number == 2
    disk.write(disk.start("root") + 1024, bytes(1024))
    with looked_into(disk.raw) as image:
        assert system_tree.whole(image).number == 1  # the only one that can be read
        with pytest.raises(UsageError, match="partition 2 holds no filesystem that is known"):
            system_tree.of(image, "2:/")[0].find(b"")


@pytest.mark.parametrize(("folders", "found"), [(("grub", "home"), None), (("etc", "usr"), 1)])
def test_what_is_clear_beside_a_locked_root_is_not_taken_for_it(
    disk: WholeDisk, folders: tuple[str, ...], found: int | None
) -> None:
    """Be it /boot or /home: only what looks like a system is one."""
    for name in folders:
        (disk.raw.parent / "clear" / name).mkdir(parents=True)
    clear = disk.raw.with_name("clear.img")
    argv = ["mke2fs", "-q", "-t", "ext4", "-d", disk.raw.parent / "clear", clear, "8M"]
    subprocess.run(argv, check=True, capture_output=True)
    disk.write(disk.start("esp"), clear.read_bytes())
    disk.write(disk.start("root"), b"LUKS\xba\xbe\x00\x02".ljust(4096, b"\0"))
    with looked_into(disk.raw) as image:
        if found is None:
            with pytest.raises(UsageError, match="the system's root is locked"):
                system_tree.whole(image)
        else:
            assert system_tree.whole(image).number == found

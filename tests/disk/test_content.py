"""The tree divided among partitions."""

from __future__ import annotations

import pytest
from bootsmith.tasks.disk.content import divide, make_directories, owner, place
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.tar import Entry

MOUNTS = {"root": "/", "boot": "/boot", "esp": "/boot/efi", "home": "/home"}


def tree(*entries: Entry) -> dict[str, tuple[int, Entry]]:
    """Return a tree of entries."""
    return {entry.path: (0, entry) for entry in entries}


def d(path: str, mode: int = 0o755) -> Entry:
    """Return a directory's entry."""
    return Entry(path, "d", mode)


def test_nested_mount_points_each_get_their_own_files_once() -> None:
    """/, /boot and /boot/efi are told apart, and a mount point stays a directory of the one above (C10)."""
    whole = tree(
        d(""), d("boot", 0o700), d("boot/efi"), d("home"), d("bootless"), Entry("boot/vmlinuz", "f"), Entry("etc", "d"),
        Entry("boot/efi/EFI", "d"), Entry("boot/efi/EFI/x", "f"), Entry("bootless/y", "f"), Entry("homepage", "f"),
    )  # fmt: skip
    found = divide(whole, MOUNTS, 7)
    assert sorted(found["root"]) == ["", "boot", "bootless", "bootless/y", "etc", "home", "homepage"]
    assert sorted(found["boot"]) == ["", "efi", "vmlinuz"]
    assert sorted(found["esp"]) == ["", "EFI", "EFI/x"]
    assert sorted(found["home"]) == [""]
    assert found["boot"][""][1].mode == 0o700
    assert found["esp"]["EFI/x"][1].path == "EFI/x"


def test_a_mount_point_the_tree_lacks_is_made() -> None:
    """With the directories above it, as root's with mode 0755."""
    found = divide(tree(d("")), MOUNTS, 7)
    assert found["root"]["boot"][1] == Entry("boot", "d", 0o755, mtime=7)
    assert found["boot"]["efi"][1] == Entry("efi", "d", 0o755, mtime=7)
    assert found["esp"][""][1].type == "d"


def test_a_mount_point_that_is_a_file_is_refused() -> None:
    """What cannot be mounted is noticed before anything is written."""
    with pytest.raises(StageError, match="/home must be a directory"):
        divide(tree(d(""), Entry("home", "f")), MOUNTS, 7)


def test_a_hard_link_into_another_partition_becomes_a_file() -> None:
    """Its first name there takes the data, the others link to that one."""
    whole = tree(
        d(""), d("boot"), d("home"), Entry("data", "f", size=5, offset=512), Entry("home/a", "h", link="data"),
        Entry("home/b", "h", link="data"), Entry("more", "h", link="data"),
    )  # fmt: skip
    found = divide(whole, MOUNTS, 7)
    assert found["home"]["a"][1] == Entry("a", "f", size=5, offset=512)
    assert (found["home"]["b"][1].type, found["home"]["b"][1].link) == ("h", "a")
    assert (found["root"]["more"][1].type, found["root"]["more"][1].link) == ("h", "data")


def test_hard_links_inside_a_partition_stay_links() -> None:
    """Their targets are named relative to the partition's own root."""
    whole = tree(d(""), d("home"), Entry("home/a", "f", size=5), Entry("home/b", "h", link="home/a"))
    assert divide(whole, MOUNTS, 7)["home"]["b"][1].link == "a"


def test_a_path_that_no_partition_holds_is_refused() -> None:
    """Files are never dropped silently."""
    with pytest.raises(StageError, match="no partition holds /"):
        divide(tree(d(""), Entry("etc", "d")), {"home": "/home"}, 7)


def test_owner_is_the_innermost_mount() -> None:
    """A name that only begins alike belongs elsewhere."""
    assert owner(MOUNTS, "boot/efi/EFI/BOOT") == ("esp", "EFI/BOOT")
    assert owner(MOUNTS, "boot/vmlinuz") == ("boot", "vmlinuz")
    assert owner(MOUNTS, "bootless") == ("root", "bootless")


def test_placed_files_get_their_directories() -> None:
    """A kernel put on an empty partition brings the folders above it."""
    found = tree()
    make_directories(found, [""], 7)
    place(found, {"debian/6.1/linux": (3, 100)}, 7)
    assert sorted(found) == ["", "debian", "debian/6.1", "debian/6.1/linux"]
    assert found["debian/6.1/linux"] == (3, Entry("debian/6.1/linux", "f", 0o644, size=100, mtime=7))

"""Files taken out of an image: content, modes and times are kept, owners and dangers not, nothing else is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection import system_tree
from bootsmith.tasks.inspection.extraction import extract
from bootsmith.tasks.inspection.opening import looked_into

from tests.support.tar_members import EPOCH
from tests.support.whole_disk import PASSWD, WholeDisk


def taken(disk: WholeDisk, path: str, target: Path) -> list[str]:
    with looked_into(disk.raw) as image:
        tree, within = system_tree.of(image, path)
        return extract(tree, tree.find(within, follow=False), target)


def test_a_whole_tree_is_taken_out(whole: WholeDisk, tmp_path: Path) -> None:
    """With hard links, holes, times and modes; set-user-id bits and devices are left out, and said to be (L21)."""
    top = tmp_path / "top"
    left = taken(whole, "/", top)
    assert (top / "etc/passwd").read_bytes() == PASSWD
    assert (top / "etc/motd").samefile(top / "etc/twin")
    assert os.readlink(top / "etc/up") == "../../../etc/motd"  # noqa: PTH115
    assert (top / "boot/efi/EFI/BOOT/BOOTX64.EFI").stat().st_size
    large = top / "usr/bin/large"
    assert large.read_bytes() == bytes(3 << 20) + b"end"
    assert large.stat().st_blocks < 100
    assert large.stat().st_mtime == EPOCH
    assert stat.S_IMODE((top / "usr/bin/tool").stat().st_mode) == 0o755
    assert (top / "home/ann").stat().st_uid == os.geteuid()
    assert sorted(left) == ["/usr/bin/tool: its set-user-id or set-group-id bit", "/usr/null: a device node"]
    assert (top / "etc").stat().st_mtime == EPOCH


def test_one_file_is_taken_out_by_its_name(whole: WholeDisk, tmp_path: Path) -> None:
    """A link is itself."""
    assert not taken(whole, "/etc/motd", tmp_path)
    assert not taken(whole, "/etc/abs", tmp_path)
    assert (tmp_path / "motd").read_bytes() == b"hello\n"
    assert (tmp_path / "abs").is_symlink()


def test_nothing_that_is_there_is_overwritten(whole: WholeDisk, tmp_path: Path) -> None:
    """Not even what a link leads to: it is said before anything is written."""
    (tmp_path / "passwd").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="holds passwd already"):
        taken(whole, "/etc", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["passwd"]

"""What an image may be written to: told from what the kernel says, here a kernel of files. C13, C21."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.disk import target
from bootsmith.tasks.disk.target import Kernel, Target
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.support import record_locks

MOUNTS = """\
25 1 {root} / / rw,relatime shared:1 - ext4 {source} rw
30 25 0:25 / /proc rw shared:5 - proc proc rw
31 25 8:18 / /media/my\\040stick rw shared:9 - vfat /dev/sdb2 rw
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A host whose root is on LVM on sda2, a stick sdb that is mounted, a disk sdc with swap, and sdd that is free."""
    kernel = Kernel(tmp_path / "proc", tmp_path / "sys")
    for name, number in {
        "sda": "8:0", "sda/sda1": "8:1", "sda/sda2": "8:2", "dm-0": "253:0", "sdb": "8:16", "sdb/sdb1": "8:17",
        "sdb/sdb2": "8:18", "sdc": "8:32", "sdc/sdc1": "8:33", "sdd": "8:48", "sdd/sdd1": "8:49", "md0": "9:0",
        "sde": "8:64",
    }.items():  # fmt: skip
        folder = kernel.sys / "devices" / name
        (folder / "holders").mkdir(parents=True)
        (folder / "dev").write_text(f"{number}\n")
        if "/" in name:
            (folder / "partition").write_text("1\n")
        for place, link in (("dev/block", number), ("block", name.rpartition("/")[2])):
            (kernel.sys / place).mkdir(parents=True, exist_ok=True)
            (kernel.sys / place / link).symlink_to(folder)
    (kernel.sys / "devices/dm-0/dm").mkdir()
    (kernel.sys / "devices/dm-0/dm/name").write_text("vg-root\n")
    (kernel.sys / "devices/sda/sda2/holders/dm-0").symlink_to(kernel.sys / "devices/dm-0")
    (kernel.sys / "devices/sde/holders/md0").symlink_to(kernel.sys / "devices/md0")
    (kernel.proc / "self").mkdir(parents=True)
    (kernel.proc / "self/mountinfo").write_text(MOUNTS.format(root="253:0", source="/dev/mapper/vg-root"))
    (kernel.proc / "swaps").write_text("Filename Type Size Used Priority\n/dev/sdc1 partition 9 0 -2\n")
    return kernel


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("8:0", "sda2 is part of vg-root; dm-0 holds this host's root"),
        ("8:2", "sda2 is part of vg-root; dm-0 holds this host's root"),
        ("253:0", "dm-0 holds this host's root"),
        ("8:16", "sdb2 is mounted at /media/my stick"),
        ("8:18", "sdb2 is mounted at /media/my stick"),
        ("8:32", "sdc1 is swap"),
        ("8:64", "sde is part of md0"),
        ("8:1", None),
        ("8:17", None),
        ("8:48", None),
    ],
)
def test_a_disk_in_use_is_told_with_what_uses_it(kernel: Kernel, number: str, why: str | None) -> None:
    """Itself, a partition of it, or what either is part of; what only lies beside on the disk does not matter."""
    assert target.use(number, kernel) == why


def test_a_root_that_is_mounted_by_its_own_name(kernel: Kernel) -> None:
    """As a filesystem of several devices is, whose number is none of theirs."""
    (kernel.proc / "self/mountinfo").write_text(MOUNTS.format(root="0:30", source="/dev/sda1"))
    assert target.use("8:0", kernel) == "sda1 holds this host's root"


def test_a_file_stands_for_a_disk(tmp_path: Path, kernel: Kernel) -> None:
    """Links are followed; one that a loop device or swap is made of is in use."""
    file = tmp_path / "disk"
    file.write_bytes(bytes(4096))
    (tmp_path / "link").symlink_to(file)
    assert target.look(tmp_path / "link", None, kernel) == Target(file, 4096, 512, block=False)
    loop = kernel.sys / "block/loop0/loop"
    loop.mkdir(parents=True)
    (loop / "backing_file").write_text(f"{file}\n")
    with pytest.raises(BootsmithError, match="it is what loop0 is made of"):
        target.look(file, None, kernel)
    (loop / "backing_file").unlink()
    (kernel.proc / "swaps").write_text(f"Filename\n{file} file 9 0 -2\n")
    with pytest.raises(BootsmithError, match="it is swap"):
        target.look(file, None, kernel)


def test_what_is_no_disk(tmp_path: Path) -> None:
    """Nothing there, a folder, a character device, the image itself: each with what to do."""
    image = tmp_path / "image"
    image.touch()
    (tmp_path / "link").symlink_to(image)
    for named, why in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is a folder"),
        (Path("/dev/null"), "is neither a disk nor a file"),
        (tmp_path / "link", "is the image itself"),
        (image / "below", "Not a directory"),
    ):
        with pytest.raises(UsageError, match=why) as refused:
            target.look(named, image)
        assert refused.value.hint


def test_what_does_not_fit(tmp_path: Path) -> None:
    """Both sizes are told; a table that counts sectors of 512 bytes is not put where they have 4096."""
    about = Target(tmp_path / "disk", 1 << 20, 512, block=False)
    with pytest.raises(UsageError, match="disk has 1M, and the image 2M"):
        target.check_room(about, 2 << 20, table=True)
    with pytest.raises(UsageError, match="disk has 1048575 bytes, and the image 1048576"):  # cards of one name
        target.check_room(replace(about, size=(1 << 20) - 1), 1 << 20, table=True)
    large = Target(tmp_path / "disk", 1 << 20, 4096, block=True)
    with pytest.raises(UsageError, match="sectors of 4096 bytes, and the image's table counts 512"):
        target.check_room(large, 1 << 20, table=True)
    target.check_room(large, 1 << 20, table=False)
    target.check_room(about, 1 << 20, table=True, sector=4096)  # a file has no sectors of its own
    target.check_room(about, 1 << 20, table=True)


def test_a_target_somebody_holds_is_not_opened(tmp_path: Path) -> None:
    """udev, QEMU and a second `write` each hold a lock; and who may not write is told."""
    file = tmp_path / "disk"
    file.write_bytes(bytes(512))
    about = Target(file, 512, 512, block=False)
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(BootsmithError, match="somebody holds a lock on it"):
            target.open_alone(about)
    with record_locks.held(file), pytest.raises(BootsmithError, match="somebody holds a lock on it"):
        target.open_alone(about)
    os.close(target.open_alone(about))
    with pytest.raises(BootsmithError, match="cannot be written: Is a directory"):
        target.open_alone(Target(tmp_path, 512, 512, block=False))

"""write: an image to a disk, here a file that stands for one; what is refused, and that nothing is written then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.command.actions import device
from bootsmith.tasks.disk import device_write, gpt
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.command.actions.conftest import Calls

MIB = 1 << 20
OLD = b"\xa5"
SCRIPT = "label: gpt\nsize=4M, type=U\nsize=20M\n"


@pytest.fixture
def disk(call: Calls) -> Path:
    """A disk full of something else, of 64 MiB."""
    made = call.top / "disk"
    made.write_bytes(OLD * (64 * MIB))
    return made


@pytest.fixture
def image(call: Calls) -> Path:
    """An image of 32 MiB: a GPT with an ESP and an ext4, which holds a file."""
    made = call.top / "image.raw"
    with made.open("wb") as file:
        file.truncate(32 * MIB)
    subprocess.run(["sfdisk", "-q", made], input=SCRIPT, text=True, check=True)
    (call.top / "files").mkdir()
    (call.top / "files/hello").write_text("hello\n")
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-E", f"offset={5 * MIB}", "-d", call.top / "files", made, "20M"], check=True
    )
    return made


def filesystem(disk: Path) -> tuple[int, str]:
    """Return the size in bytes of the ext4 on a disk, which is whole, and what its file says."""
    place = f"{disk}?offset={5 * MIB}"
    subprocess.run(["e2fsck", "-fn", place], check=True, capture_output=True)
    head = subprocess.run(["dumpe2fs", "-h", place], check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    said = subprocess.run(["debugfs", "-R", "cat /hello", place], check=True, capture_output=True, text=True).stdout
    return int(fields["Block count"]) * int(fields["Block size"]), said


def test_an_image_is_written_and_its_backup_moved(call: Calls, image: Path, disk: Path) -> None:
    """The partitions are as they were; what was on the disk is gone where the image is (C13, C21)."""
    device.write(call("write", "image.raw", erase="disk"))
    data = disk.read_bytes()
    table = gpt.decode(lambda offset, length: data[offset : offset + length], len(data))
    assert table is not None
    assert table.problems == ()
    assert OLD * 512 not in data[: 32 * MIB]
    assert filesystem(disk) == (20 * MIB, "hello\n")
    assert "32M written and read back" in call.said
    assert "backup stands at the end" in call.said
    assert data[MIB : 31 * MIB] == image.read_bytes()[MIB : 31 * MIB]


def test_partition_and_filesystem_grow(call: Calls, image: Path, disk: Path) -> None:
    """To the device's last whole MiB, checked before and after (C21)."""
    assert image.stat().st_size == 32 * MIB
    device.write(call("write", "image.raw", erase="disk", grow=True))
    assert filesystem(disk) == (58 * MIB, "hello\n")
    assert disk.stat().st_size == 64 * MIB
    subprocess.run(["sfdisk", "-q", "--verify", disk], check=True)
    assert "partition 2 has grown from 20M to 58M" in call.said
    assert "fills the partition, and was checked" in call.said


@pytest.mark.parametrize(
    ("make", "size", "options", "why"),
    [
        ("raw", 16, {}, "has 16M, and the image 32M"),
        ("bare", 64, {"grow": True}, "--grow: the image has no partitions"),
        ("raw", 64, {"format": "qcow2"}, "is not qcow2 but raw"),
        ("link", 64, {}, "is the image itself"),
    ],
)
def test_what_is_refused_leaves_every_byte(
    call: Calls, image: Path, disk: Path, make: str, size: int, options: dict[str, object], why: str
) -> None:
    """Before the first one is written: what does not fit, what cannot grow, what is no such image (C13)."""
    with disk.open("r+b") as file:
        file.truncate(size * MIB)
    if make == "bare":
        image.write_bytes(b"x" * MIB)
    target = image if make == "link" else disk
    before = target.read_bytes()
    with pytest.raises(BootsmithError, match=why):
        device.write(call("write", "image.raw", erase=target.name, **options))
    assert target.read_bytes() == before


def test_the_flag_is_the_consent(call: Calls, image: Path) -> None:
    """Without a device there is none; a recipe's is refused before anything is built (C13)."""
    assert image.exists()
    with pytest.raises(UsageError, match="write erases a disk, and only the one that is named so") as refused:
        device.write(call("write", "image.raw"))
    assert "--erase /dev/sdX" in refused.value.hint
    request = call("write")
    with pytest.raises(UsageError, match="write erases a disk"):
        device.refuse(request, request.session.builder(None).plan)
    with pytest.raises(UsageError, match="none does not exist"):
        device.check(call("write", erase="none"))


def test_an_interrupted_disk_is_told_to_be_none(
    call: Calls, image: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has no table: what is half there is not taken for the whole."""
    assert image.exists()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(device_write, "_copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        device.write(call("write", "image.raw", erase="disk"))
    assert "disk is incomplete: nothing on it can be trusted; write it again" in call.said
    assert disk.read_bytes()[:MIB] == bytes(MIB)


def test_what_ctrl_c_leaves_is_known_while_it_is_written(
    call: Calls, image: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal ends a command at once, and says what it leaves: until the last byte is read back (C13)."""
    request = call("write", "image.raw", erase="disk")
    told: list[str] = []
    read_back = device_write._read_back

    def noted(*words: Any) -> None:
        told.append(request.session.signals.half_done)
        read_back(*words)

    monkeypatch.setattr(device_write, "_read_back", noted)
    assert image.exists()
    device.write(request)
    assert told == [f"{disk} is incomplete: nothing on it can be trusted; write it again"]
    assert request.session.signals.half_done == ""


def test_no_room_for_a_file_that_stands_for_a_disk(
    call: Calls, image: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with holes may find none, and says so; it is incomplete then."""
    assert image.exists()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(BootsmithError, match=f"--erase: no space left for {disk}: .* free\n  Free some, or work on a"):
        device.write(call("write", "image.raw", erase="disk"))
    assert "disk is incomplete" in call.said


def test_other_formats_are_written_as_the_disk_they_hold(call: Calls, image: Path, disk: Path) -> None:
    """A qcow2 is unpacked on the way; without a recipe too (C13)."""
    packed = call.top / "image.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", "-f", "raw", image, packed], check=True)
    device.write(call("write", "image.qcow2", erase="disk", grow=True))
    assert filesystem(disk) == (58 * MIB, "hello\n")

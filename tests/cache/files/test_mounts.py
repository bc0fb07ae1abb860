"""Which file systems may be exchanged: told from how the kernel describes disks and mounts."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bootsmith.cache.files import mounts

DEVICES = {
    "8:0": "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
    "8:1": "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
    "8:16": "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
    "8:32": "pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sdc",
    "259:1": "pci0000:00/0000:00:01.1/nvme/nvme0/nvme0n1/nvme0n1p1",
    "7:3": "virtual/block/loop3",
    "43:0": "virtual/block/nbd0",
    "179:1": "platform/mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p1",
    "253:0": "virtual/block/dm-0",
    "253:1": "virtual/block/dm-1",
}
PARTITIONS = {"8:1", "259:1", "179:1"}
SLAVES = {"253:0": "8:1", "253:1": "7:3"}


@pytest.fixture(autouse=True)
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Pretend to have these disks; the file returned is /proc/self/mountinfo."""
    for number, place in DEVICES.items():
        folder = tmp_path / "devices" / place
        folder.mkdir(parents=True, exist_ok=True)
        if number in PARTITIONS:
            (folder / "partition").write_text("1\n")
        else:
            (folder / "removable").write_text("1\n" if number == "8:32" else "0\n")
        link = tmp_path / "dev/block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
    for number, below in SLAVES.items():
        slaves = tmp_path / "devices" / DEVICES[number] / "slaves"
        slaves.mkdir()
        (slaves / "below").symlink_to(tmp_path / "devices" / DEVICES[below])
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(b"")
    monkeypatch.setattr(mounts, "SYS", tmp_path / "dev/block")
    monkeypatch.setattr(mounts, "MOUNTS", mountinfo)
    mounts.is_exchangeable.cache_clear()
    yield mountinfo
    mounts.is_exchangeable.cache_clear()


@pytest.mark.parametrize(
    ("number", "exchangeable"),
    [
        ("8:0", False),
        ("8:1", False),
        ("259:1", False),
        ("253:0", False),
        ("8:16", True),
        ("8:32", True),
        ("7:3", True),
        ("43:0", True),
        ("179:1", True),
        ("253:1", True),
        ("8:77", False),
    ],
)
def test_a_disk_that_comes_and_goes(number: str, exchangeable: bool) -> None:
    """A loop device, a stick, a card, and what lies on one; not a disk that is built in, nor one that is not known."""
    assert mounts.is_exchangeable(os.makedev(*map(int, number.split(":")))) is exchangeable


@pytest.mark.parametrize(
    ("kind", "exchangeable"),
    [("fuse.squashfuse /images/a", True), ("fuse /dev/fuse", True), ("tmpfs tmpfs", False), ("nfs4 host:/a", False)],
)
def test_a_file_system_without_a_disk(kind: str, exchangeable: bool, kernel: Path) -> None:
    """What a program serves may be another image the next time; others make their times themselves."""
    kernel.write_text(f"30 1 0:51 / /mnt\\040x rw,relatime shared:1 master:2 - {kind} rw\n")
    assert mounts.is_exchangeable(os.makedev(0, 51)) is exchangeable


class Node(NamedTuple):
    """What a folder, or the node of a device, is said to be."""

    st_dev: int = 0
    st_rdev: int = 0


def seen(patch: pytest.MonkeyPatch, places: Mapping[bytes, Node]) -> None:
    """Let these paths, as bytes, be what is said of them."""
    really = os.stat

    def stat(path: Any, **words: Any) -> Any:
        return places[path] if isinstance(path, bytes) and path in places else really(path, **words)

    patch.setattr(os, "stat", stat)


def device(number: str) -> int:
    return os.makedev(*map(int, number.split(":")))


@pytest.mark.parametrize(("number", "exchangeable"), [("8:1", False), ("253:0", False), ("7:3", True), ("8:32", True)])
@pytest.mark.parametrize("volume", ["0:51", "0:99"])
def test_a_volume_of_btrfs(
    number: str, exchangeable: bool, volume: str, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each subvolume has a number that neither disk nor mount has: what all volumes lie on tells."""
    kernel.write_text("30 1 0:51 / /mnt rw - btrfs /dev/x rw,subvol=/\n31 1 0:7 / /x rw - tmpfs tmpfs rw\n")
    seen(monkeypatch, {b"/dev/x": Node(st_rdev=device(number)), b"tmpfs": Node()})
    assert mounts.is_exchangeable(device(volume)) is exchangeable


@pytest.mark.parametrize(
    ("layers", "exchangeable"),
    [
        ("lowerdir=/fixed:/fixed/b,upperdir=/fixed/u,workdir=/loop/w", False),
        ("lowerdir=/fixed:/loop,upperdir=/fixed/u", True),
        ("lowerdir+=/fixed,lowerdir+=/loop/a", True),
        ("lowerdir=/fixed::/loop,upperdir=/fixed/u", True),
        ("lowerdir=/fixed,upperdir=/loop/u", True),
        ("lowerdir=/not/seen/here,upperdir=/fixed/u", True),
        ("lowerdir=relative,upperdir=/fixed/u", True),
        ("lowerdir=/fixed\\134:x", True),
        ("lowerdir=/sp\\040ace", False),
    ],
)
@pytest.mark.parametrize("volume", ["0:51", "0:99"])
def test_an_overlay(
    layers: str, exchangeable: bool, volume: str, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what its layers lie on; a layer that is not to be seen, as in a container, may lie on anything."""
    kernel.write_text(f"30 1 0:51 / / rw - overlay overlay rw,{layers},xino=off\n")
    fixed, loop = Node(device("8:1")), Node(device("7:3"))
    places = dict.fromkeys((b"/fixed", b"/fixed/b", b"/fixed/u", b"/sp ace"), fixed)
    seen(monkeypatch, places | dict.fromkeys((b"/loop", b"/loop/a", b"/loop/u", b"/loop/w"), loop))
    assert mounts.is_exchangeable(device(volume)) is exchangeable


def test_every_mount_has_an_id_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same each time it is asked for, of two mounts never the same; none where the kernel is too old to tell."""
    monkeypatch.setattr(mounts, "MOUNTS", Path("/proc/self/mountinfo"))
    proc, dev = (mounts.mounts(os.stat(place).st_dev) for place in ("/proc", "/dev"))  # noqa: PTH116
    version = tuple(map(int, platform.release().split(".")[:2]))
    assert bool(proc) is bool(dev) is (version >= (6, 8))
    assert not proc & dev
    assert proc == mounts.mounts(os.stat("/proc").st_dev)  # noqa: PTH116
    assert mounts.mounts(os.makedev(0, 0)) == frozenset()

"""Which file systems may be exchanged for others while the host runs, and which mounts show that they were not.

An image that pins its times, unmounted, replaced by another and mounted again, has the same inodes with the same times
under the same device number, and other contents.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SYS = Path("/sys/dev/block")
MOUNTS = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)

_PASSING = re.compile(r"(loop|nbd|sr|fd|mmcblk|ram|zram)\d")
"""Disks that come and go, by their names; others say it of themselves, or lie behind USB."""
_PARTED = {b"btrfs", b"overlay", b"bcachefs"}
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_UNIQUE = 0x4000  # STATX_MNT_ID_UNIQUE, since Linux 6.8: an id that no later mount gets
_CWD = -100
_NO_FOLLOW = 0x100
_STATX = struct.Struct("=I132xIIQ104x")  # of struct statx: mask, device's major and minor, id of the mount


@cache
def is_exchangeable(device: int) -> bool:
    """Tell whether another file system may come under a device number before the host restarts, as far as is known."""
    disk = f"{os.major(device)}:{os.minor(device)}"
    if (SYS / disk).exists():
        return _passes(SYS / disk)
    there = _mounts()
    its_own = [mount for mount in there if mount[2] == disk.encode()]
    # A number that no mount has is of a part of some file system: a subvolume, a lower layer.
    return any(map(_is_of_passing, its_own or filter(_has_parts, there)))


def _is_of_passing(mount: list[bytes]) -> bool:
    """Tell whether what is mounted there may be exchanged, or cannot be told not to."""
    kind, source, options = mount[mount.index(b"-") + 1 :][:3]
    if kind == b"overlay":
        return any(map(_is_on_passing, _layers(options)))
    return kind.startswith(b"fuse") or _is_passing(_unescaped(source))


def _has_parts(mount: list[bytes]) -> bool:
    """Tell whether a file system has files of other device numbers than its own."""
    return mount[mount.index(b"-") + 1] in _PARTED


def _layers(options: bytes) -> Iterator[bytes]:
    """Yield the folders that an overlay is made of, as whoever mounted it saw them."""
    for option in options.split(b","):
        name, _, value = _unescaped(option).partition(b"=")
        if name.rstrip(b"+") in (b"lowerdir", b"upperdir", b"datadir"):
            yield from filter(None, value.split(b":"))


def _is_on_passing(folder: bytes) -> bool:
    """Tell of a layer; one that is not to be seen here, as from within a container, may lie on anything."""
    try:
        return not folder.startswith(b"/") or is_exchangeable(os.stat(folder).st_dev)  # noqa: PTH116  bytes
    except OSError:
        return True


def mounts(device: int) -> frozenset[int]:
    """Return ids of the mounts of a device that this process sees: no two mounts ever have the same.

    While one of them is there the file system is the same. None where the kernel, or the C library, tells no such ids.
    """
    import ctypes

    found: set[int] = set()
    try:
        statx = ctypes.CDLL(None).statx
    except AttributeError:
        return frozenset(found)
    disk = f"{os.major(device)}:{os.minor(device)}".encode()
    for mount in _mounts():
        if mount[2] == disk or _has_parts(mount):
            said = ctypes.create_string_buffer(_STATX.size)
            if statx(_CWD, _unescaped(mount[4]), _NO_FOLLOW, _UNIQUE, said) == 0:
                mask, *place, mount_id = _STATX.unpack(said.raw)
                if mask & _UNIQUE and os.makedev(*place) == device:  # else another mount lies over it
                    found.add(mount_id)
    return frozenset(found)


def _mounts() -> list[list[bytes]]:
    try:
        return [line.split(b" ") for line in MOUNTS.read_bytes().splitlines()]
    except OSError:
        return []


def _unescaped(field: bytes) -> bytes:
    return _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), field)


def _is_passing(source: bytes) -> bool:
    """Tell of what a mount says it is of, a device or anything else."""
    try:
        device = os.stat(source).st_rdev  # noqa: PTH116  bytes
    except (OSError, ValueError):
        return False
    return _passes(SYS / f"{os.major(device)}:{os.minor(device)}")


def _passes(disk: Path) -> bool:
    """Tell of a disk or partition, or what lies on some, as the kernel describes it."""
    place = disk.resolve()
    whole = place.parent if (place / "partition").exists() else place
    try:
        removable = (whole / "removable").read_text().strip() == "1"
    except OSError:
        removable = False
    below = sorted((whole / "slaves").glob("*"))
    return removable or bool(_PASSING.match(whole.name)) or "/usb" in str(place) or any(map(_passes, below))

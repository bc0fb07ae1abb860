"""What an image may be written to: a disk that nobody uses, or a file that stands for one. It is only looked at here.

A disk is used where it, a partition of it, or what is made of either (LVM, md, a mapping) is mounted, is swap, or is
part of something else. The kernel says so in sysfs and procfs, and as the last word refuses to open it for one alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.cache.files.lock import is_used
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import BootsmithError, UsageError

_UNUSED: Final = "Unmount it, and end what uses it; or name another device: `lsblk` lists them."


@dataclass(frozen=True, slots=True)
class Target:
    """A disk, or a file as one: its size and the bytes of its sectors; `block` where it is a device."""

    path: Path
    size: int
    sector: int
    block: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where the kernel tells of disks."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    def device(self, number: str) -> Path:
        """Return the folder of a block device: `number` is as 8:0."""
        return Path(os.path.realpath(self.sys / "dev/block" / number))


KERNEL: Final = Kernel()


def look(named: Path, image: Path | None, kernel: Kernel = KERNEL) -> Target:
    """Return what an image is to be written to. Raises UsageError where none can be, BootsmithError where it is used.

    Links are followed, as those below /dev/disk are; nothing is opened for writing.
    """
    try:
        path = named.resolve(strict=True)
        found = path.stat()
    except FileNotFoundError:
        hint = "Name a disk, such as /dev/sdb; or a file that stands for one: `truncate -s 8G FILE` makes one."
        raise UsageError(f"--erase: {shown(named)} does not exist", hint) from None
    except OSError as error:
        raise UsageError(f"--erase: {shown(named)}: {error.strerror}", "Name a disk, or a file.") from error
    if image is not None and os.path.samestat(found, image.stat()):
        raise UsageError(f"--erase: {shown(named)} is the image itself", "Name another device, or another file.")
    if stat.S_ISREG(found.st_mode):
        why = _use_of_file(path, kernel)
        if why:
            raise BootsmithError(f"{shown(named)} is in use: {why}", _UNUSED)
        return Target(path, found.st_size, 512, block=False)
    if not stat.S_ISBLK(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "neither a disk nor a file"
        raise UsageError(f"--erase: {shown(named)} is {kind}", "Name a disk, such as /dev/sdb, or a file.")
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    why = use(number, kernel)
    if why:
        raise BootsmithError(f"{shown(named)} is in use: {why}", _UNUSED)
    folder = kernel.device(number)
    if _text(folder / "ro") == "1":
        raise BootsmithError(f"{shown(named)} can only be read", "Is it locked by a switch, or by `blockdev --setro`?")
    queue = folder if (folder / "queue").is_dir() else folder.parent
    sector = int(_text(queue / "queue/logical_block_size") or 512)
    return Target(path, 512 * int(_text(folder / "size") or 0), sector, block=True)


def is_partition(target: Target, kernel: Kernel = KERNEL) -> bool:
    """Tell whether a target is a partition of a disk."""
    if not target.block:
        return False
    number = target.path.stat().st_rdev
    return (kernel.device(f"{os.major(number)}:{os.minor(number)}") / "partition").exists()


def use(number: str, kernel: Kernel = KERNEL) -> str | None:
    """Return what a block device, as 8:0, is used for, in words; None where nobody uses it."""
    return next(_uses(kernel.device(number), kernel), None)


def _uses(folder: Path, kernel: Kernel) -> Iterator[str]:
    mounts, swaps = _mounts(kernel), _swaps(kernel)
    for each in [folder, *sorted(child for child in _children(folder) if (child / "partition").exists())]:
        number, name = _text(each / "dev"), each.name
        for device, source, place in mounts:
            if device == number or _name(source) == name:
                yield f"{name} holds this host's root" if place == "/" else f"{name} is mounted at {shown(place)}"
        if name in swaps:
            yield f"{name} is swap"
        for holder in _children(each / "holders"):
            above = next(_uses(Path(os.path.realpath(holder)), kernel), None)
            what = _text(holder / "dm/name") or holder.name
            yield f"{name} is part of {shown(what)}" + (f"; {above}" if above else "")


def _use_of_file(path: Path, kernel: Kernel) -> str | None:
    for loop in _children(kernel.sys / "block"):
        if _text(loop / "loop/backing_file") == str(path):
            return f"it is what {loop.name} is made of"
    return "it is swap" if str(path) in _swap_files(kernel) else None


def _mounts(kernel: Kernel) -> list[tuple[str, str, str]]:
    """Return of every mount the device's number, what was mounted, and where (proc(5))."""
    found = []
    for line in _text(kernel.proc / "self/mountinfo").splitlines():
        fields = line.split(" ")
        if "-" in fields[6:]:
            found.append((fields[2], _plain(fields[fields.index("-", 6) + 2]), _plain(fields[4])))
    return found


def _swap_files(kernel: Kernel) -> list[str]:
    return [_plain(line.split()[0]) for line in _text(kernel.proc / "swaps").splitlines()[1:] if line.strip()]


def _swaps(kernel: Kernel) -> set[str]:
    return {_name(each) for each in _swap_files(kernel)}


def _name(device: str) -> str:
    """Return what the kernel calls a device's file, links followed; nothing of what is none."""
    return Path(os.path.realpath(device)).name if device.startswith("/dev/") else ""


def _plain(field: str) -> str:
    """Return a field without the octal that stands for blanks."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="surrogateescape").rstrip("\n")
    except OSError:
        return ""


def open_alone(target: Target) -> int:
    """Open a target for writing, as the only one who does. Raises BootsmithError, before anything is written."""
    try:
        descriptor = os.open(target.path, os.O_RDWR | os.O_CLOEXEC | (os.O_EXCL if target.block else 0))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise BootsmithError(f"{target.path} is in use, by what only the kernel knows", _UNUSED) from error
        denied = error.errno in (errno.EACCES, errno.EPERM)
        hint = "It takes who may write to that device: root, mostly." if denied else ""
        raise BootsmithError(f"{target.path} cannot be written: {error.strerror}", hint) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # udev leaves alone what is locked so
        if is_used(descriptor):  # by QEMU, say
            raise BlockingIOError
    except OSError as error:
        os.close(descriptor)
        raise BootsmithError(f"{target.path} is in use: somebody holds a lock on it", _UNUSED) from error
    return descriptor


def check_room(target: Target, size: int, *, table: bool, sector: int = 512) -> None:
    """Refuse a target that an image of `size` bytes does not fit, or where it would not be found. Raises UsageError.

    Its `table` counts sectors of so many bytes. A file has none of its own.
    """
    if target.size < size:
        has, needs = human(target.size), human(size)
        if has == needs:
            has, needs = f"{target.size} bytes", f"{size}"
        what = f"--erase: {target.path} has {has}, and the image {needs}"
        raise UsageError(what, "Name a larger one, or make the image smaller: disk.size.")
    if table and target.block and target.sector != sector:
        what = f"--erase: {target.path} has sectors of {target.sector} bytes, and the image's table counts {sector}"
        raise UsageError(what, "No firmware would find its partitions there: name another device.")
    if table and is_partition(target):
        what = f"--erase: {target.path} is a partition, and the image a whole disk"
        raise UsageError(what, "Name the disk itself.")

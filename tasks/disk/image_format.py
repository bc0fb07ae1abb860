"""A disk image file as QEMU will meet it: its format by magic, whether it points at other files, its lock."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.disk import qcow2
from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.tree import file_kinds

SECTOR = 512
_MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (0, qcow2.MAGIC, "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"conectix", "vpc"),  # dynamic; a fixed one has it in the last sector only
)
_CD = 16 * 2048 + 1  # ECMA-119: the first volume descriptor's identifier
_OTHER_NAMES = {"vhd": "vpc"}
NAMES = {"vpc": "vhd"}
"""What people call a format that QEMU calls otherwise."""
FORMATS = ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso")
"""The formats that a user can name."""
_CONVERT = "Convert it where you trust it: qemu-img convert."
_TEXT = b"# Disk DescriptorFile"
_NOT_DISKS: tuple[tuple[bytes, str], ...] = (
    (b"QED\0", "a QED image"),
    (b"QFI\xfb\0\0\0\1", "a qcow image of the first version"),
    (b"COWD", "a VMDK of ESX's old kind"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
    (b"Bochs Virtual HD Image", "a Bochs image"),
)
_APPLE = b"koly"
"""What the last sector of a disk image of Apple's begins with."""
_UNLOCK = "Give its passphrase: --passphrase file:PATH or --passphrase env:NAME."
_CLEAR, _LUKS = 0, 2  # qcow2's crypt_method
_FLAT_EXTENT = re.compile(rb'^RW +[0-9]+ +FLAT +"([^"\n]+)"', re.MULTILINE)
_VMDK_TEXT = 20 * SECTOR  # as much of the text inside as QEMU reads
_DIFFERENCING = 4  # a VHD's kind, of one that another is below
_DATA_FILE = 1 << 2  # incompatible feature bit of the qcow2 specification: guest data is in another file


class Encrypted(BootsmithError):
    """An image is encrypted, and nothing opens it."""


def identify(path: Path, given: str | None = None, *, opens: bool = False, follow: bool = False) -> str:
    """Return the format of a disk image that is whole; see `recognise`. "raw" where `given` says so.

    Raises BootsmithError besides for what is not in the format `given`, or is cut off.
    """
    given = _OTHER_NAMES.get(given or "", given)
    found = recognise(path, raw=given == "raw", opens=opens, follow=follow)
    if given not in (None, found):
        raise BootsmithError(
            f"{shown(path)} is not {NAMES.get(given, given)} but {NAMES.get(found, found)}",
            f"Leave out the format, or say {NAMES.get(found, found)}.",
        )
    if found == "qcow2":
        qcow2.check_whole(path)
    return found


def recognise(path: Path, *, raw: bool = False, opens: bool = False, follow: bool = False) -> str:
    """Return the format of a disk image, as QEMU names it, or "iso"; "raw" where no magic is known, or on demand.

    `opens` says that there is a passphrase for it, `follow` that other files it refers to are to be read. Raises
    InputMissing, and BootsmithError for what is no disk, is encrypted where nothing opens it, or the reverse, or refers
    to another file: QEMU would open whatever file of this host the image names.
    """
    found, encrypted = _by_magic(path, raw=raw, opens=opens, follow=follow)
    if opens and not encrypted:
        raise BootsmithError(f"{shown(path)} is not encrypted, and needs no passphrase", "Leave the passphrase out.")
    return found


def _by_magic(path: Path, *, raw: bool, opens: bool, follow: bool) -> tuple[str, bool]:
    """Return a format, and whether the content is encrypted."""
    head, is_cd, tail = _ends(path)
    if raw:
        return "raw", False
    if head.startswith(_TEXT):
        return _by_text(path, head, follow=follow), False
    _refuse_others(path, head, tail, is_cd=is_cd)
    for offset, magic, name in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            encrypted = _is_encrypted(path, name, head, opens=opens)
            if not follow:
                _refuse_references(path, name, head)
            return name, encrypted
    return "iso" if is_cd else "vpc" if tail.startswith(b"conectix") else "raw", False


def _ends(path: Path) -> tuple[bytes, bool, bytes]:
    """Return how a file begins, whether it is a CD, and its last sector."""
    try:
        with path.open("rb") as file:
            head = file.read(file_kinds.HEAD).ljust(SECTOR, b"\0")
            file.seek(_CD)
            is_cd = file.read(5) == b"CD001"
            file.seek(0, 2)
            if file.tell() >= SECTOR:
                file.seek(-SECTOR, 2)
            return head, is_cd, file.read(SECTOR)
    except FileNotFoundError:
        raise InputMissing(f"{shown(path)} does not exist", "Name a disk image, or a recipe to build one.") from None
    except OSError as error:
        raise BootsmithError(f"{shown(path)} cannot be read: {error.strerror}") from error


def _refuse_others(path: Path, head: bytes, tail: bytes, *, is_cd: bool) -> None:
    for magic, what in _NOT_DISKS:
        if head.startswith(magic):
            raise BootsmithError(f"{shown(path)} is {what}, which is not read here", _CONVERT)
    if tail.startswith(_APPLE):
        raise BootsmithError(f"{shown(path)} is a disk image of Apple's, which is not read here", _CONVERT)
    kind = file_kinds.identify(head)
    if kind and kind.is_a != "disk" and not is_cd:
        raise BootsmithError(f"{shown(path)} is no disk image: it is {kind.what}", kind.to_do)


def _by_text(path: Path, head: bytes, *, follow: bool) -> str:
    """Return the format of a text that says which files a VMDK is made of. Raises BootsmithError, unless `follow`."""
    if follow:
        return "vmdk"
    extents = [shown(name) for name in _FLAT_EXTENT.findall(head)]
    hint = f"The disk is {extents[0]}: name that file, which is raw." if len(extents) == 1 else _CONVERT
    raise BootsmithError(f"{shown(path)} is the text part of a VMDK, the disk is in other files", hint)


def _is_encrypted(path: Path, name: str, head: bytes, *, opens: bool) -> bool:
    method = int.from_bytes(head[32:36], "big") if name == "qcow2" else _CLEAR
    if method not in (_CLEAR, _LUKS):
        raise BootsmithError(
            f"{shown(path)} is encrypted in the old way (AES-CBC), which QEMU runs no more",
            "Convert it, with encrypt.format=luks: see docs/how-to/qcow2.md.",
        )
    if method == _LUKS and not opens:
        raise Encrypted(f"{shown(path)} is encrypted", _UNLOCK)
    return method == _LUKS


def _refuse_references(path: Path, name: str, head: bytes) -> None:
    refers_to = ""
    if name == "qcow2":
        version, backing = struct.unpack_from(">IQ", head, 4)
        features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
        if backing:
            length = struct.unpack_from(">I", head, 16)[0]
            named = shown(head[backing : backing + length])
            refers_to = f"a backing file{f' ({named})' if named else ''}"
        elif features & _DATA_FILE:
            refers_to = "an external data file"
    elif name == "vmdk" and not any(head[12:20]):  # no capacity: the descriptor inside lists the files
        refers_to = "extents in other files"
    elif name in ("vmdk", "vpc") and _has_parent(path, name, head):
        refers_to = "a parent"
    if refers_to:
        raise BootsmithError(
            f"{shown(path)} refers to {refers_to}, which QEMU would open for the guest to read",
            "Flatten it where you trust it: qemu-img convert -O qcow2 IN OUT.",
        )


def _has_parent(path: Path, name: str, head: bytes) -> bool:
    """Tell whether a VHD, or the text inside a VMDK, names another that it differs from."""
    if name == "vpc":
        return struct.unpack_from(">I", head, 60) == (_DIFFERENCING,)
    at = struct.unpack_from("<Q", head, 28)[0] * SECTOR
    with path.open("rb") as file:
        file.seek(min(at, path.stat().st_size))
        text = file.read(_VMDK_TEXT).partition(b"\0")[0]
    return b"parentFileNameHint" in text or re.search(rb"parentCID=(?!f{8}\b)", text) is not None


@contextlib.contextmanager
def in_use(disk: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a shared lock on the image, so that no build changes it under the guest."""
    lock = FileLock(disk, create=False)
    lock.acquire(shared=True, waiting=lambda who: say(f"waiting for {who}, which writes {shown(disk)}"))
    try:
        yield
    finally:
        lock.release()

"""What a file is that was named for something else, by its first bytes; and what boots it, or is to be done first."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.tasks.errors import StageError

HEAD: Final = 4096
"""How many bytes tell."""
_RUN_DISK: Final = "`doit run-uefi FILE` or `doit run-bios FILE` boots it."
_RUN_TAR: Final = "`doit run-tgz FILE` boots the tree in it."
_RUN_INITRD: Final = "As an initrd it is started with its kernel: `doit run-direct KERNEL --initrd FILE`."
_UNPACK: Final = "Unpack it first: {}. A tar of a tree is booted as it is, by `doit run-tgz FILE`."


class FileKind(NamedTuple):
    """`is_a` "tar", "disk", "kernel", "packed" or "" for anything else; what it is, and what to do, in words."""

    is_a: str
    what: str
    to_do: str


_KINDS: Final = (
    (0, b"\x1f\x8b", FileKind("packed", "compressed with gzip", _UNPACK.format("gunzip FILE"))),
    (0, b"\xfd7zXZ\0", FileKind("packed", "compressed with xz", _UNPACK.format("unxz FILE"))),
    (0, b"\x28\xb5\x2f\xfd", FileKind("packed", "compressed with zstd", _UNPACK.format("unzstd FILE"))),
    (0, b"\x04\x22\x4d\x18", FileKind("", "compressed with lz4", "Unpack it first: unlz4 FILE.")),
    (0, b"\x02\x21\x4c\x18", FileKind("", "compressed with lz4", "Unpack it first: unlz4 FILE.")),
    (0, b"BZh", FileKind("", "compressed with bzip2", "Unpack it first: bunzip2 FILE.")),
    (0, b"PK\3\4", FileKind("", "a zip archive", "Unpack it first: unzip FILE.")),
    (257, b"ustar", FileKind("tar", "a tar", _RUN_TAR)),
    (0, b"07070", FileKind("", "a cpio archive", _RUN_INITRD)),
    (0, b"QFI\xfb", FileKind("disk", "a disk image, qcow2", _RUN_DISK)),
    (0, b"KDMV", FileKind("disk", "a disk image, VMDK", _RUN_DISK)),
    (0, b"vhdxfile", FileKind("disk", "a disk image, VHDX", _RUN_DISK)),
    (0, b"conectix", FileKind("disk", "a disk image, VHD", _RUN_DISK)),
    (0x40, b"\x7f\x10\xda\xbe", FileKind("disk", "a disk image, VDI", _RUN_DISK)),
    (0, b"hsqs", FileKind("", "a squashfs", "Unpack it first: unsquashfs FILE.")),
    (0x202, b"HdrS", FileKind("kernel", "a Linux kernel", "`doit run-direct FILE` starts it.")),
    (0, b"\x7fELF", FileKind("kernel", "an ELF program", "If it is a kernel, `doit run-direct FILE` starts it.")),
    (510, b"\x55\xaa", FileKind("disk", "a disk", _RUN_DISK)),
)  # fmt: skip


def identify(head: bytes) -> FileKind | None:
    """Return what begins so; None where nothing tells."""
    return next((kind for offset, magic, kind in _KINDS if head[offset : offset + len(magic)] == magic), None)


def of(file: Path) -> FileKind | None:
    """Return what a file is, as far as it can be read."""
    try:
        with file.open("rb") as opened:
            return identify(opened.read(HEAD))
    except OSError:
        return None


def check_tar(file: Path) -> None:
    """Refuse to take a file for a tar that is known to be something else. Raises StageError."""
    kind = of(file)
    if kind and kind.is_a not in ("tar", "packed"):
        raise StageError(f"{file} is no tar: it is {kind.what}", kind.to_do)

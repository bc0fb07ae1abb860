"""A kernel is known by its content before QEMU is started."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.machine import kernel_file

from tests.support.kernel_files import bzimage, cpio, elf, multiboot


def pvh() -> bytes:
    """Return a kernel with the note of one that says where it begins."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen", 0x100000)
    return elf(bits=64, note=struct.pack("<III4sI", 4, 4, 1, b"GNU", 0) + note)


@pytest.mark.parametrize("content", [bzimage(), multiboot(), pvh()])
def test_what_qemu_starts(tmp_path: Path, content: bytes) -> None:
    """A bzImage and ELF files that say where they begin are taken, whatever they are called (W7)."""
    (tmp_path / "anything").write_bytes(content)
    kernel_file.check(tmp_path / "anything")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08", r"is packed by gzip.*\n  Unpack it"),
        (b"\xfd7zXZ\0", "is packed by xz"),
        (b"\x28\xb5\x2f\xfd", "is packed by zstd"),
        (bytes(4096), "is no Linux: what is needed is a bzImage"),
        (b"", "is no Linux"),
        (bzimage()[:-1], "is cut short"),
        (multiboot()[:-1], "is cut short"),
        (pvh()[:-1], "is cut short"),
        (elf(bits=64), "without a Multiboot header or the note of a PVH kernel"),
    ],
)
def test_what_it_does_not(tmp_path: Path, content: bytes, said: str) -> None:
    """Anything else is refused by what it is, with what to do (W7)."""
    (tmp_path / "vmlinuz").write_bytes(content)
    with pytest.raises(BootsmithError, match=said):
        kernel_file.check(tmp_path / "vmlinuz")


def test_an_initrd_is_for_a_linux(tmp_path: Path) -> None:
    """Half a one is refused, unless the kernel is none that unpacks it."""
    initrd, kernel = tmp_path / "i", tmp_path / "k"
    initrd.write_bytes(gzip.compress(cpio())[:-10])
    kernel.write_bytes(bzimage())
    with pytest.raises(BootsmithError, match=r"i cannot be the initrd: it is damaged.*gzip: it is cut short"):
        kernel_file.check_initrd(initrd, kernel)
    kernel.write_bytes(multiboot())
    kernel_file.check_initrd(initrd, kernel)


def test_a_missing_kernel_is_named(tmp_path: Path) -> None:
    """A kernel that is not there is an error naming it."""
    with pytest.raises(InputMissing, match="gone does not exist"):
        kernel_file.check(tmp_path / "gone")

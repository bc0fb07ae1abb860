"""A kernel is known by its content before QEMU is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.machine import kernel_file

BZIMAGE = bytes(0x1FE) + b"\x55\xaa\0\0HdrS" + bytes(600)


@pytest.mark.parametrize("content", [BZIMAGE, b"\x7fELF\x01" + bytes(100)])
def test_what_qemu_starts(tmp_path: Path, content: bytes) -> None:
    """A bzImage and an ELF file are taken, whatever they are called (W7)."""
    (tmp_path / "anything").write_bytes(content)
    kernel_file.check(tmp_path / "anything")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08", r"is packed by gzip.*\n  Unpack it"),
        (b"\xfd7zXZ\0", "is packed by xz"),
        (b"\x28\xb5\x2f\xfd", "is packed by zstd"),
        (bytes(4096), "no bzImage and no ELF"),
        (b"", "no bzImage and no ELF"),
    ],
)
def test_what_it_does_not(tmp_path: Path, content: bytes, said: str) -> None:
    """Anything else is refused by what it is, with what to do (W7)."""
    (tmp_path / "vmlinuz").write_bytes(content)
    with pytest.raises(BootsmithError, match=said):
        kernel_file.check(tmp_path / "vmlinuz")


def test_a_missing_kernel_is_named(tmp_path: Path) -> None:
    """A kernel that is not there is an error naming it."""
    with pytest.raises(InputMissing, match="gone does not exist"):
        kernel_file.check(tmp_path / "gone")

"""Filesystems told from their first bytes, those that are read here and those that are only named."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk.superblock import Filesystem, probe, probe_any

UUID = "01234567-89ab-cdef-0123-456789abcdef"
RAW = bytes.fromhex(UUID.replace("-", ""))


def told(image: Path) -> Filesystem | None:
    data = image.read_bytes()
    return probe_any(lambda offset, length: data[offset : offset + length])


def test_swap_and_squashfs_are_named(tmp_path: Path) -> None:
    """As their own programs make them."""
    swap = tmp_path / "swap"
    swap.write_bytes(bytes(1 << 20))
    swap.chmod(0o600)
    subprocess.run(["mkswap", "-L", "pages", "-U", UUID, swap], check=True, capture_output=True)
    assert told(swap) == Filesystem("swap", "pages", UUID, 1 << 20, None)
    squash = shutil.which("mksquashfs")
    if squash:  # else its magic alone, below
        (tmp_path / "top").mkdir()
        subprocess.run([squash, tmp_path / "top", tmp_path / "squash", "-quiet"], check=True, capture_output=True)
        found = told(tmp_path / "squash")
        assert found is not None
        assert found.kind == "squashfs"


def at(offset: int, data: bytes, size: int = 8192) -> bytes:
    return data.rjust(offset + len(data), b"\0").ljust(size, b"\0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (at(0, b"XFSB" + struct.pack(">IQ", 4096, 1000) + bytes(16) + RAW + bytes(60) + b"data".ljust(12, b"\0")),
         Filesystem("xfs", "data", UUID, 4096 * 1000, None)),
        (at(0, b"hsqs".ljust(40, b"\0") + struct.pack("<Q", 5000)), Filesystem("squashfs", "", "", 5000, None)),
        (at(0, b"LUKS\xba\xbe\0\2".ljust(24, b"\0") + b"vault".ljust(144, b"\0") + UUID.encode()),
         Filesystem("LUKS2", "vault", UUID, 0, None)),
        (at(0, b"LUKS\xba\xbe\0\1".ljust(168, b"\0") + UUID.encode()), Filesystem("LUKS1", "", UUID, 0, None)),
        (at(512, b"LABELONE"), Filesystem("lvm", "", "", 0, None)),
        (at(1024, b"\xe2\xe1\xf5\xe0".ljust(12, b"\0") + b"\x0c".ljust(24, b"\0") + struct.pack("<III", 5, 0, 0)
            + RAW + b"root"), Filesystem("erofs", "root", UUID, 5 * 4096, None)),
        (at(0x10020, RAW + bytes(16) + b"_BHRfS_M" + bytes(40) + struct.pack("<QQ", 1000, 300) + bytes(171) + b"tree",
            0x11000), Filesystem("btrfs", "tree", UUID, 1000, 700)),
        (bytes(8192), None),
        (b"", None),
        (b"\xff" * 8192, None),
    ],
    ids=["xfs", "squashfs", "LUKS2", "LUKS1", "lvm", "erofs", "btrfs", "zeros", "nothing", "ones"],
)  # fmt: skip
def test_what_is_not_read_here_is_named_by_its_magic(data: bytes, expected: Filesystem | None) -> None:
    """So that inspect says what a partition holds; a whole disk is not taken for one of these by a stray word."""

    def read(offset: int, length: int) -> bytes:
        return data[offset : offset + length]

    assert probe_any(read) == expected
    assert probe(read) is None


def test_what_root_alone_may_fill_is_told(tmp_path: Path) -> None:
    """Blocks that are reserved are free, but not available (C2)."""
    image = tmp_path / "fs"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "10", image], check=True, capture_output=True
    )
    found = told(image)
    assert found is not None
    assert found.free is not None
    assert found.reserved == (16 << 20) // 10 // 4096 * 4096
    assert found.available == found.free - found.reserved

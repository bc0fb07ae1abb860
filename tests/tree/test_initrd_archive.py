"""An initrd, read through as Linux reads it. W4, W7."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.tree import initrd_archive

from tests.support.kernel_files import cpio

ARCHIVE = cpio({"init": b"#!/bin/sh\n", "data": random.Random(1).randbytes(5000), "more": b"x" * 100000})
MICROCODE = cpio({"kernel/x86/microcode/GenuineIntel.bin": bytes(2048)}) + bytes(512)
Pack = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def xz(data: bytes, check: int = lzma.CHECK_CRC32) -> bytes:
    return lzma.compress(data, lzma.FORMAT_XZ, check)


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


def lz4(data: bytes) -> bytes:
    """Return data as lz4's older form has it, in one block of literals that repeats nothing."""
    more = len(data) - 15
    block = b"\xf0" + b"\xff" * (more // 255) + bytes([more % 255]) + data
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block


PACKS = [bytes, gzip.compress, zstd, xz, lzma_alone, bz2.compress, lz4]


def refused(folder: Path, data: bytes) -> str | None:
    """Return why an initrd of these bytes is refused."""
    (folder / "initrd").write_bytes(data)
    return initrd_archive.refusal(folder / "initrd")


@pytest.mark.parametrize("pack", PACKS)
def test_a_whole_one_is_taken(pack: Pack, tmp_path: Path) -> None:
    """Plain or packed, alone or behind microcode, with zeros behind it as loaders pad it."""
    assert refused(tmp_path, pack(ARCHIVE)) is None
    assert refused(tmp_path, MICROCODE + pack(ARCHIVE)) is None
    assert refused(tmp_path, MICROCODE + pack(ARCHIVE) + bytes(3)) is None


@pytest.mark.parametrize("where", [b"", MICROCODE], ids=["alone", "behind microcode"])
@pytest.mark.parametrize("pack", PACKS)
def test_one_cut_short_is_refused(pack: Pack, where: bytes, tmp_path: Path) -> None:
    """Linux would unpack its first half, and find no program in it: wherever it was cut."""
    whole = pack(ARCHIVE)
    for length in (len(whole) // 4, len(whole) // 2, len(whole) - 1 if pack is not bytes else len(whole) - 4):
        assert "cut short" in (refused(tmp_path, where + whole[:length]) or "")


@pytest.mark.parametrize("pack", PACKS)
def test_what_is_packed_must_be_an_archive(pack: Pack, tmp_path: Path) -> None:
    """A text that gzip packed begins like an initrd, and is none."""
    assert "no cpio archive" in (refused(tmp_path, pack(b"It is a text.\n" * 20)) or "")


@pytest.mark.parametrize("pack", [gzip.compress, zstd, xz])
def test_one_without_an_end_is_cut_short(pack: Pack, tmp_path: Path) -> None:
    """What a packer that was killed has packed may be whole, and the archive in it not."""
    assert "the cpio archive is cut short" in (refused(tmp_path, pack(cpio(trailer=False))) or "")


def test_several_archives_are_one_initrd(tmp_path: Path) -> None:
    """One behind the other, each packed as it likes, or packed together."""
    assert refused(tmp_path, gzip.compress(ARCHIVE) + zstd(ARCHIVE)) is None
    assert refused(tmp_path, gzip.compress(ARCHIVE + bytes(100) + ARCHIVE)) is None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"text", "is no cpio archive, nor packed by anything Linux unpacks"),
        (b"070707" + bytes(100), "is a cpio archive of the old form, and Linux takes the new one: cpio -H newc"),
        (b"070701 as if it were one", "the cpio archive is cut short"),
        (b"070701" + b"g" * 200, "no cpio archive begins at byte 0"),
        (cpio().replace(b"070701", b"070701" + b"\0" * 4, 1), "no cpio archive begins at byte 0"),
        (cpio()[:94] + b"0000FFFF" + cpio()[102:], "the name at byte 0 would have 65535 bytes"),
        (cpio()[:94] + b"00000000" + cpio()[102:], "the name at byte 0 would have 0 bytes"),
        (cpio()[:54] + b"FFFFFFFF" + cpio()[62:], "the cpio archive is cut short"),
        (cpio({"a": b"b" * 4})[:116] + b"junk" * 40, "no member of the cpio archive is at byte 116"),
        (MICROCODE + b"junk", "no cpio archive begins at byte 2832"),
        (b"\0" * 4 + gzip.compress(ARCHIVE), "is no cpio archive, nor packed by anything Linux unpacks"),
        (gzip.compress(ARCHIVE)[:200] + bytes(8) + gzip.compress(ARCHIVE)[208:], "gzip: "),
        (zstd(ARCHIVE)[:200] + bytes(8) + zstd(ARCHIVE)[208:], "zstd: "),
        (xz(ARCHIVE, lzma.CHECK_CRC64), "xz: Linux knows no checksum but crc32: xz --check=crc32"),
    ],
    ids=map(str, range(15)),
)
def test_what_linux_would_not_unpack_is_refused(data: bytes, what: str, tmp_path: Path) -> None:
    """Each with what it is; a checksum that xz writes by itself and Linux does not know ended in a kernel's panic."""
    assert what in (refused(tmp_path, data) or "")


def test_an_archive_begins_at_a_multiple_of_four(tmp_path: Path) -> None:
    """As Linux wants it of what is not packed; zeros before it make it so."""
    packed = gzip.compress(ARCHIVE)
    whole = packed + bytes(-len(packed) % 4)
    assert refused(tmp_path, whole + ARCHIVE) is None
    assert "does not begin at a multiple of four" in (refused(tmp_path, whole + b"\0" + ARCHIVE) or "")


def test_it_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may come to any number: beyond what any machine holds they are refused."""
    monkeypatch.setattr(initrd_archive, "LARGEST", 1 << 20)
    assert "it unpacks to more than" in (refused(tmp_path, gzip.compress(cpio({"zeros": bytes(2 << 20)}))) or "")
    assert "it unpacks to more than" in (refused(tmp_path, gzip.compress(ARCHIVE + bytes(2 << 20))) or "")

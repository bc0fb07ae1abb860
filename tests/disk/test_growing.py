"""Tables as a larger disk has them, judged by sfdisk and our own reader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt, growing, mbr

MIB = 1 << 20
GUID = "0f0f0f0f-0000-4000-8000-000000000001"
GPT = """label: gpt
first-lba: 34
size=1M, type=21686148-6449-6E6F-744E-656564454649, name=boot
size=4M, type=U, name=esp
size=8M, name=root
"""
MBR = "label: dos\nstart=2048, size=4M, type=c, bootable\nsize=8M, type=83\n"


def disk(folder: Path, script: str, size: int = 16 * MIB) -> Path:
    """Return a disk that sfdisk laid out, boot code before its table."""
    made = folder / "disk"
    with made.open("wb") as file:
        file.truncate(size)
    subprocess.run(["sfdisk", "-q", made], input=script, text=True, check=True)
    with made.open("r+b") as file:
        file.write(b"boot code")
    return made


def larger(image: Path, size: int, *, grow: bool) -> tuple[growing.Fitted, bytes]:
    """Return what a table becomes on a disk of that size, and the disk."""
    with image.open("rb") as file:
        fitted = growing.fit(
            lambda offset, length: os.pread(file.fileno(), length, offset), image.stat().st_size, size, grow=grow
        )
    data = bytearray(image.read_bytes().ljust(size, b"\0"))
    for each in fitted.patches:
        data[each.at : each.at + len(each.data)] = each.data
    image.write_bytes(data)
    return fitted, bytes(data)


def check(image: Path) -> str:
    """Return the table as sfdisk has it, which finds nothing to complain of."""
    done = subprocess.run(["sfdisk", "--verify", image], capture_output=True, text=True, check=True)
    assert "GPT PMBR" not in done.stderr + done.stdout
    assert "backup" not in done.stderr
    return subprocess.run(["sfdisk", "-d", image], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("more", [1, 20, 5 * 2048])
def test_a_gpt_s_backup_moves_to_the_end(tmp_path: Path, more: int, *, grow: bool) -> None:
    """However little larger the disk is; partitions, names and boot code stay, the last one grows if asked (C21)."""
    image = disk(tmp_path, GPT)
    before = check(image).splitlines()
    size = 16 * MIB + more * 512
    fitted, data = larger(image, size, grow=grow)
    table = gpt.decode(lambda offset, length: data[offset : offset + length], size)
    assert table is not None
    assert table.problems == ()
    assert data.startswith(b"boot code")
    after = check(image).splitlines()
    assert len(after) == len(before)
    assert after[-3:-1] == before[-3:-1]
    if grow:
        assert fitted.grown is not None
        number, start, old, new = fitted.grown
        assert (number, old) == (3, 8 * MIB)
        assert table.slots[-1].size == new > old
        assert (start + new) % MIB == 0
        assert (start + new) // 512 <= gpt.last_usable(size) + 1
    else:
        assert fitted.grown is None
        assert after[-1] == before[-1]


def test_an_mbr_s_last_partition_grows(tmp_path: Path) -> None:
    """Up to the last whole MiB; the rest of the sector stays (C21)."""
    image = disk(tmp_path, MBR)
    before = image.read_bytes()[:512]
    fitted, data = larger(image, 33 * MIB + 512, grow=True)
    assert fitted.grown == (2, 5 * MIB, 8 * MIB, 28 * MIB)
    table = mbr.decode(data[:512], len(data))
    assert table is not None
    assert table.problems == ()
    assert {number: (slot.start, slot.size) for number, slot in table.slots.items()} == {
        1: (MIB, 4 * MIB), 2: (5 * MIB, 28 * MIB),
    }  # fmt: skip
    assert [at for at in range(512) if data[at] != before[at]]
    assert data[:446] == before[:446]
    check(image)


@pytest.mark.parametrize(
    ("script", "size", "why"),
    [
        (MBR, 13 * MIB, "there is no room behind its last partition"),
        (GPT, 16 * MIB, "there is no room behind the image"),
        ("label: dos\nsize=4M\nsize=8M, type=5\n", 40 * MIB, "partition 2 is extended"),
    ],
)
def test_what_does_not_grow(tmp_path: Path, script: str, size: int, why: str) -> None:
    """And why; nothing is changed then."""
    image = disk(tmp_path, script)
    fitted, _ = larger(image, size, grow=True)
    assert why in fitted.why_not
    assert (fitted.patches, fitted.grown) == ((), None)


def test_a_table_without_partitions(tmp_path: Path) -> None:
    """Its backup moves all the same; there is nothing to grow, which is said."""
    image = disk(tmp_path, "label: gpt\n")
    fitted, data = larger(image, 32 * MIB, grow=True)
    assert (fitted.grown, fitted.why_not) == (None, "the table has no partitions")
    table = gpt.decode(lambda offset, length: data[offset : offset + length], len(data))
    assert table is not None
    assert (table.slots, table.problems) == ((), ())


def test_what_has_no_table(tmp_path: Path) -> None:
    """A bare filesystem has no partition that could grow."""
    image = tmp_path / "bare"
    image.write_bytes(bytes(MIB))
    assert larger(image, 2 * MIB, grow=True)[0] == growing.Fitted((), "none", why_not="the image has no partitions")

"""Packed disks and archives: maps that may be trusted on a disk that was used before, and what Google's cloud reads."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import subprocess
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
from bootsmith.tasks.disk import mbr, unused
from bootsmith.tasks.disk.formats import archive, bmap
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.packing import packing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import image_readers, tiny_kernel
from tests.support.disk_build import DiskBuild
from tests.support.tar_members import EPOCH

MIB, GIB = 1 << 20, 1 << 30
FAT16 = (b"\xeb\x3c\x90mkfs.fat" + struct.pack("<HBHBHHBHHHII", 512, 4, 4, 2, 512, 20480, 0xF8, 20, 32, 2, 0, 0)).ljust(
    510, b"\0"
) + b"\x55\xaa".ljust(20480 * 512 - 510, b"\0")
FAT16 = FAT16[: 4 * 512] + (b"\xf8\xff\xff\xff".ljust(20 * 512, b"\0") * 2) + FAT16[44 * 512 :]
GPT = """\
disk:
  size: 400M
  partitions:
    esp: {size: 64M, mount: /boot/efi}
    old: {size: 40M, fs: ext2, mount: /old}
    none: {size: 8M, fs: none}
    root: {mount: /, size: 128M}
boot: {loader: systemd-boot, packages: false}
outputs: [raw, raw: {compress: zstd}]
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A disk with FAT, ext2, ext4, a partition without a filesystem, and room behind them."""
    made = tiny_kernel.disk_build(tmp_path, monkeypatch, GPT)
    made.raw_disk()
    made.run("convert/raw")
    return made


def test_a_map_makes_a_sound_disk_of_a_used_one(build: DiskBuild) -> None:
    """Written by the map over noise, every filesystem is whole and holds its files: no old byte shines through (W2)."""
    raw, mapped = build.site.output("box.raw"), build.site.output("box.raw.zst.bmap")
    found = image_readers.block_map(mapped)
    target = build.folder / "target"
    noise = random.Random(5).randbytes(MIB)
    with target.open("wb") as file:
        for _ in range(raw.stat().st_size // MIB):
            file.write(noise)
    found.write(raw, target)
    assert target.read_bytes() != raw.read_bytes()
    left_out = raw.stat().st_size - sum(last - first + 1 for first, last, _ in found.ranges) * found.block
    assert left_out > 300 * MIB
    subprocess.run(["sfdisk", "--verify", "-q", target], check=True, capture_output=True)
    for name in ("root", "old"):
        part = partition(build, target, name)
        subprocess.run(["e2fsck", "-f", "-n", part], check=True, capture_output=True)
    esp = partition(build, target, "esp")
    subprocess.run(["fsck.vfat", "-n", esp], check=True, capture_output=True)
    listed = [
        subprocess.run(["mdir", "-/", "-a", "-b", "-i", each, "::"], check=True, capture_output=True).stdout
        for each in (esp, build.site.partition_image("esp"))
    ]
    assert listed[0] == listed[1] != b""


def partition(build: DiskBuild, disk: Path, name: str) -> Path:
    """Return a partition of a disk, cut out."""
    import json

    rows = json.loads(build.site.layout.read_text())["partitions"]
    row = next(each for each in rows if each["name"] == name)
    cut = build.folder / f"{name}.img"
    with disk.open("rb") as source:
        source.seek(row["start"])
        cut.write_bytes(source.read(row["size"]))
    return cut


def test_a_partition_that_nobody_knows_is_mapped_whole(build: DiskBuild) -> None:
    """Zeros where no filesystem tells that they are free may matter to whoever uses it."""
    import json

    found = image_readers.block_map(build.site.output("box.raw.zst.bmap"))
    row = next(each for each in json.loads(build.site.layout.read_text())["partitions"] if each["name"] == "none")
    first, last = row["start"] // 4096, (row["start"] + row["size"]) // 4096 - 1
    assert any(start <= first and last <= end for start, end, _ in found.ranges)


def test_a_disk_of_something_else_is_mapped_whole(tmp_path: Path) -> None:
    """Nothing of it is known to be free, zeros included."""
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(3 * MIB + 512))
    with raw.open("rb") as file:
        text = bmap.text(file.fileno(), 3 * MIB + 512, unused.stretches(reader(file.fileno()), 3 * MIB + 512, nothing))
    (tmp_path / "map").write_text(text)
    found = image_readers.block_map(tmp_path / "map")
    assert [(first, last) for first, last, _ in found.ranges] == [(0, 768)]


@pytest.mark.parametrize("seed", range(12))
def test_a_map_has_what_matters_and_no_more(tmp_path: Path, seed: int) -> None:
    """A block is in it that is not all zeros, or that is not wholly unused: each once, side by side as one range."""
    chance, block = random.Random(seed), bmap.BLOCK
    size = chance.randrange(1, 6 * MIB // 512) * 512
    raw, mapped = tmp_path / "raw", tmp_path / "map"
    with raw.open("wb") as file:
        file.truncate(size)
        for _ in range(chance.randrange(5)):
            file.seek(chance.randrange(size))
            file.write((chance.choice((b"x", b"\0")) * chance.choice((1, 9000, 2 * MIB)))[: size - file.tell()])
    places = sorted(chance.randrange(size + 1) for _ in range(6))
    free = [(start, end) for start, end in zip(places[::2], places[1::2], strict=True) if start < end]
    with raw.open("rb") as file:
        mapped.write_text(bmap.text(file.fileno(), size, free))
    data = raw.read_bytes()
    pieces = [data[at : at + block] for at in range(0, size, block)]
    wanted = {
        number for number, piece in enumerate(pieces)
        if any(piece) or not any(start <= number * block and (number + 1) * block <= end for start, end in free)
    }  # fmt: skip
    ranges = image_readers.block_map(mapped).ranges
    assert [number for first, last, _ in ranges for number in range(first, last + 1)] == sorted(wanted)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))
    for first, last, checksum in ranges:
        assert hashlib.sha256(b"".join(pieces[first : last + 1])).hexdigest() == checksum


def reader(descriptor: int) -> unused.Read:
    """Return what reads an open file."""
    return lambda offset, length: os.pread(descriptor, length, offset)


def nothing(_start: int) -> list[str]:
    """Tell of no free blocks."""
    return []


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_free_clusters_of_every_fat(tmp_path: Path, bits: int) -> None:
    """Those are told that mtools' own reckoning has free, and a file's are not among them."""
    image = tmp_path / "fat.img"
    size = {12: 4, 16: 40, 32: 80}[bits] * MIB
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        ["mkfs.vfat", "-F", str(bits), "-s", "2" if bits < 32 else "1", image], check=True, capture_output=True
    )
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "file").write_bytes(content)
    subprocess.run(["mcopy", "-i", image, tmp_path / "file", "::file"], check=True)
    with image.open("rb") as file:
        found = unused.stretches(reader(file.fileno()), size, nothing)
    free = subprocess.run(["mdir", "-i", image, "::"], check=True, capture_output=True, text=True).stdout
    told = int("".join(filter(str.isdigit, free.splitlines()[-2])))
    assert sum(end - start for start, end in found) == told
    data = image.read_bytes()
    assert content[:64] not in b"".join(data[start:end] for start, end in found)


def test_what_cannot_be_believed_is_used(tmp_path: Path) -> None:
    """A filesystem larger than its partition, partitions over each other, one beyond the disk: nothing is left out."""
    image = tmp_path / "fat.img"
    image.write_bytes(bytes(40 * MIB))
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", image], check=True, capture_output=True)
    content = image.read_bytes()
    whole = unused.stretches(of_bytes(content), len(content), nothing)
    assert whole
    assert unused.stretches(of_bytes(content[: 20 * MIB]), 20 * MIB, nothing) == []
    disk = 100 * MIB
    for slots in (
        [mbr.Slot(MIB, 50 * MIB, 0x0C), mbr.Slot(20 * MIB, 50 * MIB, 0x83)],
        [mbr.Slot(0, 50 * MIB, 0x0C)],
    ):
        table = mbr.encode(disk, "00000001", slots)
        assert (
            unused.stretches(of_bytes(table.ljust(MIB, b"\0") + content.ljust(disk - MIB, b"\0")), disk, nothing) == []
        )
    table = mbr.encode(disk, "00000001", [mbr.Slot(MIB, 90 * MIB, 0x0C)])
    found = unused.stretches(of_bytes(table.ljust(MIB, b"\0") + content.ljust(59 * MIB, b"\0")), 60 * MIB, nothing)
    assert all(0 <= start < end <= 60 * MIB for start, end in found)


@pytest.mark.parametrize(
    ("kind", "change", "believed"),
    [
        (0x0C, {}, True),
        (0x83, {}, False),
        (0x8E, {}, False),
        (0x0C, {4096 - 10: b"SWAPSPACE2"}, False),
        (0x0C, {0x8001: b"CD001"}, False),
        (0x0C, {0x10040: b"_BHRfS_M"}, False),
        (0x0C, {512: b"LABELONE"}, False),
        (0x0C, {0x20000 + 1024: b"\x0c\xb1\xba\0"}, False),
        (0x0C, {40 * MIB - 65536: b"\xfc\x4e\x2b\xa9"}, False),
        (0x0C, {4 * 512: b"old"}, False),
    ],
    ids=["sound", "linux", "lvm", "swap", "cd", "btrfs", "lvm-label", "zfs", "array", "table"],
)
def test_a_superblock_alone_is_not_believed(kind: int, change: dict[int, bytes], believed: bool) -> None:
    """It may be a former filesystem's: nothing of a partition of another type, or with another's sign, is left out."""
    part = bytearray(FAT16.ljust(40 * MIB, b"\0"))
    for at, data in change.items():
        part[at : at + len(data)] = data
    disk = mbr.encode(50 * MIB, "00000001", [mbr.Slot(MIB, 40 * MIB, kind)]).ljust(MIB, b"\0") + part
    found = unused.stretches(of_bytes(disk.ljust(50 * MIB, b"\0")), 50 * MIB, nothing)
    assert any(MIB <= start < 41 * MIB for start, _ in found) == believed


@settings(max_examples=60)
@given(st.binary(max_size=90), st.integers(0, 600), st.integers(0, 4000))
def test_noise_in_a_filesystem_is_no_traceback(noise: bytes, at: int, cut: int) -> None:
    """Whatever a foreign disk says, stretches lie within it, in order."""
    content = bytearray(FAT16)
    content[at : at + len(noise)] = noise
    read = of_bytes(bytes(content[: len(content) - cut]))
    found = unused.stretches(read, len(content) - cut, lambda _: [noise.decode("latin-1")])
    assert found == sorted(found)
    assert all(0 <= start < end <= len(content) - cut for start, end in found)


def of_bytes(content: bytes) -> unused.Read:
    """Return what reads bytes as if they were a disk."""
    return lambda offset, length: content[max(0, offset) : max(0, offset + length)] if offset >= 0 else b""


def test_packing_does_not_depend_on_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core or many: the same bytes, since the pieces packed at a time are of one size."""
    source = tmp_path / "source"
    source.write_bytes(random.Random(2).randbytes(1000) * 60_000)  # more than two of xz's pieces
    for how in ("gzip", "xz", "zstd"):
        packings = set()
        for cores in (1, 3):
            monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
            packings.add(subprocess.run([*packing(how), source], capture_output=True, check=True).stdout)
        assert len(packings) == 1, how


def test_googles_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file called disk.raw, sparse in GNU's old form, of nobody's name or clock, twice the same (C19)."""
    packings = []
    for name in ("one", "other"):
        build = tiny_kernel.disk_build(tmp_path / name, monkeypatch, "disk: {size: 1G}\noutputs: [gcp]\n")
        raw = build.site.build / "assemble/disk.raw"
        raw.parent.mkdir()
        with raw.open("wb") as file:
            file.truncate(GIB)
            for at in range(0, GIB, 100 * MIB):  # more stretches than a header has room for
                file.seek(at + 5)
                file.write(b"content")
        build.run("convert/gcp")
        packings.append(build.site.output("box-gcp.tar.gz"))
    assert packings[0].read_bytes() == packings[1].read_bytes()
    assert packings[0].read_bytes()[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\x03"  # no name, no time
    with tarfile.open(packings[0]) as opened:
        (member,) = opened.getmembers()
        assert (member.name, member.size, member.uid, member.gid, member.mtime) == ("disk.raw", GIB, 0, 0, EPOCH)
        assert member.type == tarfile.GNUTYPE_SPARSE
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", packings[0], "-C", tmp_path / "unpacked"], check=True)
    subprocess.run(["cmp", tmp_path / "unpacked/disk.raw", raw], check=True)


def test_google_takes_whole_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given another size than its recipe's check saw is refused all the same."""
    build = tiny_kernel.disk_build(tmp_path, monkeypatch, "disk: {size: 1G}\noutputs: [gcp]\n")
    raw = build.site.build / "assemble/disk.raw"
    raw.parent.mkdir()
    raw.write_bytes(bytes(MIB))
    with pytest.raises(StageError, match="whole GiB; the disk has 1048576 bytes"):
        build.run("convert/gcp")


def test_a_tar_of_large_files(tmp_path: Path) -> None:
    """Beyond the 8 GiB that octal digits tell, in GNU's form of numbers; holes stay holes."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(9 * GIB)
        file.write(b"first")
    made = tmp_path / "made.tar"
    archive.write([("large", large), ("small", Path(__file__))], made, EPOCH)
    with tarfile.open(made) as opened:
        assert [(each.name, each.size) for each in opened] == [
            ("large", 9 * GIB),
            ("small", Path(__file__).stat().st_size),
        ]
    assert made.stat().st_blocks * 512 < MIB

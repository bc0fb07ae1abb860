"""Reading FAT: every file as mtools have it, in each of its three sizes, and nothing believed that cannot be."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.tasks.disk import fat_files
from bootsmith.tasks.disk.fat_files import FatFiles
from bootsmith.tasks.errors import StageError

KINDS = {12: ("2M", "4"), 16: ("20M", "1"), 32: ("64M", "1")}
LARGE = random.Random(2).randbytes(300_000)
TREE = {
    "README.TXT": b"upper\n", "lower.txt": b"lower\n", "A name that is long, and Mixed.Text": b"long\n",
    "EFI/BOOT/BOOTX64.EFI": LARGE, "EFI/Ünïcode \u4e2d": b"letters\n", "empty": b"",
    **{f"many/file number {number}": b"%d" % number for number in range(300)},
}  # fmt: skip


def make(image: Path, bits: int) -> Path:
    """Make a FAT filesystem with that tree, its files in pieces."""
    size, cluster = KINDS[bits]
    with image.open("wb") as file:
        file.truncate(int(size.removesuffix("M")) << 20)
    words = ["mkfs.vfat", "-F", str(bits), "-s", cluster, "-n", "LABEL", image]
    subprocess.run(words, check=True, capture_output=True)
    top = image.with_name("top")
    for name, data in TREE.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
        os.utime(top / name, (1_700_000_000, 1_700_000_000))
    mtools(image, "mcopy", "-m", top / "README.TXT", top / "lower.txt", "::")
    mtools(image, "mdel", "::README.TXT")  # what comes next fills the gap first
    mtools(image, "mcopy", "-s", "-m", top / "EFI", "::")
    rest = sorted(each for each in top.iterdir() if each.name not in ("EFI", "lower.txt"))
    mtools(image, "mcopy", "-s", "-m", *rest, "::")
    mtools(image, "mattrib", "+r", "::lower.txt")
    return image


def mtools(image: Path, program: str, *words: str | Path) -> bytes:
    env = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    argv = [program, "-i", image, *words]
    return subprocess.run(argv, check=True, capture_output=True, env=env).stdout


@contextmanager
def opened(image: Path) -> Iterator[FatFiles]:
    with image.open("rb") as file:
        yield FatFiles(image, file.fileno(), 0, image.stat().st_size)


def read_all(image: Path) -> None:
    with opened(image) as files:
        for _, node in files.walk():
            files.read(node, 0, min(node.size, 1 << 20))


@pytest.mark.parametrize("bits", KINDS)
def test_every_file_is_read(tmp_path: Path, bits: int) -> None:
    """Names long and short, content in pieces, times and the one attribute that modes can show (L21)."""
    with opened(make(tmp_path / "fat.img", bits)) as files:
        found = dict(files.walk())
        assert {
            os.fsdecode(path): files.read(node, 0, node.size) for path, node in found.items() if node.kind == "f"
        } == TREE
        large = found[b"EFI/BOOT/BOOTX64.EFI"]
        assert files.read(large, 1234, 70_000) == LARGE[1234:71_234]
        assert files.read(large, 299_990, 100) == LARGE[299_990:]
        assert {node.mode for path, node in found.items() if node.kind == "f" and path != b"lower.txt"} == {0o755}
        assert found[b"lower.txt"].mode == 0o555
        assert large.mtime == 1_700_000_000 * 10**9
        assert files.windows(large) == {0}


def test_what_was_deleted_is_not_there(tmp_path: Path) -> None:
    """Nor the label of the filesystem."""
    image = make(tmp_path / "fat.img", 12)
    mtools(image, "mdeltree", "::many")
    mtools(image, "mdel", "::A name that is long, and Mixed.Text")
    with opened(image) as files:
        names = {name for name, _ in files.children(b"", files.root)}
    assert names == {b"README.TXT", b"lower.txt", b"EFI", b"empty"}


def table_entry(image: Path, cluster: int, value: int) -> None:
    """Write where a cluster of a FAT32 leads to, in its first table."""
    with image.open("r+b") as file:
        (reserved,) = struct.unpack("<H", os.pread(file.fileno(), 2, 14))
        file.seek(reserved * 512 + cluster * 4)
        file.write(struct.pack("<I", value))


def field(image: Path, offset: int, form: str, value: int) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(form, value))


def replaced(image: Path, old: bytes, new: bytes) -> None:
    data = image.read_bytes()
    assert old in data
    image.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda image: table_entry(image, 2, 0x0FFFFFF0), "there is no cluster"),
        (lambda image: field(image, 44, "<I", 0x7FFFFFF), "there is no cluster"),
        (lambda image: field(image, 32, "<I", 0x7FFFFFFF), "cut short"),
        (lambda image: os.truncate(image, 1 << 20), "cut short"),
        (lambda image: field(image, 510, "<H", 0), "no boot sector"),
        (lambda image: replaced(image, b"EMPTY      ", b"MANY       "), "holds the name b'many'"),
        (lambda image: replaced(image, b"EMPTY      ", b"A/B        "), "holds the name b'a/b'"),
    ],
)
def test_what_cannot_be_believed_is_refused(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    """Chains that lead nowhere or in circles, names that are none, sizes that are not there."""
    image = make(tmp_path / "fat.img", 32)
    spoil(image)
    with pytest.raises(StageError, match=said):
        read_all(image)


def test_a_file_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    """Its chain of clusters ends too soon, or goes round: it is read no further than its size."""
    image = make(tmp_path / "fat.img", 32)
    with opened(image) as files:
        node = dict(files.walk())[b"EFI/BOOT/BOOTX64.EFI"]
    table_entry(image, node.inode, 0x0FFFFFFF)
    with opened(image) as files, pytest.raises(StageError, match="is cut short"):
        files.read(node, 0, node.size)
    table_entry(image, node.inode, node.inode)
    with opened(image) as files:
        assert len(files.read(node, 0, node.size)) == node.size


def test_directories_in_a_circle_are_refused(tmp_path: Path) -> None:
    """A folder whose entry leads to one above it."""
    image = make(tmp_path / "fat.img", 12)
    data = bytearray(image.read_bytes())
    at = data.index(b"BOOT       ")
    top = data.index(b"EFI        ")
    data[at + 26 : at + 28] = data[top + 26 : top + 28]
    image.write_bytes(data)
    with opened(image) as files, pytest.raises(StageError, match="has two names"):
        list(files.walk())


@pytest.mark.soak(ci=150, whole=20_000)
def test_rubbish_is_refused_or_read(tmp_path: Path, rounds: int) -> None:
    """Bytes changed at random in boot sector, table and directories: a StageError or files, and nothing else."""
    image = make(tmp_path / "fat.img", 12)
    whole = image.read_bytes()
    seed = random.Random(5)
    books = [at for at in range(0, 64 << 10, 32) if any(whole[at : at + 32])]
    refused = 0
    with image.open("r+b", buffering=0) as file:
        for _ in range(rounds):
            places = [seed.choice(books) + seed.randrange(32) for _ in range(seed.choice((1, 3, 30)))]
            for at in places:
                os.pwrite(file.fileno(), bytes([seed.choice((0, 1, 0x7F, 0xFF, seed.randrange(256)))]), at)
            try:
                read_all(image)
            except StageError:
                refused += 1
            for at in places:
                os.pwrite(file.fileno(), whole[at : at + 1], at)
    assert refused


def test_a_directory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose chain goes on and on is read no further than FAT allows."""
    monkeypatch.setattr(fat_files, "_MOST_ENTRIES", 64)
    with opened(make(tmp_path / "fat.img", 32)) as files:
        assert 0 < len(list(files.children(b"many", dict(files.walk())[b"many"]))) < 64


def test_a_walk_is_bounded_and_enters_what_it_is_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories that overlap hold names without end; who looks for loaders need not look at photographs."""
    image = make(tmp_path / "fat.img", 12)
    with opened(image) as files:
        found = [path for path, _ in files.walk(lambda path: path.startswith(b"EFI"))]
    assert b"EFI/BOOT/BOOTX64.EFI" in found
    assert b"many" in found
    assert not [path for path in found if path.startswith(b"many/")]
    monkeypatch.setattr(fat_files, "_MOST_FILES", 100)
    with opened(image) as files, pytest.raises(StageError, match="more than 100 files"):
        list(files.walk())


def test_what_is_remembered_of_chains_is_bounded(tmp_path: Path) -> None:
    """Else as many long ones as a disk has clusters would fill memory."""
    with opened(make(tmp_path / "fat.img", 32)) as files:
        for _, node in files.walk():
            files.read(node, 0, node.size)
        assert len(files._chains) <= fat_files._MOST_CHAINS

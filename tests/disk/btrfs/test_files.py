"""Reading btrfs: what mkfs.btrfs made, what is packed, and nothing believed that cannot be."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.cache.files import zstandard
from bootsmith.tasks.disk.btrfs import inodes, ondisk
from bootsmith.tasks.disk.btrfs.files import BtrfsFiles
from bootsmith.tasks.disk.btrfs.ondisk import Item, Key
from bootsmith.tasks.errors import StageError

from tests.disk.btrfs.test_filesystem import CRC, make, walked

START = 4096
"""Where in the file the image begins."""


@contextmanager
def opened(image: Path, start: int = 0) -> Iterator[BtrfsFiles]:
    with image.open("rb") as file:
        yield BtrfsFiles(image, file.fileno(), start, image.stat().st_size - start)


def test_what_mkfs_made(tmp_path: Path) -> None:
    """A filesystem of others, wherever it begins in a file, is read file by file (L21)."""
    top = tmp_path / "top"
    (top / "deep/er").mkdir(parents=True)
    data = random.Random(2).randbytes(900_000)
    (top / "deep/er/file").write_bytes(data)
    (top / "deep/other").hardlink_to(top / "deep/er/file")
    (top / "deep/short").write_bytes(b"short")
    os.utime(top / "deep/short", (-300_000_000, -300_000_000))
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(120 << 20)
    subprocess.run(["mkfs.btrfs", "-q", "-f", "--rootdir", top, image], check=True, capture_output=True)
    moved = tmp_path / "moved"
    subprocess.run(["cp", "--sparse=always", image, moved], check=True)
    subprocess.run(
        ["dd", f"if={image}", f"of={moved}", "bs=4096", "seek=1", "conv=sparse"], check=True, capture_output=True
    )
    with opened(moved, START) as files:
        found = walked(files, b"", files.root)
        assert {*found} == {b"", b"deep", b"deep/er", b"deep/er/file", b"deep/other", b"deep/short"}
        assert files.read(found[b"deep/er/file"], 0, 1 << 20) == data
        assert found[b"deep/other"].inode == found[b"deep/er/file"].inode
        assert files.read(found[b"deep/short"], 0, 99) == b"short"
        assert found[b"deep/short"].mtime == -300_000_000 * 10**9
        assert not files.unclean


def test_a_link_that_is_no_path_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing of it would be zeros, which no path holds."""
    real = inodes._inline
    monkeypatch.setattr(inodes, "_inline", lambda number, data: real(number, data[: min(len(data), 2048)]))
    with opened(make(tmp_path)) as files, pytest.raises(StageError, match=r"the link .* leads nowhere"):
        walked(files, b"", files.root)


@pytest.mark.parametrize("packing", [1, 2, 3], ids=["zlib", "lzo", "zstd"])
def test_what_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: int) -> None:
    """zlib and zstd are unpacked; lzo is refused by its name."""
    pack = zlib.compress if packing == 1 else zstandard.module().compress

    def inline(number: int, data: bytes) -> Item:
        if len(data) > 2048:  # a link
            head, body = ondisk.INLINE.pack(1, len(data), 0, 0, 0, ondisk.INLINE_DATA), data
        else:
            head, body = ondisk.INLINE.pack(1, len(data), packing, 0, 0, ondisk.INLINE_DATA), pack(data)
        return Item(Key(number, ondisk.EXTENT_DATA, 0), head + body)

    monkeypatch.setattr(inodes, "_inline", inline)
    with opened(make(tmp_path)) as files:
        file = walked(files, b"", files.root)[b"at the edge"]
        if packing == 2:
            with pytest.raises(StageError, match="packed by lzo, and what zlib or zstd packed is read"):
                files.read(file, 0, 10)
        else:
            assert files.read(file, 5, 9999) == b"e" * 2043


def test_a_filesystem_on_several_devices_is_refused(tmp_path: Path) -> None:
    """What is only half there is not read as if it were whole."""
    image = make(tmp_path)
    with image.open("r+b") as file:
        file.seek(65536 + 136)
        file.write(struct.pack("<Q", 2))
    with pytest.raises(StageError, match="cannot be read here: it is on 2 devices"):
        opened(image).__enter__()


def test_damage_is_told_and_never_believed(tmp_path: Path) -> None:
    """Wherever bytes are others, what is read is refused or bounded: no traceback, and no end of it."""
    image = make(tmp_path, names=20)
    whole = image.read_bytes()
    blocks = [
        at for at in range(0, len(whole), ondisk.NODE) if whole[at + 32 : at + 48] == whole[65568:65584] and at != 65536
    ]
    assert len(blocks) > 20
    dice = random.Random(7)
    told = 0
    for _ in range(80):
        harmed = {}
        for _ in range(dice.choice((1, 4))):
            at = (
                65536 + dice.randrange(900)
                if dice.random() < 0.1
                else dice.choice(blocks) + dice.randrange(ondisk.NODE)
            )
            harmed[at] = dice.randrange(256)
            harmed[dice.choice(blocks) + 101 + dice.randrange(2000)] = dice.randrange(256)
        with image.open("r+b") as file:
            for at, byte in harmed.items():
                file.seek(at)
                file.write(bytes((byte,)))
        try:
            with opened(image) as files:
                for node in walked(files, b"", files.root).values():
                    if node.kind == "f":
                        files.read(node, 0, 4096)
                        files.read(node, max(0, node.size - 4096), 4096)
                        files.windows(node)
        except StageError as error:
            assert "is damaged" in error.message or "cannot be read here" in error.message  # noqa: PT017  most are
            told += 1
        with image.open("r+b") as file:
            for at in harmed:
                file.seek(at)
                file.write(whole[at : at + 1])
    assert told >= 10


def test_a_block_that_leads_to_itself_ends(tmp_path: Path) -> None:
    """A tree's block in its own stead, or twice, is found out by the key that it should begin with."""
    image = make(tmp_path, many=2000)
    whole = bytearray(image.read_bytes())
    nodes = [
        at for at in range(0, len(whole), ondisk.NODE)
        if whole[at + 32 : at + 48] == whole[65568:65584] and at != 65536 and whole[at + 100] == 1
    ]  # fmt: skip
    assert nodes
    for at in nodes:
        first = ondisk.HEADER.size
        second = first + ondisk.POINTER.size
        whole[second + 17 : second + 25] = whole[first + 17 : first + 25]
        whole[at + second + 17 : at + second + 25] = whole[at + first + 17 : at + first + 25]
    image.write_bytes(whole)
    with pytest.raises(StageError, match="begins with another key"), opened(image) as files:
        walked(files, b"", files.root)
    assert CRC(0, b"") == 0

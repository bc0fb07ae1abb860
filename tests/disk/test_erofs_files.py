"""Reading EROFS as any filesystem is: every file as it was packed, from any place in it, and no lie believed."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.tasks.disk import erofs_files
from bootsmith.tasks.disk.erofs_files import ErofsFiles
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import lz4

LARGE = random.Random(3).randbytes(700_000) * 3
HOLES = bytes(3 << 20) + b"end"
START = 1536
"""Where in the file the image begins: no whole page."""


def make(folder: Path, *words: str) -> Path:
    """Pack a tree, and put something before it."""
    top = folder / "top"
    (top / "deep/er").mkdir(parents=True)
    (top / "deep/er/large").write_bytes(LARGE)
    (top / "deep/holes").write_bytes(HOLES)
    (top / "deep/\udcff name\n").write_bytes(b"odd")
    (top / "other").hardlink_to(top / "deep/er/large")
    (top / "link").symlink_to("a/b c")
    (top / "empty").write_bytes(b"")
    (top / "many").mkdir()
    for number in range(300):
        (top / f"many/file number {number:04}").write_bytes(b"%d" % number)
    os.setxattr(top / "deep/holes", "user.note", b"value " * 40)
    image = folder / "image"
    subprocess.run(["mkfs.erofs", *words, "-T1700000000", image, top], check=True, capture_output=True)
    image.write_bytes(bytes(START) + image.read_bytes())
    return image


@contextmanager
def opened(image: Path) -> Iterator[ErofsFiles]:
    with image.open("rb") as file:
        size = image.stat().st_size - START
        yield ErofsFiles(image, file.fileno(), START, size, lambda: lz4.load(host.find(lz4.LIBRARY)))


def walked(files: ErofsFiles, path: bytes = b"", node: Node | None = None) -> Iterator[tuple[bytes, Node]]:
    for name, child in files.children(path, node or files.root):
        yield path + name, child
        if child.kind == "d":
            yield from walked(files, path + name + b"/", child)


@pytest.mark.parametrize("words", [(), ("-zlz4",), ("--chunksize=4096",)], ids=["plain", "lz4", "chunks"])
def test_every_file_is_as_it_was_packed(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Sizes, links, attributes, holes, odd names; and any part of a file, wherever was read before (L21)."""
    with opened(make(tmp_path, *words)) as files:
        found = dict(walked(files))
        assert len(found) == 300 + 9
        large, holes = found[b"deep/er/large"], found[b"deep/holes"]
        assert (large.kind, large.size, large.mtime) == ("f", len(LARGE), 1_700_000_000_000_000_000)
        assert files.read(large, 0, 9 << 20) == LARGE
        assert files.read(large, 1_500_000, 11) == LARGE[1_500_000:1_500_011]
        assert files.read(large, 70_000, 1 << 20) == LARGE[70_000 : 70_000 + (1 << 20)]
        assert files.read(large, len(LARGE) - 3, 100) == LARGE[-3:]
        assert files.read(large, len(LARGE), 100) == b""
        assert found[b"other"].inode == large.inode
        assert files.read(holes, 0, 9 << 20) == HOLES
        assert files.read(holes, WINDOW - 5, WINDOW) == bytes(WINDOW)
        assert files.windows(holes) == {0, 1, 2, 3}
        assert holes.xattrs == {"user.note": b"value " * 40}
        assert files.windows(found[b"empty"]) == set()
        assert files.read(found[b"empty"], 0, 10) == b""
        assert (found[b"link"].target, found[b"link"].size) == (b"a/b c", 5)
        assert files.read(found[b"deep/\xff name\n"], 0, 9) == b"odd"
        assert files.read(found[b"many/file number 0299"], 0, 9) == b"299"


def test_damage_is_told_and_never_believed(tmp_path: Path) -> None:
    """Wherever bytes are others, what is read is refused or bounded: no traceback, and no end of it."""
    image = make(tmp_path, "-zlz4")
    whole = image.read_bytes()
    dice = random.Random(5)
    told = 0
    for turn in range(40):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[START + 1024 + dice.randrange(8192 if turn % 2 else 1 << 20) % (len(whole) - START - 1024)] ^= (
                1 << dice.randrange(8)
            )
        image.write_bytes(damaged if turn % 4 else damaged[: dice.randrange(START, len(damaged))])
        try:
            with opened(image) as files:
                for _, node in walked(files):
                    if node.kind == "f" and node.size < 9 << 20:
                        files.read(node, 0, node.size)
        except StageError as error:
            assert "cannot be read" in error.message  # noqa: PT017  most of them are
            told += 1
    assert told >= 8
    with pytest.raises(StageError, match="cannot be read: it breaks off"):
        erofs_files.ErofsFiles(image, os.open(os.devnull, os.O_RDONLY), 0, 0, lambda: lz4.load(image))

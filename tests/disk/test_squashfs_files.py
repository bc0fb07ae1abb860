"""Reading squashfs: every file as it was packed, by each packing that is read, and nothing believed that cannot be."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.tasks.disk import squashfs_files
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.disk.squashfs_files import SquashfsFiles
from bootsmith.tasks.errors import StageError

LARGE = random.Random(3).randbytes(1_500_000)
HOLES = bytes(3 << 20) + b"end"
PSEUDO = """\
small f 4755 1000 70000 printf first
empty f 600 0 0 true
link s 777 0 0 a/b c
null c 666 0 0 1 3
disk b 660 0 6 253 70000
pipe i 644 1 1 f
wide d 1777 7 8
"""


def make(folder: Path, packing: str, *words: str) -> Path:
    """Pack a tree with every kind of file; what no ordinary user may make is told to mksquashfs."""
    top = folder / "top"
    (top / "deep/er").mkdir(parents=True)
    (top / "deep/er/large").write_bytes(LARGE)
    (top / "deep/holes").write_bytes(HOLES)
    (top / "deep/\udcff name\n").write_bytes(b"odd")
    (top / "other").hardlink_to(top / "deep/er/large")
    (top / "many").mkdir()
    for number in range(2000):
        (top / f"many/file number {number:04}").write_bytes(b"%d" % number)
    os.setxattr(top / "deep/holes", "user.note", b"value " * 40)
    (folder / "pseudo").write_text(PSEUDO)
    image = folder / "image"
    argv = ["mksquashfs", top, image, "-noappend", "-quiet", "-no-progress", "-comp", packing, "-b", "64K"]
    more = ["-all-time", "1700000000", "-pf", folder / "pseudo", *words]
    subprocess.run([*argv, *more], check=True, capture_output=True)
    return image


@contextmanager
def opened(image: Path) -> Iterator[SquashfsFiles]:
    with image.open("rb") as file:
        yield SquashfsFiles(image, file.fileno(), 0, image.stat().st_size)


def walked(files: SquashfsFiles, path: bytes = b"", node: Node | None = None) -> Iterator[tuple[bytes, Node]]:
    for name, child in files.children(path, node or files.root):
        yield path + name, child
        if child.kind == "d":
            yield from walked(files, path + name + b"/", child)


def whole(files: SquashfsFiles, node: Node) -> bytes:
    """Return a file as those who compare read it: by windows, of which those that are holes are left out."""
    found = bytearray(node.size)
    for number in files.windows(node):
        piece = files.read(node, number * WINDOW, WINDOW)
        found[number * WINDOW : number * WINDOW + len(piece)] = piece
    return bytes(found)


@pytest.mark.parametrize(
    ("packing", "words"),
    [("gzip", ()), ("zstd", ()), ("xz", ()), ("lzma", ()), ("zstd", ("-noI", "-noD", "-noF", "-noX", "-no-fragments"))],
    ids=["gzip", "zstd", "xz", "lzma", "plain"],
)
def test_every_file_is_as_it_was_packed(tmp_path: Path, packing: str, words: tuple[str, ...]) -> None:
    """Owners, modes, times, links, devices, attributes, holes, odd names, large folders, whatever packed them (L21)."""
    with opened(make(tmp_path, packing, *words)) as files:
        found = dict(walked(files))
        assert len(found) == 2000 + 14
        small, large, holes = found[b"small"], found[b"deep/er/large"], found[b"deep/holes"]
        assert (small.kind, small.mode, small.uid, small.gid, small.size) == ("f", 0o4755, 1000, 70000, 5)
        assert small.mtime == 1_700_000_000_000_000_000
        assert files.read(small, 0, 100) == b"first"
        assert whole(files, large) == files.read(large, 0, 9 << 20) == LARGE
        assert files.read(large, 70_000, 11) == LARGE[70_000:70_011]
        assert found[b"other"].inode == large.inode
        assert whole(files, holes) == HOLES
        assert files.windows(holes) == {3}
        assert holes.xattrs == {"user.note": b"value " * 40}
        assert files.read(found[b"empty"], 0, 10) == b""
        assert found[b"link"].target == b"a/b c"
        assert (found[b"null"].kind, found[b"null"].device) == ("c", (1, 3))
        assert (found[b"disk"].kind, found[b"disk"].device) == ("b", (253, 70000))
        assert found[b"pipe"].kind == "p"
        assert (found[b"wide"].kind, found[b"wide"].mode, found[b"wide"].gid) == ("d", 0o1777, 8)
        assert files.read(found[b"deep/\xff name\n"], 0, 9) == b"odd"
        assert files.read(found[b"many/file number 1999"], 0, 9) == b"1999"


def test_a_packing_that_is_not_read_is_named(tmp_path: Path) -> None:
    """Nothing is taken for empty that is only unknown."""
    with pytest.raises(StageError, match="packed by lz4, and what zlib, xz, lzma or zstd packed is read"):
        opened(make(tmp_path, "lz4")).__enter__()


def test_damage_is_told_and_never_believed(tmp_path: Path) -> None:
    """Wherever bytes are others, what is read is refused or bounded: no traceback, and no end of it."""
    image = make(tmp_path, "gzip", "-noI", "-noF", "-noX")  # numbers to lie with, not bytes that will not unpack
    whole_image = image.read_bytes()
    dice = random.Random(5)
    told = 0
    for _ in range(60):
        damaged = bytearray(whole_image)
        for _ in range(dice.choice((1, 1, 4))):
            # the superblock, and what stands behind the files' data
            damaged[dice.choice((dice.randrange(96), dice.randrange(len(damaged) - 40_000, len(damaged))))] ^= (
                1 << dice.randrange(8)
            )
        image.write_bytes(damaged)
        try:
            with opened(image) as files:
                for _, node in zip(range(500), (node for _, node in walked(files)), strict=False):
                    if node.kind == "f":
                        files.read(node, 0, 1 << 16)
        except StageError as error:
            told += "is damaged" in error.message
    assert told > 5


def with_attributes(folder: Path, files: list[dict[str, str]]) -> Path:
    """Pack empty files that have attributes, each its own."""
    packed, image = io.BytesIO(), folder / "image"
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, attributes in enumerate(files):
            member = tarfile.TarInfo(f"f{number:04}")
            member.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in attributes.items()}
            tar.addfile(member)
    words = ["mksquashfs", "-", image, "-tar", "-quiet", "-no-progress", "-comp", "gzip"]
    subprocess.run(words, input=packed.getvalue(), check=True, capture_output=True)
    return image


def test_attributes_that_files_share_are_there_once(tmp_path: Path) -> None:
    """As a set, or a value in sets that differ: a small image of many files asks for no more than it has."""
    value = "v" * 60_000
    same = [{"user.big": value}] * 50
    other = [{"user.big": value, "user.own": str(number)} for number in range(50)]
    with opened(with_attributes(tmp_path, [*same, *other])) as files:
        found = [node.xattrs for _, node in walked(files)]
    assert found == [{name: text.encode() for name, text in each.items()} for each in [*same, *other]]
    assert len({id(each) for each in found[:50]}) == 1
    assert len({id(each["user.big"]) for each in found}) <= 3


@pytest.mark.parametrize(
    ("attributes", "files", "why"),
    [
        ({f"user.{number:060}": "" for number in range(1100)}, 1, "a file has more attributes than any has"),
        ({"user.big": "v" * 60_000}, 40, "its files have more attributes than any have"),
    ],
    ids=["names", "values"],
)
def test_attributes_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str], files: int, why: str
) -> None:
    """Names of one file beyond what Linux lists, and all together beyond what is kept in memory."""
    monkeypatch.setattr(squashfs_files, "_MOST_ATTRIBUTES", 2 << 20)
    packed = [{name: value and f"{value}{number}" for name, value in attributes.items()} for number in range(files)]
    with (
        opened(with_attributes(tmp_path, packed)) as found,
        pytest.raises(StageError, match=f"is damaged: {why}"),
    ):
        list(walked(found))


def test_one_that_breaks_off_is_told(tmp_path: Path) -> None:
    """A file that was not copied whole is no smaller filesystem."""
    image = make(tmp_path, "zstd")
    os.truncate(image, image.stat().st_size // 2)
    with pytest.raises(StageError, match="cut short"):
        opened(image).__enter__()

"""An ext image as debugfs reads it: the whole tree, independent of what wrote it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_ROW = re.compile(rb"/(\d+)/(\d+)/(\d+)/(\d+)/(.*?)/(\d*)/\n", re.DOTALL)


@dataclass(frozen=True)
class Node:
    """A file as it stands in the image; `content` of files and symlinks."""

    inode: int
    kind: str
    mode: int
    uid: int
    gid: int
    links: int
    mtime: int
    ctime: int
    content: bytes = b""
    device: tuple[int, int] | None = None
    xattrs: dict[str, bytes] = field(default_factory=dict)


def commands(image: Path, lines: Iterable[str]) -> list[bytes]:
    """Run debugfs commands; return what each printed on stdout. Anything it complains of fails the test."""
    wanted = list(lines)
    with tempfile.NamedTemporaryFile("w") as script:
        script.write("".join(f"{line}\n" for line in wanted))
        script.flush()
        done = subprocess.run(["debugfs", "-f", script.name, image], capture_output=True, check=True)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(b"debugfs 1.")]
    assert not complaints, complaints
    printed = re.split(rb"^debugfs: (?=[^\n]*\n)", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(wanted)
    return [each.partition(b"\n")[2] for each in printed]


def read_tree(image: Path) -> dict[bytes, Node]:
    """Return every file of an image by its path, b"" the root; lost+found is left out."""
    inodes = {b"": 2}
    level = [b""]
    while level:
        below = []
        for folder, listing in zip(level, commands(image, [f"ls -p <{inodes[path]}>" for path in level]), strict=True):
            for number, mode, _, _, name, _ in _ROW.findall(listing):
                if name in (b".", b"..") or (not folder and name == b"lost+found") or number == b"0":
                    continue
                path = folder + b"/" + name if folder else name
                inodes[path] = int(number)
                if int(mode, 8) & 0o170000 == 0o040000:
                    below.append(path)
        level = below
    return dict(zip(inodes, _nodes(image, list(inodes.values())), strict=True))


def _nodes(image: Path, inodes: list[int]) -> list[Node]:
    stats = commands(image, [f"stat <{number}>" for number in inodes])
    lists = commands(image, [f"ea_list <{number}>" for number in inodes])
    with tempfile.TemporaryDirectory() as folder:
        dumps, wanted = [], []
        for number, stat, listed in zip(inodes, stats, lists, strict=True):
            names = [match.decode() for match in re.findall(rb"^  (\S+) \(\d+\)", listed, re.MULTILINE)]
            wanted.append(names)
            dumps += [f"ea_get -f {folder}/{number}.{index} <{number}> {name}" for index, name in enumerate(names)]
            if _has_data(stat):
                dumps.append(f"dump <{number}> {folder}/{number}")
        commands(image, dumps)
        return [
            _node(number, stat, names, Path(folder)) for number, stat, names in zip(inodes, stats, wanted, strict=True)
        ]


def _has_data(stat: bytes) -> bool:
    return b"Type: regular" in stat or (b"Type: symlink" in stat and b"Fast link dest" not in stat)


def _number(pattern: bytes, stat: bytes, base: int = 10) -> int:
    found = re.search(pattern, stat)
    assert found, (pattern, stat)
    return int(found[1], base)


def _time(name: bytes, stat: bytes) -> int:
    found = re.search(rb"^ *%s: 0x([0-9a-f]{8})(?::([0-9a-f]{8}))?" % name, stat, re.MULTILINE)
    assert found, stat
    low = int(found[1], 16)
    return low - (low >> 31 << 32) + ((int(found[2] or b"0", 16) & 3) << 32)


def _node(number: int, stat: bytes, names: list[str], folder: Path) -> Node:
    kinds = {b"regular": "f", b"directory": "d", b"symlink": "l", b"character": "c", b"block": "b", b"FIFO": "p"}
    found = re.search(rb"Type: (\w+)", stat)
    assert found, stat
    content, device = b"", None
    if _has_data(stat):
        content = (folder / str(number)).read_bytes()
    elif fast := re.search(rb'Fast link dest: "(.*)"\n', stat, re.DOTALL):
        content = fast[1]
    elif numbers := re.search(rb"major/minor number: (\d+):(\d+)", stat):
        device = int(numbers[1]), int(numbers[2])
    return Node(
        inode=number,
        kind=kinds[found[1]],
        mode=_number(rb"Mode: +(\d+)", stat, 8),
        uid=_number(rb"User: +(\d+)", stat),
        gid=_number(rb"Group: +(\d+)", stat),
        links=_number(rb"Links: (\d+)", stat),
        mtime=_time(b"mtime", stat),
        ctime=_time(b"ctime", stat),
        content=content,
        device=device,
        xattrs={name: (folder / f"{number}.{index}").read_bytes() for index, name in enumerate(names)},
    )


def check(image: Path) -> None:
    """Fail unless e2fsck finds nothing at all to say."""
    done = subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def header(image: Path) -> dict[str, str]:
    """Return what dumpe2fs prints of the superblock."""
    done = subprocess.run(["dumpe2fs", "-h", image], capture_output=True, check=True, text=True)
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in done.stdout.splitlines())}

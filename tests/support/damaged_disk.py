"""A copy of the small disk, and ways to damage it that a test of its boot must name."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DamagedDisk:
    """A copy of the small disk, whose parts can be taken out, changed and put back."""

    disk: Path

    def start(self, name: str) -> int:
        """Return where a partition begins, in bytes."""
        listed = subprocess.run(["sfdisk", "-d", self.disk], text=True, capture_output=True, check=True).stdout
        (row,) = (line for line in listed.splitlines() if f'name="{name}"' in line)
        return int(row.split("start=")[1].split(",")[0]) * 512

    def size(self, name: str) -> int:
        """Return a partition's size in bytes."""
        listed = subprocess.run(["sfdisk", "-d", self.disk], text=True, capture_output=True, check=True).stdout
        (row,) = (line for line in listed.splitlines() if f'name="{name}"' in line)
        return int(row.split("size=")[1].split(",")[0]) * 512

    def mtools(self, program: str, *words: str | Path) -> bytes:
        """Run one of the mtools on the ESP."""
        argv = [program, "-i", f"{self.disk}@@{self.start('esp')}", *words]
        env = os.environ | {"MTOOLS_SKIP_CHECK": "1"}
        return subprocess.run(argv, check=True, capture_output=True, env=env).stdout

    def find(self, name: str) -> str:
        """Return the path of a file on the ESP, by its name."""
        listed = self.mtools("mdir", "-/", "-b", "::").decode().split()
        (path,) = (each for each in listed if each.lower().endswith(f"/{name}"))
        return path

    def remove(self, name: str) -> None:
        self.mtools("mdel", self.find(name))

    def edit(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change the content of a file on the ESP."""
        path = self.find(name)
        file = self.disk.with_name("edited")
        file.write_bytes(change(self.mtools("mcopy", "-n", path, "-")))
        self.mtools("mcopy", "-o", file, path)

    def add_words(self, words: str) -> None:
        """Add words to the kernel's command line."""
        self.edit("first.conf", lambda text: text.replace(b"\noptions ", f"\noptions {words} ".encode()))

    @contextmanager
    def root(self) -> Iterator[Path]:
        """Yield the root filesystem as a file, put back afterwards."""
        start, size = self.start("root"), self.size("root")
        file = self.disk.with_name("root.img")
        with self.disk.open("r+b") as disk:
            disk.seek(start)
            file.write_bytes(disk.read(size))
            yield file
            disk.seek(start)
            disk.write(file.read_bytes())


def no_kernel(disk: DamagedDisk) -> None:
    disk.remove("linux")


def wrong_root(disk: DamagedDisk) -> None:
    disk.edit("first.conf", lambda text: text.replace(b"LABEL=root", b"LABEL=nowhere"))


def no_init(disk: DamagedDisk) -> None:
    with disk.root() as image:
        subprocess.run(["debugfs", "-w", "-R", "rm /sbin/init", image], check=True, capture_output=True)


def corrupt_module(disk: DamagedDisk) -> None:
    """Turn the beginning of virtio_blk.ko, the last ELF file behind its name, into rubbish."""

    def change(packed: bytes) -> bytes:
        tree = gzip.decompress(packed)
        at = tree.index(b"\x7fELF", tree.index(b"modules/virtio_blk.ko\0"))
        return gzip.compress(tree[:at] + b"rubbish!" + tree[at + 8 :], 1)

    disk.edit("initrd", change)


def empty_partitions(disk: DamagedDisk) -> None:
    with disk.disk.open("r+b") as file:
        for name in ("esp", "root"):
            file.seek(disk.start(name))
            file.write(bytes(disk.size(name)))
    subprocess.run(
        ["mkfs.vfat", "--offset", str(disk.start("esp") // 512), disk.disk, str(disk.size("esp") // 1024)],
        check=True, capture_output=True,
    )  # fmt: skip


def wrong_initrd(disk: DamagedDisk) -> None:
    disk.edit("initrd", lambda _: b"this is no initrd\n" * 4096)


def no_loader(disk: DamagedDisk) -> None:
    disk.remove("bootx64.efi")


def panic(disk: DamagedDisk) -> None:
    disk.add_words("crash")


def full_disk(disk: DamagedDisk) -> None:
    disk.add_words("full")


def hang(disk: DamagedDisk) -> None:
    disk.add_words("hang")


def silent_hang(disk: DamagedDisk) -> None:
    disk.add_words("quiet hang")

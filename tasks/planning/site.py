"""Where one recipe's build lives: the single truth of every file name below `build/NAME/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan


class Layer:
    """A tar in OCI layer form (whiteouts included) and the index of its members beside it."""

    __slots__ = ("index", "name", "tar")  # no tuple, whose `index` is another, and no dataclass, which takes its time

    def __init__(self, name: str, tar: Path, index: Path) -> None:
        self.name = name
        self.tar = tar
        self.index = index


class Site(NamedTuple):
    """The paths of one build. `build` is `build/NAME`, absolute; `lock` the recipe's lock file; `epoch` in seconds.

    `others` is where the recipes have what this one takes of them, by their files; `within` is the folder that all
    builds of the project are in, where it is not the one above.
    """

    name: str
    build: Path
    lock: Path
    epoch: int
    others: Mapping[Path, Site] = MappingProxyType({})
    within: Path | None = None

    @property
    def builds(self) -> Path:
        """The folder that all builds of the project are in."""
        return self.within or self.build.parent

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return where the files of a plan are."""
        return cls(plan.name, plan.build, plan.lock, plan.epoch)

    @property
    def base(self) -> Layer:
        """The rootfs as the distribution's packages made it."""
        return Layer("base", self.build / "rootfs/base.tar", self.build / "rootfs/base.index")

    @property
    def build_context(self) -> Path:
        """What a Containerfile may take files from: a tar."""
        return self.build / "rootfs/context.tar"

    @property
    def base_lock(self) -> Path:
        """Of the lock file what the rootfs is made of, where it holds more."""
        return self.build / "rootfs/base.lock"

    @property
    def base_status(self) -> Path:
        """JSON: of a tree that was not installed here, what it says that is."""
        return self.build / "rootfs/status.json"

    def layer_lock(self, name: str) -> Path:
        """Of the lock file what a layer of packages is made of."""
        return self.build / f"layers/{name}.lock"

    def layer(self, name: str) -> Layer:
        """Return a delta layer on top of the base."""
        return Layer(name, self.build / f"layers/{name}.tar", self.build / f"layers/{name}.index")

    @property
    def view(self) -> Path:
        """Of the delta layers, only what the initramfs tools read: a tar."""
        return self.build / "initramfs/view.tar"

    @property
    def initrd(self) -> Path:
        return self.build / "initramfs/initrd.img"

    @property
    def kernel(self) -> Path:
        return self.build / "kernel/vmlinuz"

    @property
    def kernel_facts(self) -> Path:
        """JSON: `version` (as in /lib/modules), `pretty_name` and `id` of os-release."""
        return self.build / "kernel/kernel.json"

    @property
    def entries(self) -> Path:
        """A folder for each entry of the menu with a kernel or an initrd of its own."""
        return self.build / "entries"

    def kernel_for(self, entry: str) -> Path:
        """Return the kernel of an entry that has its own; of "", the one of `boot` itself."""
        return self.entries / f"{entry}/vmlinuz" if entry else self.kernel

    def kernel_facts_for(self, entry: str) -> Path:
        return self.entries / f"{entry}/kernel.json" if entry else self.kernel_facts

    def initrd_for(self, entry: str) -> Path:
        return self.entries / f"{entry}/initrd.img" if entry else self.initrd

    @property
    def live_root(self) -> Path:
        """The tree as a live system has it: packed, read-only."""
        return self.build / "iso/root.squashfs"

    def live_initrd_for(self, entry: str) -> Path:
        """Return the initrd by which an entry, or of "" all others, finds that tree."""
        return self.build / "iso" / (f"entries/{entry}" if entry else "") / "initrd.img"

    @property
    def table(self) -> Path:
        """The partition table alone, as a sparse file of the disk's full size."""
        return self.build / "partition/table.img"

    @property
    def layout(self) -> Path:
        """JSON: the disk's size and every partition's start, size, type and name, in bytes and table order."""
        return self.build / "partition/layout.json"

    def geometry(self, partition: str) -> Path:
        """JSON: one partition's size in bytes and, for ext4, its inode count: all that its filesystem depends on."""
        return self.build / f"partition/{partition}.json"

    def content(self, partition: str) -> Layer:
        """Return what a FAT partition takes from the tree, so that it is made again only when that changed."""
        stem = f"partition/{partition}.content"
        return Layer("content", self.build / f"{stem}.tar", self.build / f"{stem}.index")

    def base_image(self, partition: str) -> Path:
        """Return the pristine filesystem of the base layer alone."""
        return self.build / f"populate/{partition}.base.img"

    def partition_image(self, partition: str) -> Path:
        """Return one partition, finished."""
        return self.build / f"populate/{partition}.img"

    def volume_image(self, partition: str) -> Path:
        """Return one partition, encrypted."""
        return self.build / f"encrypt/{partition}.img"

    def built(self, name: str, output: str) -> Path:
        """Return where a build's output is, by its own name: some tell what a file is by that."""
        return self.build / "built" / name / output.rpartition("/")[2]

    def scratch(self, name: str) -> Path:
        """Return where the folders are that a build keeps from one run to the next."""
        return self.build / "scratch" / name

    def packed_size(self, partition: str) -> Path:
        """JSON: how large a packed filesystem or a hash tree came out, from which its partition's size follows."""
        return self.build / f"populate/{partition}.json"

    def root_hash(self, partition: str) -> Path:
        """Return what the root hash of a hash tree is: text, in hexadecimal."""
        return self.build / f"populate/{partition}.roothash"

    @property
    def loader(self) -> Layer:
        """Loader files and entries to be put on the partition that holds the loader, kernels not included."""
        return Layer("loader", self.build / "bootloader/loader.tar", self.build / "bootloader/loader.index")

    @property
    def boot_code(self) -> dict[str, Path]:
        """What a BIOS starts: its first sector's code, the core that this loads, and what the two must be told."""
        folder = self.build / "bootloader"
        return {"code": folder / "code.img", "core": folder / "core.img", "pointers": folder / "pointers.json"}

    def other(self, name: str) -> Path:
        """Return the folder of what is made of another recipe for this one."""
        return self.build / "recipes" / name

    def output(self, file: str) -> Path:
        return self.build / file

    @property
    def verdicts(self) -> Path:
        """JSON: what each check saw as the disk was read back."""
        return self.build / "readback/verdicts.json"

    def verdict(self, partition: str) -> Path:
        """Return what the own program of a partition's filesystem said of it."""
        return self.build / f"readback/{partition}.txt"

    @property
    def test(self) -> Path:
        """Where a boot test leaves its serial log and screenshot."""
        return self.build / "test"

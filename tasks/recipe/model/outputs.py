"""The files that are kept: one class for each kind of output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.recipe.model.files import File
from bootsmith.tasks.recipe.model.one_file import OneFile
from bootsmith.tasks.recipe.model.tree_outputs import TreeOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """An output that is the disk; `size` in bytes, where it is larger in it than the recipe's."""

    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFile(OneFile):
    """The same, of one file."""

    size: int | None = None


@dataclass(frozen=True, slots=True)
class Raw(Disk):
    """The raw disk. Packed, it has a map of the blocks that matter beside it."""

    kind: ClassVar = "raw"
    file: str
    compress: Literal["none", "gzip", "xz", "zstd"] = "none"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file,) if self.compress == "none" else (self.file, f"{self.file}.bmap")  # where bmaptool looks


@dataclass(frozen=True, slots=True)
class Qcow2(Disk):
    kind: ClassVar = "qcow2"
    file: str
    compress: Literal["none", "zlib", "zstd"]
    preallocation: Literal["off", "metadata", "falloc", "full"]
    cluster: int
    compat: Literal["0.10", "1.1"]
    lazy_refcounts: bool
    backing: File | None = None
    backing_format: Literal["raw", "qcow2"] | None = None
    encrypt: Secret | None = None
    snapshot: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file,)


@dataclass(frozen=True, slots=True)
class Vhd(DiskFile):
    kind: ClassVar = "vhd"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vhdx(DiskFile):
    kind: ClassVar = "vhdx"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vdi(DiskFile):
    kind: ClassVar = "vdi"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vmdk(Disk):
    """A flat one is a text and the disk beside it."""

    kind: ClassVar = "vmdk"
    file: str
    subformat: Literal["monolithicSparse", "monolithicFlat", "streamOptimized"]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        flat = f"{self.file.removesuffix('.vmdk')}-flat.vmdk"
        return (self.file, flat) if self.subformat == "monolithicFlat" else (self.file,)


@dataclass(frozen=True, slots=True)
class Azure(DiskFile):
    """A fixed VHD of whole MiB."""

    kind: ClassVar = "azure"


@dataclass(frozen=True, slots=True)
class Gcp(DiskFile):
    """disk.raw in a tar.gz."""

    kind: ClassVar = "gcp"


@dataclass(frozen=True, slots=True)
class Aws(Disk):
    """A streamOptimized VMDK, and the request to import it from `bucket`."""

    kind: ClassVar = "aws"
    file: str
    bucket: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file, f"{self.file.removesuffix('.vmdk')}.json")


@dataclass(frozen=True, slots=True)
class Ova(DiskFile):
    """The disk and a description of its machine, in one file; `os` is what hypervisors are told of the guest."""

    kind: ClassVar = "ova"
    os: Literal["debian", "ubuntu", "linux", "other"]


@dataclass(frozen=True, slots=True)
class Ovf(Disk):
    """The same in three."""

    kind: ClassVar = "ovf"
    file: str
    os: Literal["debian", "ubuntu", "linux", "other"]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        stem = self.file.removesuffix(".ovf")
        return (self.file, f"{stem}-disk1.vmdk", f"{stem}.mf")


@dataclass(frozen=True, slots=True)
class Box(DiskFile):
    """A box for Vagrant."""

    kind: ClassVar = "box"
    provider: Literal["libvirt", "virtualbox"]
    os: Literal["debian", "ubuntu", "linux", "other"]


@dataclass(frozen=True, slots=True)
class KernelOutput(OneFile):
    """`kernel`: the kernel as a file."""

    kind: ClassVar = "kernel"


@dataclass(frozen=True, slots=True)
class InitramfsOutput(OneFile):
    """`initramfs`: the initrd as a file."""

    kind: ClassVar = "initramfs"
    compress: Literal["none", "gzip", "zstd"] | None  # None: as it came, which with `initrd: tree` it never is


@dataclass(frozen=True, slots=True)
class Iso(OneFile):
    """`iso`: a CD. `loader` are names of loaders/optical.py; `uuid` is what Linux and GRUB know the volume by."""

    kind: ClassVar = "iso"
    mode: Literal["live", "initramfs"]
    label: str
    loader: tuple[str, ...]
    uuid: str


@dataclass(frozen=True, slots=True)
class Cidata(OneFile):
    """`cidata`: a volume that tells cloud-init what `system.cloud_init` says."""

    kind: ClassVar = "cidata"
    format: Literal["iso", "vfat"]


OutputSpec: TypeAlias = (
    Raw
    | Qcow2
    | Vhd
    | Vhdx
    | Vdi
    | Vmdk
    | Azure
    | Gcp
    | Aws
    | Ova
    | Ovf
    | Box
    | KernelOutput
    | InitramfsOutput
    | Iso
    | Cidata
    | TreeOutput
)

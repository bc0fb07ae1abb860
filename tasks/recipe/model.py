"""The frozen Recipe: one image, every default, parent and variable filled in.

Sizes are bytes, times seconds, modes integers, paths absolute. A field's name is its key in YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from bootsmith.tasks.build.secret import Secret


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file out of a distribution's package, or out of one that it depends on exactly (`=`).

    `path` is a pattern; `suite` and `arch` are never None once a recipe is resolved. `security` says whether its
    security updates are taken. `instead_of` are the files that were looked for before: none of them is there.
    """

    package: str
    path: str
    suite: str | None
    arch: str | None
    security: bool = True
    instead_of: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """What a lock file calls the packages it may come out of."""
        return f"{self.package}/{self.suite}/{self.arch}"


File: TypeAlias = Path | PackageFile


@dataclass(frozen=True, slots=True)
class Repository:
    """A further apt repository."""

    uri: str
    suite: str
    components: tuple[str, ...]
    key: Path


@dataclass(frozen=True, slots=True)
class Debian:
    """`source: debian`: a tree installed from the distribution's packages."""

    suite: str
    variant: Literal["minbase", "required", "important", "standard"]
    components: tuple[str, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    recommends: bool
    docs: bool
    security: bool
    mirror: str | None
    keyring: Path | None
    repositories: tuple[Repository, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """`source: directory`: a tree that is there already; `owner` "root" makes everything root's.

    "keep" keeps owners by number, but for whoever owns the top, who becomes root. `modes` "exec" keeps of modes only
    whether files can be executed. `times` "keep" keeps when each file was changed, in seconds.
    """

    path: Path
    owner: Literal["root", "keep"]
    modes: Literal["keep", "exec"]
    times: Literal["epoch", "keep"]


@dataclass(frozen=True, slots=True)
class Tar:
    """`source: tar`: a tree in an archive, plain or packed; owners and modes as they are there."""

    file: Path
    subdir: str
    strip: int


@dataclass(frozen=True, slots=True)
class Oci:
    """`source: oci`: the tree of a container image, an OCI layout or archive, or what `docker save` wrote."""

    file: Path


@dataclass(frozen=True, slots=True)
class Nothing:
    """`source: none`: an empty tree."""


Source: TypeAlias = Debian | Directory | Tar | Oci | Nothing


@dataclass(frozen=True, slots=True)
class Overlay:
    """A folder laid over the tree at `to`: root:root, 0755 or 0644 by the exec bit."""

    name: str
    source: Path
    to: str
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file of a `files` layer: exactly one of `source` and `content` is set. Owners are names or numbers."""

    source: File | None
    content: str | None
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class DirectorySpec:
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class Files:
    name: str
    files: Mapping[str, FileSpec]


@dataclass(frozen=True, slots=True)
class Directories:
    name: str
    directories: Mapping[str, DirectorySpec]


@dataclass(frozen=True, slots=True)
class Links:
    name: str
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remove:
    name: str
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A device node: "b" or "c", major and minor number."""

    node: tuple[Literal["b", "c"], int, int]
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class Devices:
    name: str
    devices: Mapping[str, Device]


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages installed into the tree below and removed from it, with answers for debconf (`preseed`)."""

    name: str
    install: tuple[str, ...]
    remove: tuple[str, ...]
    preseed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A command run in the tree below; of the host it sees its `inputs`, each by the variable of its name."""

    name: str
    command: str
    inputs: Mapping[str, Path]
    env: Mapping[str, str]
    network: bool


@dataclass(frozen=True, slots=True)
class Script:
    """A script run in the tree below, as `Run` is."""

    name: str
    file: Path
    inputs: Mapping[str, Path]
    env: Mapping[str, str]
    network: bool


LayerSpec: TypeAlias = Overlay | Files | Directories | Links | Devices | Remove | Packages | Run | Script


@dataclass(frozen=True, slots=True)
class User:
    """`password` is "locked", "empty" or a reference; `ssh_keys` are key lines or files holding them."""

    password: Literal["locked", "empty"] | Secret
    ssh_keys: tuple[str | Path, ...]
    uid: int | None
    groups: tuple[str, ...]
    shell: str | None
    home: str | None


@dataclass(frozen=True, slots=True)
class Services:
    enable: tuple[str, ...]
    disable: tuple[str, ...]
    mask: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloudInit:
    """What cloud-init is told, each a file or None."""

    user_data: File | None
    meta_data: File | None
    network_config: File | None


@dataclass(frozen=True, slots=True)
class System:
    """What the guest is declared to be; the last, cheap layer."""

    hostname: str
    hosts: Mapping[str, str]
    users: Mapping[str, User]
    services: Services
    network: Literal["auto", "networkd", "ifupdown", "none"]
    machine_id: str  # "empty", "none" or 32 hex digits
    ssh_host_keys: Literal["first-boot", "keep", "none"]
    cloud_init: CloudInit | None
    fstab: Literal["uuid", "partuuid", "label", "none"]


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `size` in bytes, "auto" or "remaining"; the UUIDs are never None once a recipe is resolved.

    `uuid` is the filesystem's: for vfat the serial as "XXXX-XXXX", empty without one. `partuuid` is a GUID, on an MBR
    disk "SIGNATURE-NN". `type` is a name of recipe.md, a GUID in lower case, or on an MBR disk a code such as 0x83;
    codes such as EF00, and the ESP's own GUID and code, have become names. `active` is MBR's flag.
    """

    name: str
    fs: Literal["ext4", "ext3", "ext2", "vfat", "none"]
    mount: str | None
    size: int | Literal["auto", "remaining"]
    extra: int
    start: int | None
    type: str
    label: str
    gpt_name: str  # key `name`
    uuid: str
    partuuid: str
    active: bool
    attributes: tuple[str | int, ...]
    options: str
    fsck_pass: int  # key `pass`
    features: tuple[str, ...]
    inode_size: int
    reserved: int
    mkfs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk. `id` is a GUID, on an MBR disk its signature: eight hex digits."""

    table: Literal["gpt", "mbr", "none"]
    size: int | Literal["auto"]
    sector: Literal[512]
    id: str
    partitions: Mapping[str, Partition]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of the recipe's own; `path` (key `as`) is where it stands in the tree, None the loader's usual place."""

    file: File
    path: str | None


@dataclass(frozen=True, slots=True)
class Module:
    """A multiboot module, at `path` (key `as`) in the tree; `file` "none" leaves out the entries that need it."""

    file: File | Literal["none"]
    path: str
    args: str


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A menu entry; `title` None is the distribution's PRETTY_NAME. The rest is the entry's own, or else boot's."""

    name: str
    title: str | None
    cmdline: str
    kernel: Kernel | Literal["auto", "install", "none"]
    initrd: File | Literal["auto", "none", "tree"]
    modules: tuple[Module, ...]


@dataclass(frozen=True, slots=True)
class SecureBoot:
    """With what EFI programs are signed; `enroll` puts the certificate where systemd-boot offers it to the firmware."""

    key: Secret
    certificate: Path
    enroll: bool


@dataclass(frozen=True, slots=True)
class Boot:
    """`root` is "partuuid", "uuid", "label", "none" or a device; `timeout` in seconds.

    `loader` are names in loaders/builtin.py. `place` is where kernels stand: on the ESP, on the partition that a BIOS
    boots, or in the tree's /boot; "none" where the loader brings them along. `config` maps a file's name to the user's
    own.
    """

    loader: tuple[str, ...]
    kernel: Kernel | Literal["auto", "install", "none"]
    initrd: File | Literal["auto", "none", "tree"]
    protocol: Literal["linux", "multiboot", "multiboot2"]
    modules: tuple[Module, ...]
    root: str
    cmdline: str
    console: tuple[str, ...]
    entries: Mapping[str, BootEntry]
    default: str
    timeout: int
    place: Literal["esp", "active", "root", "none"]
    removable: Literal["only", "also", "no"]
    packages: bool
    config: Mapping[str, File]
    grub_modules: tuple[str, ...]
    secure_boot: SecureBoot | None


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw disk. Packed, it has a map of the blocks that matter beside it."""

    kind: ClassVar = "raw"
    file: str
    compress: Literal["none", "gzip", "xz", "zstd"] = "none"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file,) if self.compress == "none" else (self.file, f"{self.file}.bmap")  # where bmaptool looks


@dataclass(frozen=True, slots=True)
class Qcow2:
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
class _OneFile:
    """An output that is one file."""

    file: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file,)


@dataclass(frozen=True, slots=True)
class Vhd(_OneFile):
    kind: ClassVar = "vhd"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vhdx(_OneFile):
    kind: ClassVar = "vhdx"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vdi(_OneFile):
    kind: ClassVar = "vdi"
    subformat: Literal["dynamic", "fixed"]


@dataclass(frozen=True, slots=True)
class Vmdk:
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
class Azure(_OneFile):
    """A fixed VHD of whole MiB."""

    kind: ClassVar = "azure"


@dataclass(frozen=True, slots=True)
class Gcp(_OneFile):
    """disk.raw in a tar.gz."""

    kind: ClassVar = "gcp"


@dataclass(frozen=True, slots=True)
class Aws:
    """A streamOptimized VMDK, and the request to import it from `bucket`."""

    kind: ClassVar = "aws"
    file: str
    bucket: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file, f"{self.file.removesuffix('.vmdk')}.json")


@dataclass(frozen=True, slots=True)
class Ova(_OneFile):
    """The disk and a description of its machine, in one file; `os` is what hypervisors are told of the guest."""

    kind: ClassVar = "ova"
    os: Literal["debian", "ubuntu", "linux", "other"]


@dataclass(frozen=True, slots=True)
class Ovf:
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
class Box(_OneFile):
    """A box for Vagrant."""

    kind: ClassVar = "box"
    provider: Literal["libvirt", "virtualbox"]
    os: Literal["debian", "ubuntu", "linux", "other"]


@dataclass(frozen=True, slots=True)
class KernelOutput(_OneFile):
    """`kernel`: the kernel as a file."""

    kind: ClassVar = "kernel"


@dataclass(frozen=True, slots=True)
class InitramfsOutput(_OneFile):
    """`initramfs`: the initrd as a file."""

    kind: ClassVar = "initramfs"
    compress: Literal["none", "gzip", "zstd"] | None  # None: as it came, which with `initrd: tree` it never is


@dataclass(frozen=True, slots=True)
class Iso(_OneFile):
    """`iso`: a CD. `loader` are names of loaders/optical.py; `uuid` is what Linux and GRUB know the volume by."""

    kind: ClassVar = "iso"
    mode: Literal["live", "initramfs"]
    label: str
    loader: tuple[str, ...]
    uuid: str


@dataclass(frozen=True, slots=True)
class Cidata(_OneFile):
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
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU is given around the image. `cpu` "best" is chosen by the accelerator; `debug` is what QEMU logs."""

    firmware: Literal["auto", "uefi", "bios", "direct"]
    secure_boot: bool
    type: Literal["q35", "pc", "microvm"]
    cpu: str
    cpus: int
    memory: int
    accel: Literal["auto", "kvm", "tcg"]
    display: Literal["none", "gtk", "sdl", "vnc"]
    gpu: Literal["none", "std", "virtio"]
    serial: str  # "stdio" or a file
    drive: Literal["virtio", "ide", "sata", "nvme", "scsi"]
    cache: Literal["writeback", "none", "unsafe", "writethrough", "directsync"]
    nic: Literal["virtio", "e1000", "none"]
    forward: tuple[tuple[int, int], ...]  # (host port, guest port)
    share: Mapping[str, Path]  # tag -> folder
    monitor: bool
    gdb: bool
    debug: str | None
    qemu: tuple[str, ...]
    keep: bool
    login: Literal["none", "auto"]


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Keystrokes:
    """What to type once `after`, a regular expression, was printed."""

    after: str
    send: str


@dataclass(frozen=True, slots=True)
class Test:
    """What `qemu-test` demands; times in seconds, `expect` and `fail` regular expressions.

    `entry` None is the entry that boots by itself; `limits` holds the phases that have one.
    """

    __test__ = False

    firmware: tuple[Literal["auto", "uefi", "bios", "direct"], ...]
    entry: str | None
    expect: tuple[str, ...]
    fail: tuple[str, ...]
    began: str | None
    timeout: int
    silence: int
    limits: Mapping[str, int]
    login: Login | None
    run: tuple[str, ...]
    keys: tuple[Keystrokes, ...]
    screenshot: bool


@dataclass(frozen=True, slots=True)
class Verify:
    """What `verify` demands beyond what the recipe says elsewhere; `min_free` in bytes, `skip` are checks by name."""

    min_free: int
    skip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. `file` is the YAML it came from, `files` every file that was read for it (parents too).

    `choices` tells of each file that was chosen from several which one it is: a recipe read again may choose otherwise.
    """

    file: Path
    files: tuple[Path, ...]
    profile: str | None
    name: str
    description: str
    version: str
    arch: Literal["amd64", "i386"]
    seed: str
    epoch: int | None
    source: Source
    layers: tuple[LayerSpec, ...]
    system: System | Literal["none"]
    disk: Disk
    boot: Boot
    outputs: tuple[OutputSpec, ...]
    machine: Machine
    test: Test
    verify: Verify
    choices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def volatile(self) -> bool:
        """Whether its plan may be another next time though its text is the same: by what is there, whose, of when."""
        source = self.source
        return bool(self.choices) or (isinstance(source, Directory) and "keep" in (source.owner, source.times))

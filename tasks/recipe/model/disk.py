"""The disk: its table and its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.recipe.model.files import File

PACKED: Final = ("squashfs", "erofs")
"""Filesystems that are packed and read-only."""
NAMELESS: Final = ("none", "squashfs")
"""What has no UUID of its own."""
HASH_TREE: Final = "verity"
"""What a partition holds that has the hash tree of another."""
UNLABELLED: Final = (*NAMELESS, "erofs", HASH_TREE)
"""What has no label."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """An encrypted volume; its UUID is never empty once a recipe is resolved."""

    luks: int
    passphrase: Secret
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `size` in bytes, "auto" or "remaining"; the UUIDs are never None once a recipe is resolved.

    `uuid` is the filesystem's: for vfat the serial as "XXXX-XXXX", empty without one. `partuuid` is a GUID, on an MBR
    disk "SIGNATURE-NN". `type` is a name of recipe.md, a GUID in lower case, or on an MBR disk a code such as 0x83;
    codes such as EF00, and the ESP's own GUID and code, have become names. `active` is MBR's flag.
    The `partuuid` of one that is found by a root hash is empty: it follows from that.
    """

    name: str
    fs: Literal["ext4", "ext3", "ext2", "vfat", "btrfs", "squashfs", "erofs", "swap", "verity", "none"]
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
    overlay: Literal["memory", "none"]
    content: File | None
    in_table: bool
    encrypt: Encryption | None
    verity: bool
    features: tuple[str, ...]
    inode_size: int
    reserved: int
    mkfs: tuple[str, ...]
    subvolumes: tuple[str, ...]

    @property
    def mapped(self) -> str:
        """The device of its filesystem in a running system, where that is no partition; else nothing."""
        return f"/dev/mapper/{self.mapper}" if self.encrypt or self.verity else ""

    @property
    def mapper(self) -> str:
        """What its unlocked volume is called, or its verified one: as systemd calls that of a root."""
        return "root" if self.verity else f"{self.name}_crypt"

    @property
    def packed(self) -> bool:
        """Whether it is packed and read-only: as large as what it holds, whatever the table says."""
        return self.fs in PACKED

    @property
    def measured(self) -> bool:
        """Whether it is made before anybody knows how large its partition will be."""
        return self.packed or self.fs == HASH_TREE


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk. `id` is a GUID, on an MBR disk its signature: eight hex digits."""

    table: Literal["gpt", "mbr", "none"]
    size: int | Literal["auto"]
    sector: Literal[512, 4096]
    id: str
    partitions: Mapping[str, Partition]

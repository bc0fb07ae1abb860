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
UNLABELLED: Final = (*NAMELESS, "erofs")
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
    """

    name: str
    fs: Literal["ext4", "ext3", "ext2", "vfat", "btrfs", "squashfs", "erofs", "swap", "none"]
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
    features: tuple[str, ...]
    inode_size: int
    reserved: int
    mkfs: tuple[str, ...]
    subvolumes: tuple[str, ...]

    @property
    def mapped(self) -> str:
        """The device of its filesystem in a running system, where it is encrypted; else nothing."""
        return f"/dev/mapper/{self.mapper}" if self.encrypt else ""

    @property
    def mapper(self) -> str:
        """What its unlocked volume is called."""
        return f"{self.name}_crypt"

    @property
    def packed(self) -> bool:
        """Whether it is packed and read-only: as large as what it holds, whatever the table says."""
        return self.fs in PACKED


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk. `id` is a GUID, on an MBR disk its signature: eight hex digits."""

    table: Literal["gpt", "mbr", "none"]
    size: int | Literal["auto"]
    sector: Literal[512]
    id: str
    partitions: Mapping[str, Partition]

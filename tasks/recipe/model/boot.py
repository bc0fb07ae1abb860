"""How the disk boots: loaders, kernel, entries, signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.recipe.model.files import File


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

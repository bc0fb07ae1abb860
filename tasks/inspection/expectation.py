"""What an image is to be, of all that a recipe says what can be read back from it. Known to checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bootsmith.tasks.build.parameters import Params


@dataclass(frozen=True)
class ExpectedPartition:
    """A partition as the recipe has it; sizes in bytes, `size` and `start` None where they follow from the rest."""

    name: str
    fs: str
    size: int | None
    start: int | None
    type: str
    """As an inspection tells it: one of our names or a GUID, on MBR a number like 0x83."""
    gpt_name: str
    partuuid: str
    """Empty where it follows from a root hash."""
    uuid: str
    inner: tuple[str, str] | None
    """The kind and the UUID of the filesystem in it, where it is an encrypted volume, which `fs` is then."""
    active: bool
    mount: str | None
    free: int | None
    """Bytes that are to be left in it; None for some, by its size."""


@dataclass(frozen=True)
class ExpectedMenu:
    """Where a loader looks for entries: of which kind (see boot_entries.py), on which partition, in which folder."""

    kind: str
    partition: str
    folder: str


@dataclass(frozen=True)
class ExpectedSystem:
    """The declared system; what is None is the tree's own."""

    hostname: str
    fqdn: str
    machine_id: str
    passwords: Mapping[str, str]
    """Of each user "locked", "empty" or "set"."""
    sudo: tuple[str, ...]
    groups: Mapping[str, int | None]
    members: Mapping[str, tuple[str, ...]]
    """The further groups of each user."""
    ssh_host_keys: str
    disable: tuple[str, ...]
    mask: tuple[str, ...]
    dns: tuple[str, ...]
    locale: str | None
    timezone: str | None
    keymap: str | None
    modules: tuple[str, ...]
    sysctl: Mapping[str, str]
    first_boot: bool
    autologin: bool
    grow: bool


@dataclass(frozen=True)
class Expected(Params):
    """What an image is to be."""

    table: str
    id: str
    sector: int
    partitions: tuple[ExpectedPartition, ...]
    loaders: tuple[tuple[str, str], ...]
    """Those that firmware is to find by itself, each with its firmware; none where a loader is not to be found so."""
    direct: bool
    """Whether QEMU starts the kernel, so that nothing on the disk need start."""
    menu: bool
    """Whether entries are to be found: not of a loader that only its user's own file knows."""
    menus: tuple[ExpectedMenu, ...]
    """Where the loaders' entries are; what else looks like a menu nobody reads."""
    inits: Mapping[str, bool]
    """Of each entry whether its root must hold what starts: an initrd of the user's own may start anything."""
    system: ExpectedSystem | None
    skip: tuple[str, ...]

"""What the guest is declared to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.recipe.model.files import File


@dataclass(frozen=True, slots=True)
class User:
    """`password` is "locked", "empty" or a reference; `ssh_keys` are key lines or files holding them."""

    password: Literal["locked", "empty"] | Secret
    ssh_keys: tuple[str | Path, ...]
    uid: int | None
    groups: tuple[str, ...]
    shell: str | None
    home: str | None
    sudo: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group; without a number it has the next free one."""

    gid: int | None


@dataclass(frozen=True, slots=True)
class Dns:
    """How names are resolved; without servers the guest finds out."""

    servers: tuple[str, ...]
    search: tuple[str, ...]


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
    """What the guest is declared to be; the last, cheap layer. None is what the tree says."""

    hostname: str
    hosts: Mapping[str, str]
    dns: Dns
    locale: str | None
    timezone: str | None
    keymap: str | None
    users: Mapping[str, User]
    groups: Mapping[str, Group]
    services: Services
    network: Literal["auto", "networkd", "networkmanager", "ifupdown", "netplan", "none"]
    machine_id: str  # "empty", "none" or 32 hex digits
    ssh_host_keys: Literal["first-boot", "keep", "none"]
    modules: tuple[str, ...]
    sysctl: Mapping[str, str]
    first_boot: Path | None
    autologin: bool
    grow: bool
    cloud_init: CloudInit | None
    fstab: Literal["uuid", "partuuid", "label", "none"]

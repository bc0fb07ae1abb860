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

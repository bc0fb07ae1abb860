"""A machine around a disk, as hypervisors are told of it: what a recipe's `machine:` says, in no format of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.disk.formats.image import ImageParams

Drive: TypeAlias = Literal["virtio", "ide", "sata", "nvme", "scsi"]
System: TypeAlias = Literal["debian", "ubuntu", "linux", "other"]
GIB: Final = 1 << 30


@dataclass(frozen=True)
class ApplianceParams(Params):
    """`memory` in bytes; `bits` of the processor; `nic` "none" for a machine without one; `provider` a box's."""

    image: ImageParams
    name: str
    version: str
    description: str
    system: str
    bits: int
    cpus: int
    memory: int
    drive: str
    nic: str
    uefi: bool
    provider: str = ""


def gib(size: int) -> int:
    """Return a disk's size in whole GiB, of which hypervisors and Vagrant want an integer: rounded up."""
    return -(-size // GIB)

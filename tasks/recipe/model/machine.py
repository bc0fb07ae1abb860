"""The machine around the image, and what is demanded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootsmith.tasks.build.secret import Secret


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

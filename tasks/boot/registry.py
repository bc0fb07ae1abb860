"""The bootloaders by name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Loader

LOADERS: Mapping[str, str] = {
    "systemd-boot": "bootsmith.tasks.boot.systemd_boot",
    "grub-efi": "bootsmith.tasks.boot.grub_efi",
    "grub-bios": "bootsmith.tasks.boot.grub_bios",
    "syslinux": "bootsmith.tasks.boot.syslinux",
    "efistub": "bootsmith.tasks.boot.efistub",
    "direct": "bootsmith.tasks.boot.direct",
}
"""Loader's name in recipes -> the module that makes it. By name: a disk's stages depend on its own loaders' code."""


def load(name: str) -> Loader:
    """Return a loader's module; a stage that runs it declares it (`Stage.loads`)."""
    return cast("Loader", import_module(LOADERS[name]))

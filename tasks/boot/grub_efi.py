"""GRUB for UEFI on the ESP: one image with every module it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot import grub

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making

TOOLS: tuple[str, ...] = ("grub-mkimage",)
HOST: tuple[str, ...] = ("grub-efi-modules",)


def packages(suite: str) -> tuple[str, ...]:  # noqa: ARG001  the same in every release
    """Return the packages that bring the loader's files into a tree."""
    return ("grub-efi-amd64-bin",)


def make(making: Making) -> None:
    """Add GRUB's image to the ESP, and grub.cfg beside the kernel."""
    image = making.ctx.work / "BOOTX64.EFI"
    grub.make_image(making, "x86_64-efi", "grub-efi-modules", (), image)
    making.add_started(f"EFI/{making.facts.get('id', 'linux')}/grubx64.efi", image.read_bytes())
    grub.add_configuration(making)

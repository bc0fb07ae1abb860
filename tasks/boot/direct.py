"""No loader at all: QEMU starts kernel and initrd as files, beside a disk or without one (`-kernel`, `-initrd`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making

TOOLS: tuple[str, ...] = ()
HOST: tuple[str, ...] = ()


def packages(suite: str) -> tuple[str, ...]:  # noqa: ARG001  it brings nothing
    """Return the packages it needs in a tree: none."""
    return ()


def make(making: Making) -> None:
    """Add nothing to the disk."""

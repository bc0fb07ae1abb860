"""systemd's programs for EFI, its loader and its stub, in a tree: where they stand, and what package brings them."""

from __future__ import annotations

FOLDER = "usr/lib/systemd/boot/efi"


def packages(suite: str) -> tuple[str, ...]:
    """Return the packages that bring the loader's files into a tree."""
    return (
        () if suite in ("buster", "bullseye", "focal", "jammy") else ("systemd-boot-efi",)
    )  # there it is part of systemd

"""systemd-boot on the ESP's removable path, its entries as the Boot Loader Specification has them (type 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.boot.menu import Item, Menu

TOOLS: tuple[str, ...] = ()
HOST: tuple[str, ...] = ("systemd-boot",)
_FOLDER = "usr/lib/systemd/boot/efi"
_BINARY = "systemd-bootx64.efi"


def packages(suite: str) -> tuple[str, ...]:
    """Return the packages that bring the loader's files into a tree."""
    return () if suite in ("buster", "bullseye") else ("systemd-boot-efi",)  # there it is part of systemd


def make(making: Making) -> None:
    """Add loader, configuration and entries."""
    binary = making.tree_files(_FOLDER, [_BINARY]).get(_BINARY)
    making.add("EFI/BOOT/BOOTX64.EFI", making.host_file("systemd-boot") if binary is None else binary)
    making.add("loader/loader.conf", configuration(making.menu).encode())
    for number, item in enumerate(making.menu.items, 1):
        text = entry(number, item, making.version)
        making.add(f"loader/entries/{item.name}.conf", text.encode())


def configuration(menu: Menu) -> str:
    """Return loader.conf."""
    return f"default {menu.default}.conf\ntimeout {menu.timeout}\n"


def entry(number: int, item: Item, version: str) -> str:
    """Return an entry's file; `number` is its place in the menu."""
    lines = {
        "title": item.title,
        "version": version,
        "sort-key": f"{number:04}",  # else they would be sorted by title
        "linux": f"/{item.kernel}",
        "initrd": item.initrd and f"/{item.initrd}",
        "options": item.cmdline,
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items() if value)

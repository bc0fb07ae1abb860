"""systemd-boot on the ESP, its entries as the Boot Loader Specification has them (type 1) beside the kernels.

With efistub on the same disk the entries are kernel images of their own (type 2), which it finds by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot.systemd import FOLDER, packages

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.boot.menu import Item, Menu

__all__ = ["HOST", "TOOLS", "make", "packages"]

TOOLS: tuple[str, ...] = ()
HOST: tuple[str, ...] = ("systemd-boot",)
_BINARY = "systemd-bootx64.efi"


def make(making: Making) -> None:
    """Add loader, configuration and entries."""
    binary = making.tree_files(FOLDER, [_BINARY]).get(_BINARY)
    program = making.host_file("systemd-boot").read_bytes() if binary is None else binary
    making.add_started("EFI/systemd/systemd-bootx64.efi", program)
    unified = "efistub" in making.loaders
    text = configuration(making.menu, unified=unified)
    making.add("loader/loader.conf", making.configured("loader.conf", text.encode()))
    for name, value in making.keys.items():
        making.add(f"loader/keys/auto/{name}.auth", value)
    for number, item in enumerate(making.menu.items if not unified else (), 1):
        text = entry(number, item)
        making.add(f"loader/entries/{item.name}.conf", text.encode(), partition=making.kernels)


def configuration(menu: Menu, *, unified: bool = False) -> str:
    """Return loader.conf. It is silent on keys: by itself systemd-boot gives them at most to virtual machines."""
    return f"default {menu.default}.{'efi' if unified else 'conf'}\ntimeout {menu.timeout}\n"


def entry(number: int, item: Item) -> str:
    """Return an entry's file; `number` is its place in the menu."""
    lines = {
        "title": item.title,
        "version": item.version,
        "sort-key": f"{number:04}",  # else they would be sorted by title
        "linux": f"/{item.kernel}",
        "initrd": item.initrd and f"/{item.initrd}",
        "options": item.cmdline,
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items() if value)

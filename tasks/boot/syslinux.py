"""SYSLINUX for a BIOS: on the FAT partition that holds the kernels too, found by code in the disk's first sector.

All of it comes from the host, never from the tree: the installer carries `ldlinux.sys` and `ldlinux.c32` within itself,
and the menu's modules must be of the same release. EXTLINUX, its sister for ext filesystems, is not offered: its
installer wants a mounted filesystem and an ioctl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.boot.menu import Item, Menu

TOOLS: tuple[str, ...] = ("syslinux-mbr", "syslinux-menu")
HOST: tuple[str, ...] = ()
_SECTORS = {"mbr": "mbr.bin", "gpt": "gptmbr.bin"}
MENU_MODULES = ("menu.c32", "libutil.c32")


def packages(suite: str) -> tuple[str, ...]:  # noqa: ARG001  the same in every release
    """Return the packages that bring the loader's files into a tree: none, since it needs none of them there."""
    return ()


def make(making: Making) -> None:
    """Add the menu beside the kernels, and the code that finds their partition."""
    where = folder(making.mounts.get(making.active, ""))
    prefix = f"{where}/" if where else ""
    usual = configuration(making.menu).encode()
    text = making.configured("syslinux.cfg", usual)
    making.add(f"{prefix}syslinux.cfg", text, partition=making.active)
    if making.menu.timeout or text is not usual:
        modules = making.ctx.tool("syslinux-menu").parent
        for name in MENU_MODULES:
            making.add(f"{prefix}{name}", modules / name, partition=making.active)
    sector = making.ctx.tool("syslinux-mbr").parent / _SECTORS[making.table]
    making.embed(sector.read_bytes())


def folder(mount: str) -> str:
    """Return its folder on its partition, which is all its own where it is mounted at /boot/syslinux."""
    return "" if mount.rpartition("/")[2] == "syslinux" else "syslinux"


def configuration(menu: Menu) -> str:
    """Return syslinux.cfg; without a timeout the default entry boots at once, and no menu is shown."""
    lines = [f"SERIAL {menu.serial.unit} {menu.serial.speed}"] if menu.serial else []
    lines += [f"DEFAULT {menu.default}", "PROMPT 0"]
    if menu.timeout:
        lines += ["UI menu.c32", f"TIMEOUT {menu.timeout * 10}"]  # tenths of a second
    return "\n".join([*lines, *(line for item in menu.items for line in _entry(item))]) + "\n"


def _entry(item: Item) -> list[str]:
    lines = ["", f"LABEL {item.name}", f"  MENU LABEL {item.title}", f"  LINUX /{item.kernel}"]
    lines += [f"  INITRD /{item.initrd}"] if item.initrd else []
    return [*lines, *([f"  APPEND {item.cmdline}"] if item.cmdline else [])]

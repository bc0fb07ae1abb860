"""GRUB for UEFI on the ESP's removable path, one image with every module it needs, and its grub.cfg."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.boot.menu import Menu

TOOLS: tuple[str, ...] = ("grub-mkimage",)
HOST: tuple[str, ...] = ("grub-efi-modules",)
_FOLDER = "usr/lib/grub/x86_64-efi"
# Beyond what our own grub.cfg uses: what the one that update-grub writes in the guest expects.
_MODULES = (
    *("part_gpt", "part_msdos", "fat", "ext2", "search", "search_fs_uuid", "search_fs_file", "search_label"),
    *("normal", "linux", "configfile", "echo", "serial", "terminal", "all_video", "gfxterm", "font", "loadenv"),
    *("test", "true", "regexp", "sleep", "minicmd", "gzio", "ls", "cat", "halt", "reboot"),
)


def packages(suite: str) -> tuple[str, ...]:  # noqa: ARG001  the same in every release
    """Return the packages that bring the loader's files into a tree."""
    return ("grub-efi-amd64-bin",)


def make(making: Making) -> None:
    """Add GRUB's image to the ESP, and grub.cfg beside the kernel."""
    folder = _grub_folder(making)
    early = making.ctx.work / "early.cfg"
    early.write_text(find_configuration(making.kernels_uuid, folder))
    image = making.ctx.work / "BOOTX64.EFI"
    making.ctx.run(
        "grub-mkimage", "-O", "x86_64-efi", "-d", _module_folder(making), "-p", f"/{folder}", "-c", early, "-o", image,
        *_MODULES,
    )  # fmt: skip
    making.add("EFI/BOOT/BOOTX64.EFI", image.read_bytes())
    text = configuration(making.menu, making.facts, making.kernels_uuid, making.kernel, making.initrd)
    making.add(f"{folder}/grub.cfg", text.encode(), partition=making.kernels)


def _grub_folder(making: Making) -> str:
    """Return the folder of grub.cfg on the kernel's partition: /boot/grub in the guest, or /grub on the ESP."""
    if making.kernels == making.esp:
        return "grub"
    return f"{making.kernel.rpartition('/')[0]}/grub".lstrip("/")


def _module_folder(making: Making) -> Path:
    files = making.tree_files(_FOLDER, (".mod", ".lst", ".img"))
    if not files:
        return making.host_file("grub-efi-modules").parent
    folder = making.ctx.work / "modules"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def find_configuration(uuid: str, folder: str) -> str:
    """Return what GRUB runs first: where its configuration is, whatever the disks are called."""
    return f"search --no-floppy --fs-uuid --set=root {uuid}\nset prefix=($root)/{folder}\n"


def configuration(menu: Menu, facts: Mapping[str, str], uuid: str, kernel: str, initrd: str) -> str:
    """Return grub.cfg."""
    lines = []
    if menu.serial:
        lines += [
            f"serial --unit={menu.serial.unit} --speed={menu.serial.speed}",
            "terminal_input console serial",
            "terminal_output console serial",
        ]
    lines += [f"set default={quote(menu.default)}", f"set timeout={menu.timeout}"]
    for item in menu.items:
        words = " ".join(map(quote, item.cmdline.split()))
        lines += [
            "",
            f"menuentry {quote(item.title or facts['pretty_name'])} --id {quote(item.name)} {{",
            f"  search --no-floppy --fs-uuid --set=root {uuid}",
            f"  linux {quote(f'/{kernel}')} {words}".rstrip(),
            f"  initrd {quote(f'/{initrd}')}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def quote(word: str) -> str:
    """Return a word as GRUB's shell reads it literally."""
    if re.fullmatch(r"[\w./:=,@%+-]+", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'"

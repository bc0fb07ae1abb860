"""GRUB, whatever starts it: its image for a platform, and grub.cfg beside the kernels, one for all firmware."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootsmith.cache.display import nearest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.recipe import cmdline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.boot.menu import Item, Menu

# Beyond what our own grub.cfg uses: what the one that update-grub writes in the guest expects.
_MODULES = (
    *("part_gpt", "part_msdos", "fat", "ext2", "search", "search_fs_uuid", "search_fs_file", "search_label"),
    *("normal", "linux", "configfile", "echo", "serial", "terminal", "all_video", "gfxterm", "font", "loadenv"),
    *("test", "true", "regexp", "sleep", "minicmd", "gzio", "ls", "cat", "halt", "reboot"),
)
_COMMANDS = {"multiboot": ("multiboot", "module"), "multiboot2": ("multiboot2", "module2")}


def make_image(
    making: Making, platform: str, host_tool: str, further: Sequence[str], image: Path, *, form: str = ""
) -> None:
    """Make GRUB's image of a platform: whole, with the modules that all of its menu needs, and the way to its menu.

    `form` is how grub-mkimage calls what is started otherwise than a platform's images usually are.
    """
    early = making.ctx.work / "early.cfg"
    where = folder(making.mounts.get(making.kernels, ""))
    early.write_text(find_configuration(making.kernels_uuid, where))
    protocols = sorted({item.protocol for item in making.menu.items} & _COMMANDS.keys())
    found = modules(making, platform, host_tool)
    making.ctx.run(
        "grub-mkimage", "-O", form or platform, "-d", found, "-p", f"/{where}",
        "-c", early, "-o", image, *dict.fromkeys((*_MODULES, *protocols, *further, *_asked(making, found))),
    )  # fmt: skip


def _asked(making: Making, folder: Path) -> tuple[str, ...]:
    """Return the modules that the recipe asks for. Raises StageError for one that this GRUB has not."""
    for name in making.grub_modules:
        if not (folder / f"{name}.mod").is_file():
            near = nearest(name, (path.stem for path in folder.glob("*.mod")))
            hint = f"Did you mean {near}?" if near else "Remove it."
            raise StageError(f"boot.grub_modules: GRUB for {folder.name} has no module {name}", hint)
    return making.grub_modules


def add_configuration(making: Making) -> None:
    """Add grub.cfg to the partition that holds the kernels."""
    text = configuration(making.menu, making.kernels_uuid)
    where = folder(making.mounts.get(making.kernels, ""))
    making.add(f"{where}/grub.cfg", making.configured("grub.cfg", text.encode()), partition=making.kernels)


def folder(mount: str) -> str:
    """Return the folder of grub.cfg on the kernels' partition: the guest's /boot/grub where that is on it."""
    return "boot/grub" if mount == "/" else "grub"


def modules(making: Making, platform: str, host_tool: str) -> Path:
    """Return the folder of a platform's modules: out of the image's own tree, else the host's."""
    files = making.tree_files(f"usr/lib/grub/{platform}", (".mod", ".lst", ".img"))
    if not files:
        return making.host_file(host_tool).parent
    found = making.ctx.work / platform
    found.mkdir(exist_ok=True)
    for name, data in files.items():
        (found / name).write_bytes(data)
    return found


def find_configuration(uuid: str, folder: str) -> str:
    """Return what GRUB runs first: where its configuration is, whatever the disks are called."""
    return f"search --no-floppy --fs-uuid --set=root {uuid}\nset prefix=($root)/{folder}\n"


def configuration(menu: Menu, uuid: str) -> str:
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
        lines += [
            "",
            f"menuentry {quote(item.title or item.name)} --id {quote(item.name)} {{",
            f"  search --no-floppy --fs-uuid --set=root {uuid}",
            *(f"  {line}" for line in commands(item)),
            "}",
        ]
    return "\n".join(lines) + "\n"


def commands(item: Item) -> list[str]:
    """Return the commands that load an entry: its kernel, and what the kernel is handed."""
    words = " ".join(map(quote, cmdline.words(item.cmdline)))  # GRUB puts its own quotes around blanks
    if item.protocol == "linux":
        lines = [f"linux {quote(f'/{item.kernel}')} {words}".rstrip()]
        return lines if item.initrd is None else [*lines, f"initrd {quote(f'/{item.initrd}')}"]
    kernel, module = _COMMANDS[item.protocol]
    lines = [f"{kernel} {quote(f'/{item.kernel}')} {words}".rstrip()]
    for each in item.modules:
        handed = " ".join(map(quote, cmdline.words(each.args)))
        lines.append(f"{module} {quote(f'/{each.path}')} {handed}".rstrip())
    return lines


def quote(word: str) -> str:
    """Return a word as GRUB's shell reads it literally."""
    if re.fullmatch(r"[\w./:=,@%+-]+", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'"

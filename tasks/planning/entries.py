"""What a recipe's loaders show and start, as a parameter of stages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bootsmith.tasks.boot.menu import Item, Menu, Module, Serial
from bootsmith.tasks.disk.content import owner
from bootsmith.tasks.planning.placement import mounted
from bootsmith.tasks.recipe import boot_files, cmdline

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import boot as model
    from bootsmith.tasks.recipe.model.recipe import Recipe


def menu(recipe: Recipe, line: Callable[[str], str] | None = None) -> Menu:
    """Return a recipe's menu; `line` makes the command line of an entry's own words, for other than the disk."""
    boot = recipe.boot
    items = []
    for name, entry in boot.entries.items():
        initrd = boot_files.initrd_of(boot, entry)
        items.append(
            Item(
                name,
                entry.title,
                line(entry.cmdline) if line else cmdline.of_entry(boot, recipe.disk, entry.cmdline),
                initrd=None if initrd is None else "",
                modules=tuple(_module(recipe, each) for each in entry.modules),
                protocol=boot.protocol,
                kernel_of="" if entry.kernel == "none" else boot_files.kernel_of(boot, entry),
                initrd_of=initrd or "",
            )
        )
    return Menu(tuple(items), boot.default, boot.timeout, serial(boot.console))


def inits(recipe: Recipe, kernel: str) -> tuple[str, ...]:
    """Return what a kernel is told to start from the recipe's disk: by init=, or "" for what it starts by itself.

    There is nothing where it finds its root elsewhere, or in its initrd.
    """
    boot = recipe.boot
    if boot.protocol != "linux" or boot.root == "none" or "/" not in mounted(recipe.disk).values():
        return ()
    found = []
    for entry in boot.entries.values():
        if entry.kernel != "none" and entry.initrd != "tree" and boot_files.kernel_of(boot, entry) == kernel:
            words = cmdline.words(cmdline.of_entry(boot, recipe.disk, entry.cmdline))
            asked = [word.removeprefix("init=") for word in words if word.startswith("init=")]
            found.append(asked[-1] if asked else "")
    return tuple(dict.fromkeys(found))


def _module(recipe: Recipe, module: model.Module) -> Module:
    _, inside = owner(mounted(recipe.disk), module.path.strip("/"))
    return Module(inside, module.args or module.path.rpartition("/")[2])


def serial(console: Sequence[str]) -> Serial | None:
    """Return the first serial port among the kernel's consoles, such as "ttyS0" or "ttyS1,9600n8"."""
    for word in console:
        name, _, options = word.partition(",")
        unit = name.removeprefix("ttyS")
        if unit != name and unit.isdigit():
            digits = options[: len(options) - len(options.lstrip("0123456789"))]
            return Serial(int(unit), int(digits or 115200))
    return None

"""What a loader shows and starts: entries with their kernels and command lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Protocol = Literal["linux", "multiboot", "multiboot2"]


@dataclass(frozen=True, slots=True)
class Module:
    """A file that a multiboot kernel is handed: its path, as an item's, and its words."""

    path: str
    args: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A menu entry.

    Paths are inside the partition that holds the kernels, without a slash before them. Once a menu is `completed`, no
    title is None and no path empty; an `initrd` of None is an entry without one.
    """

    name: str
    title: str | None
    """None: the distribution's name."""
    cmdline: str
    kernel: str = ""
    """Empty: the tree's own."""
    initrd: str | None = ""
    """Empty: the tree's own."""
    modules: tuple[Module, ...] = ()
    protocol: Protocol = "linux"


@dataclass(frozen=True, slots=True)
class Serial:
    """A serial port: ttyS0 is unit 0."""

    unit: int
    speed: int


@dataclass(frozen=True, slots=True)
class Menu:
    """What a loader is told; `timeout` in seconds, `serial` where it talks besides the screen."""

    items: tuple[Item, ...]
    default: str
    timeout: int
    serial: Serial | None

    def completed(self, title: str, kernel: str, initrd: str) -> Menu:
        """Return the menu with what its items leave to the tree: its distribution's name, its kernel and initrd."""
        items = (
            replace(
                item,
                title=item.title or title,
                kernel=item.kernel or kernel,
                initrd=item.initrd if item.initrd is None else item.initrd or initrd,
            )
            for item in self.items
        )
        return replace(self, items=tuple(items))


def from_param(value: Mapping[str, Any]) -> Menu:
    """Return the menu that `menu` made a parameter of."""
    port = value["serial"]
    return Menu(
        tuple(Item(**{**each, "modules": tuple(Module(**one) for one in each["modules"])}) for each in value["items"]),
        value["default"],
        value["timeout"],
        Serial(**port) if port else None,
    )

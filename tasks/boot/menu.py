"""What a loader shows and starts: entries with their kernels and command lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.recipe import cmdline

Protocol = Literal["linux", "multiboot", "multiboot2"]
Facts = Mapping[str, Mapping[str, str]]
"""Of each kernel, by the entry whose it is: version, id, version_id and pretty_name."""
NO_KERNEL: Mapping[str, str] = {"version": "", "id": "linux", "version_id": "", "pretty_name": "Linux"}


@dataclass(frozen=True, slots=True)
class Module:
    """A file that a multiboot kernel is handed: its path, as an item's, and its words."""

    path: str
    args: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A menu entry.

    Paths are inside the partition that holds the kernels, without a slash before them. Until a menu is `completed`,
    paths and version are empty, as paths are where a loader brings its kernels along; an `initrd` of None is an entry
    without one.
    """

    name: str
    title: str | None
    """None: the distribution's name."""
    cmdline: str
    kernel: str = ""
    initrd: str | None = ""
    modules: tuple[Module, ...] = ()
    protocol: Protocol = "linux"
    kernel_of: str = ""
    """The entry whose kernel it starts, empty: the one of `boot`."""
    initrd_of: str = ""
    version: str = ""
    """The kernel's."""


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

    @property
    def default_item(self) -> Item:
        """The entry that boots by itself."""
        return next(item for item in self.items if item.name == self.default)

    def with_root_hash(self, root_hash: str) -> Menu:
        """Return the menu with the root hash of a verified root on the command lines that tell it."""
        items = (replace(item, cmdline=cmdline.with_root_hash(item.cmdline, root_hash)) for item in self.items)
        return replace(self, items=tuple(items)) if root_hash else self

    def completed(self, facts: Facts, kernels: Mapping[str, str], initrds: Mapping[str, str]) -> Menu:
        """Return the menu with what is known of the kernels that were built, and their paths where they have some.

        Raises StageError for a command line that Linux would cut off, with the files that loaders name on it.
        """
        items = []
        for item in self.items:
            known = facts.get(item.kernel_of, NO_KERNEL)
            items.append(
                replace(
                    item,
                    title=item.title or known["pretty_name"],
                    kernel=kernels.get(item.kernel_of, ""),
                    initrd=None if item.initrd is None else initrds.get(item.initrd_of, ""),
                    version=known["version"],
                )
            )
            _check_length(items[-1])
        return replace(self, items=tuple(items))


def _check_length(item: Item) -> None:
    files = [f"{word}=/{path}" for word, path in (("BOOT_IMAGE", item.kernel), ("initrd", item.initrd)) if path]
    length = len(" ".join([*files, item.cmdline]).encode())
    if item.protocol == "linux" and length > cmdline.LONGEST:
        raise StageError(
            f"the command line of the entry {item.name} comes to {length} bytes with what its loader adds, and Linux "
            f"drops all after {cmdline.LONGEST} without a word",
            "Shorten boot.cmdline, or the entry's.",
        )

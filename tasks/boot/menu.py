"""What a loader shows and starts: entries with their kernels and command lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bootsmith.tasks.recipe import model
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.stage import Json

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


def menu(recipe: Recipe) -> dict[str, Json]:
    """Return a recipe's menu as a parameter of a stage."""
    boot = recipe.boot
    initrd = None if boot.initrd == "none" else ""
    items = tuple(
        Item(
            name,
            entry.title,
            _cmdline(recipe, entry),
            initrd=initrd,
            modules=tuple(_module(recipe, each) for each in entry.modules),
            protocol=boot.protocol,
        )
        for name, entry in boot.entries.items()
    )
    return asdict(Menu(items, boot.default, boot.timeout, serial(boot.console)))


def direct_cmdline(recipe: Recipe) -> str:
    """Return the default entry's command line, for a kernel that no loader starts: there may be no disk at all."""
    return _cmdline(recipe, recipe.boot.entries[recipe.boot.default])


def _cmdline(recipe: Recipe, entry: model.BootEntry) -> str:
    boot = recipe.boot
    words = [boot.cmdline, entry.cmdline]
    if boot.protocol == "linux":  # the others are Linux's own
        words = [*root_words(recipe), *(f"console={name}" for name in boot.console), *words]
    return " ".join(filter(None, words))


def _module(recipe: Recipe, module: model.Module) -> Module:
    from bootsmith.tasks.boot.placement import mounted
    from bootsmith.tasks.disk.content import owner

    _, inside = owner(mounted(recipe.disk), module.path.strip("/"))
    return Module(inside, module.args or module.path.rpartition("/")[2])


def from_param(value: Mapping[str, Any]) -> Menu:
    """Return the menu that `menu` made a parameter of."""
    port = value["serial"]
    return Menu(
        tuple(Item(**{**each, "modules": tuple(Module(**one) for one in each["modules"])}) for each in value["items"]),
        value["default"],
        value["timeout"],
        Serial(**port) if port else None,
    )


def root_words(recipe: Recipe) -> list[str]:
    """Return the words that tell the kernel its root filesystem."""
    root = next((each for each in recipe.disk.partitions.values() if each.mount == "/"), None)
    if recipe.boot.root == "none" or root is None:
        return []
    match recipe.boot.root:
        case "partuuid":
            # initrds look for the text as it stands below /dev/disk/by-partuuid: in lower case
            return [f"root=PARTUUID={root.partuuid.lower()}", "ro"]
        case "uuid":
            return [f"root=UUID={root.uuid}", "ro"]
        case "label":
            return [f"root=LABEL={root.label}", "ro"]
        case device:
            return [f"root={device}", "ro"]


def serial(console: Sequence[str]) -> Serial | None:
    """Return the first serial port among the kernel's consoles, such as "ttyS0" or "ttyS1,9600n8"."""
    for word in console:
        name, _, options = word.partition(",")
        unit = name.removeprefix("ttyS")
        if unit != name and unit.isdigit():
            digits = options[: len(options) - len(options.lstrip("0123456789"))]
            return Serial(int(unit), int(digits or 115200))
    return None

"""A menu entry chosen for one boot, without a change to the image: by the firmware's variables, or by keys.

systemd-boot is told by the variable that `bootctl set-oneshot` sets, in the machine's own copy of the firmware's
variables. GRUB and syslinux are told on the serial port, which recipes give them with `boot.console`: by going to the
entry's line in the menu, from the first one in GRUB's, in syslinux's from the default one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine.console_messages import Failure, Phase
from bootsmith.tasks.recipe.loaders.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsmith.tasks.boot.menu import Menu
    from bootsmith.tasks.machine.dialogue import SerialPorts
    from bootsmith.tasks.machine.firmware import Kind
    from bootsmith.tasks.recipe.model.boot import Boot

FIRST, DOWN, UP, ENTER = b"\x01", b"\x0e", b"\x10", b"\r"
"""Ctrl-A, Ctrl-N, Ctrl-P: one byte each, where an arrow key's three can fall apart."""
_PATIENCE = 2.0  # seconds after which a key that changed nothing on the console is taken to have done its work

Way = Literal["variable", "grub", "syslinux"]
WAYS: dict[str, Way] = {
    "systemd-boot": "variable", "grub-efi": "grub", "grub-bios": "grub", "syslinux": "syslinux",
}  # fmt: skip
"""How each loader is told; the others have no menu."""


@dataclass(frozen=True, slots=True)
class EntryChoice:
    """The entry `name` of a loader's menu, its number `position` from 0, that of the default one being `default`.

    `title` is what GRUB repeats, "" where nobody knows it. `cmdline` is what Linux repeats. `file` is the entry's name
    for systemd-boot. `version` is what its kernel says it is, `others` what the kernels of other entries say; "" and
    none where nobody knows.
    """

    loader: str
    name: str
    position: int = 0
    default: int = 0
    title: str = ""
    cmdline: str = ""
    file: str = ""
    version: str = ""
    others: tuple[str, ...] = ()

    @property
    def way(self) -> Way:
        return WAYS[self.loader]


def choose(boot: Boot, menu: Menu, name: str, kind: Kind, loaders: Sequence[str] = ()) -> EntryChoice | None:
    """Return how the entry `name` is chosen under a firmware; None where it boots by itself.

    `menu` is the loader's, with its titles; `loaders` are what starts it, where those of `boot` do not. Raises
    BootsmithError where the loader cannot be told.
    """
    if name == menu.default or kind == "direct":
        return None
    loaders = loaders or boot.loader
    able = [each for each in loaders if KINDS[each].firmware == kind]
    loader = next((each for each in able if each in WAYS), None)
    if loader is None:
        raise BootsmithError(
            f"{' and '.join(able) or kind} shows no menu in which the entry {name} could be chosen",
            "Test the default entry.",
        )
    names = [item.name for item in menu.items]
    item = menu.items[names.index(name)]
    found = EntryChoice(
        loader, name, names.index(name), names.index(menu.default), item.title or "", item.cmdline,
        f"{name}.{'efi' if 'efistub' in loaders else 'conf'}",
        item.version, tuple(each.version for each in menu.items if each.version not in ("", item.version)),
    )  # fmt: skip
    if found.way != "variable" and not (menu.serial and menu.timeout):
        lacks = "boot.console has no serial port" if not menu.serial else "boot.timeout is 0"
        raise BootsmithError(
            f"the entry {name} cannot be chosen: {lacks}, so {loader} shows no menu on a serial port",
            "Give it one: `boot.console+: [ttyS0]`." if not menu.serial else "Give it time: `boot.timeout: 5`.",
        )
    return found


class EntryKeys:
    """An entry being chosen: pressed key by key while a loader has the console, then checked against what booted."""

    def __init__(self, ports: SerialPorts, choice: EntryChoice) -> None:
        self._ports = ports
        self._choice = choice
        self._waiting: list[bytes] = []
        self._sent = 0.0 if choice.way == "variable" else None
        self._seen = 0

    def press(self) -> None:
        """Press the next key, once the last one showed on the console."""
        heard = self._ports.console.heard
        if self._sent is None:
            self._waiting = self._keys(heard)
        elif len(heard) == self._seen and self._ports.now() - self._sent < _PATIENCE:
            return
        if self._waiting:
            self._seen = len(heard)
            self._sent = self._ports.now()
            self._ports.send(self._waiting.pop(0))

    def refusal(self) -> Failure | None:
        """Return why what booted, a kernel having begun, is not the entry that was chosen."""
        choice, console = self._choice, self._ports.console
        if self._sent is None or self._waiting:
            where = "no menu was seen on the serial port" if self._sent is None else "it came too early"
            return Failure("entry", f"a kernel began before the menu entry {choice.name} was chosen: {where}")
        booting = re.findall(r"^ *Booting [`'](.*)'$", console.heard, re.MULTILINE)
        if choice.way == "grub" and choice.title and booting and booting[-1] != choice.title:
            return Failure("entry", f"GRUB booted {booting[-1]!r}, not the entry {choice.name} ({choice.title!r})")
        kernels = {*re.findall(r"Linux version (\S+)", console.said)}
        if choice.version not in kernels and (wrong := kernels.intersection(choice.others)):
            what = f"Linux {wrong.pop()} was booted, which is another entry's; {choice.name} has {choice.version}"
            return Failure("entry", what)
        # Linux says it twice: on a busy host a serial port loses bytes, and no line is judged by its half.
        told = re.findall(r"[Cc]ommand line: (.*)\n", console.said)
        settled = len(told) > 1 or console.phase >= Phase.USERSPACE
        if told and settled and _words(choice.cmdline) not in map(_words, told):
            return Failure("entry", f"not the entry {choice.name} was booted: its kernel was told {told[0]!r}")
        return None

    @property
    def evidence(self) -> str:
        """What was done, for people."""
        return f"entry {self._choice.name} chosen"

    def _keys(self, heard: str) -> list[bytes]:
        if self._choice.way == "syslinux":
            if "Press [Tab] to edit options" not in heard:
                return []
            down = self._choice.position - self._choice.default
            return [*([DOWN] * down or [UP] * -down), ENTER]
        if "*" not in heard.rpartition("GNU GRUB")[2] or "GNU GRUB" not in heard:
            return []  # the menu is there once an entry is marked
        return [FIRST, *[DOWN] * self._choice.position, ENTER]


def _words(cmdline: str) -> list[str]:
    """Return a command line's words, without those that loaders add."""
    return [word for word in cmdline.split() if not word.startswith(("BOOT_IMAGE=", "initrd="))]

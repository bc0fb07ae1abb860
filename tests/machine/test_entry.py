"""Choosing a menu entry for one boot: keys that a loader reads, checked against what booted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.boot.menu import Item, Serial
from bootsmith.tasks.boot.menu import Menu as Shown
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine.boot_run import BootRun, Unmet
from bootsmith.tasks.machine.entry import EntryChoice, choose
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.boot import Boot

from tests.support.machine_keys import demands
from tests.support.scripted_guests import ScriptedGuest

RECOVERY = EntryChoice("grub-bios", "recovery", 2, 1, "Recovery", "ro single")
SHOWN = Shown(
    (Item("first", "First", "ro"), Item("second", "Second", "ro debug"), Item("recovery", "Recovery", "ro single")),
    "first", 5, Serial(0, 115200),
)  # fmt: skip


def kernel(cmdline: str) -> str:
    return f"[    0.000000] Linux version 6.1.0\r\n[    0.000000] Command line: {cmdline}\r\nlogin: cafe01 up\r\n"


class Grub:
    """A menu of GRUB's: it marks a line, and boots it."""

    titles = ("First", "Second", "Recovery")

    def __init__(self, *, deaf: bool = False) -> None:
        self.marked = 1  # the default is not the first
        self.deaf = deaf

    def draw(self) -> str:
        lines = "".join(f"\x1b[{n + 5};3H{'*' if n == self.marked else ' '}{t}" for n, t in enumerate(self.titles))
        return f"\x1b[H\x1b[J\x1b[2;24HGNU GRUB  version 2.06{lines}"

    def __call__(self, port: str, text: str) -> str:
        assert port == "console"
        for key in text:
            if key == "\r":
                title = self.titles[self.marked]
                words = {"First": "ro", "Second": "ro debug", "Recovery": "ro single"}[title]
                return f"\r\n  Booting `{title}'\r\n\r\n{kernel(f'BOOT_IMAGE=/vmlinuz {words}')}"
            self.marked = 0 if key == "\x01" else self.marked + (not self.deaf)
        return self.draw()


def judged(guest: ScriptedGuest, entry: EntryChoice) -> BootRun:
    run = BootRun(guest, demands(), "cafe01", entry=entry)
    run.judge()
    return run


def test_grub_goes_down_its_menu() -> None:
    """From the first line down to the entry, whatever was marked; the verdict tells."""
    grub = Grub()
    guest = ScriptedGuest([(3, grub.draw())], answer=grub)
    assert judged(guest, RECOVERY).evidence[0] == "entry recovery chosen"
    assert guest.typed == ["\x01", "\x0e", "\x0e", "\r"]


def test_another_entry_than_wanted_is_found_out() -> None:
    """A menu that did not obey boots another entry: that is a failure, whatever the guest prints."""
    grub = Grub(deaf=True)
    with pytest.raises(Unmet, match=r"GRUB booted 'First', not the entry recovery \('Recovery'\)") as caught:
        judged(ScriptedGuest([(3, grub.draw())], answer=grub), RECOVERY)
    assert caught.value.failure.kind == "entry"


def test_what_the_kernel_was_told_is_checked() -> None:
    """systemd-boot is told by a variable; the kernel's own words show whether it listened."""
    entry = replace(RECOVERY, loader="systemd-boot", file="recovery.conf")
    assert judged(ScriptedGuest([(3, kernel("initrd=\\initrd ro single"))]), entry)
    with pytest.raises(Unmet, match="not the entry recovery was booted: its kernel was told 'ro'"):
        judged(ScriptedGuest([(3, kernel("ro"))]), entry)


def test_another_entrys_kernel_is_found_out() -> None:
    """Two entries with the same words and other kernels: the version that Linux prints tells which one it was."""
    entry = EntryChoice("systemd-boot", "mine", 1, cmdline="ro", version="6.9-mine", others=("6.1.0", "6.5"))
    assert judged(ScriptedGuest([(3, kernel("ro").replace("6.1.0", "6.9-mine"))]), entry)
    with pytest.raises(
        Unmet, match=r"Linux 6\.1\.0 was booted, which is another entry's; mine has 6\.9-mine"
    ) as caught:
        judged(ScriptedGuest([(3, kernel("ro"))]), entry)
    assert caught.value.failure.kind == "entry"


def test_a_version_that_lost_bytes_accuses_nobody() -> None:
    """What no entry's kernel is called was garbled on its way."""
    entry = EntryChoice("systemd-boot", "mine", 1, cmdline="ro", version="6.9-mine", others=("6.1.0",))
    assert judged(ScriptedGuest([(3, kernel("ro").replace("6.1.0", "6.9-ine"))]), entry)


def test_versions_come_from_the_menu(boot: Boot) -> None:
    """The entry's own, and those that are not."""
    items = (Item("a", "A", "ro", version="1"), Item("b", "B", "ro", version="2"), Item("c", "C", "ro", version="2"))
    found = choose(boot, replace(SHOWN, items=items, default="a"), "b", "uefi")
    assert found is not None
    assert (found.version, found.others) == ("2", ("1",))


def test_a_line_that_lost_bytes_is_not_the_last_word() -> None:
    """Linux says its command line twice: one whole line of the two is enough."""
    entry = EntryChoice("systemd-boot", "recovery", position=2, title="Recovery", cmdline="ro single")
    text = kernel("ro sle").replace("login", "[    0.1] Kernel command line: ro single\r\nlogin")
    assert judged(ScriptedGuest([(3, text)]), entry)


def test_a_menu_that_is_not_seen() -> None:
    """A kernel that begins before any menu came is not the entry that was wanted."""
    with pytest.raises(Unmet, match="before the menu entry recovery was chosen: no menu was seen"):
        judged(ScriptedGuest([(3, kernel("ro"))]), RECOVERY)


@pytest.mark.parametrize(("default", "keys"), [(0, "\x0e\x0e\r"), (2, "\r"), (3, "\x10\r")])
def test_syslinux_goes_from_its_default(default: int, keys: str) -> None:
    """syslinux marks its default entry; from there it is so many lines up or down."""

    def answer(_port: str, text: str) -> str:
        loaded = f"\x1b[24;1H\x1b[0mLoading /vmlinuz... ok\r\n{kernel('BOOT_IMAGE=/vmlinuz ro single initrd=/i')}"
        return loaded if text == "\r" else "\x1b[4;11H a line"

    menu = "\r\nSYSLINUX 6.04 EDD\r\n\x1b[18;27HPress [Tab] to edit options"
    guest = ScriptedGuest([(2, menu)], answer=answer)
    assert judged(guest, replace(RECOVERY, loader="syslinux", default=default))
    assert "".join(guest.typed) == keys


@pytest.fixture(name="boot", scope="module")
def fixture_boot() -> Boot:
    return load(Path(__file__).parents[2] / "recipes/minimal.yaml").boot


def test_how_each_loader_is_told(boot: Boot) -> None:
    """What boots by itself needs no key; the entry's line and words come from the menu."""
    grub = replace(boot, loader=("grub-efi",))
    assert choose(grub, SHOWN, "first", "uefi") is None
    assert choose(grub, SHOWN, "recovery", "direct") is None
    last = EntryChoice("grub-efi", "recovery", 2, 0, "Recovery", "ro single", "recovery.conf")
    assert choose(grub, SHOWN, "recovery", "uefi") == last
    both = replace(boot, loader=("efistub", "systemd-boot"))
    assert choose(both, SHOWN, "recovery", "uefi") == replace(last, loader="systemd-boot", file="recovery.efi")
    quiet = replace(SHOWN, timeout=0, serial=None)
    assert choose(boot, quiet, "second", "uefi") == EntryChoice(
        "systemd-boot", "second", 1, 0, "Second", "ro debug", "second.conf"
    )


@pytest.mark.parametrize(
    ("loader", "shown", "why"),
    [
        ("grub-efi", replace(SHOWN, timeout=0), "boot.timeout is 0, so grub-efi shows no menu"),
        ("grub-efi", replace(SHOWN, serial=None), "boot.console has no serial port"),
        ("efistub", SHOWN, "efistub shows no menu in which the entry second could be chosen"),
    ],
)
def test_menus_that_cannot_be_told_are_refused(boot: Boot, loader: str, shown: Shown, why: str) -> None:
    """Where no key would be heard the test does not begin."""
    with pytest.raises(BootsmithError, match=why):
        choose(replace(boot, loader=(loader,)), shown, "second", "uefi")

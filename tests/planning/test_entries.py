"""The menu of a recipe: its entries, their kernels and their command lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.boot import menu
from bootsmith.tasks.boot.menu import Item, Serial
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning import entries
from bootsmith.tasks.recipe.load import load

SOURCE = "source: {debian: {suite: trixie}}\n"
UUIDS = "partuuid: AAAABBBB-1111-2222-3333-CCCCDDDDEEEE, uuid: 01234567-89ab-cdef-0123-456789abcdef"
DISK = f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, label: top, {UUIDS}}}}}}}\n"


def made(tmp_path: Path, boot: str) -> menu.Menu:
    """Return the menu of a recipe with that `boot:`."""
    file = tmp_path / "box.yaml"
    file.write_text(SOURCE + DISK + f"boot: {boot}\n")
    return entries.menu(load(file))


@pytest.mark.parametrize(
    ("boot", "cmdline"),
    [
        ("{}", "root=PARTUUID=aaaabbbb-1111-2222-3333-ccccddddeeee ro console=tty0 console=ttyS0"),
        ("{root: uuid, console: []}", "root=UUID=01234567-89ab-cdef-0123-456789abcdef ro"),
        ("{root: label, console: [ttyS1]}", "root=LABEL=top ro console=ttyS1"),
        ("{root: /dev/vda2, console: [], cmdline: quiet splash}", "root=/dev/vda2 ro quiet splash"),
        ("{root: none, console: []}", ""),
    ],
)
def test_a_command_line_is_root_consoles_and_the_recipes_words(tmp_path: Path, boot: str, cmdline: str) -> None:
    """In that order; PARTUUID is lower case, as initrds look for it."""
    assert made(tmp_path, boot).items == (Item("default", None, cmdline),)


def test_an_entrys_own_words_come_last(tmp_path: Path) -> None:
    """After those of all entries; entries keep their order, the first is the default."""
    found = made(tmp_path, "{root: none, console: [], cmdline: quiet, entries: {b: {title: B}, a: {cmdline: single}}}")
    assert found.items == (Item("b", "B", "quiet"), Item("a", None, "quiet single"))
    assert (found.default, found.timeout) == ("b", 5)


def test_an_entry_tells_whose_kernel_it_starts(tmp_path: Path) -> None:
    """Its own or that of all; completed, it has the path, the version and the title of that very kernel."""
    for name in ("k", "i"):
        (tmp_path / name).write_bytes(b"")
    own = "mine: {kernel: k, initrd: i}, bare: {kernel: k, initrd: none, title: Bare}"
    found = made(tmp_path, f"{{root: none, console: [], entries: {{all: {{}}, {own}}}}}")
    assert [(item.kernel_of, item.initrd, item.initrd_of) for item in found.items] == [
        ("", "", ""), ("mine", "", "mine"), ("mine", None, "")
    ]  # fmt: skip
    facts = {"": {"version": "1", "pretty_name": "Debian"}, "mine": {"version": "2", "pretty_name": "Linux"}}
    whole = found.completed(facts, {"": "a/k", "mine": "b/k"}, {"": "a/i", "mine": "b/i"})
    assert [(item.title, item.version, item.kernel, item.initrd) for item in whole.items] == [
        ("Debian", "1", "a/k", "a/i"), ("Linux", "2", "b/k", "b/i"), ("Bare", "2", "b/k", None)
    ]  # fmt: skip


@pytest.mark.parametrize(("console", "found"),
    [(["tty0", "ttyS0"], Serial(0, 115200)), (["ttyS1,9600n8"], Serial(1, 9600)), (["tty0"], None), (["ttyS"], None),
     (["ttyAMA0"], None)],
)  # fmt: skip
def test_the_serial_port_is_the_first_among_the_consoles(console: list[str], found: Serial | None) -> None:
    """With its speed, where one is written."""
    assert entries.serial(console) == found


def test_a_command_line_counts_what_the_loader_adds(tmp_path: Path) -> None:
    """Loaders name kernel and initrd on it: what would be cut off for that is refused once their paths are known."""
    own = "x" * 2000
    found = made(tmp_path, f"{{root: none, console: [], cmdline: {own}}}")
    facts = {"": {"version": "1", "pretty_name": "Debian"}}
    assert found.completed(facts, {"": "vmlinuz"}, {"": "initrd.img"}).items[0].cmdline == own
    with pytest.raises(StageError, match="entry default comes to 2061 bytes"):
        found.completed(facts, {"": "boot/vmlinuz-6.12.1"}, {"": "boot/initrd.img-6.12"})

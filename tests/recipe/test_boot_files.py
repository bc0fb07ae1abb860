"""Whose kernel and initrd each entry starts: each different one once, known by the first entry that says it."""

from __future__ import annotations

import pytest
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.boot_files import Initrd
from bootsmith.tasks.recipe.model.boot import Boot
from bootsmith.tasks.recipe.show import show

from tests.support.recipe_folder import SOURCE, RecipeFolder

SAID = [
    # boot:, each entry's kernel and initrd by whose they are, kernels and initrds that are needed
    ("", {"default": ("", "")}, [""], {"": ("auto", "")}),
    (
        "entries: {mine: {kernel: k}, debian: {}}",
        {"mine": ("mine", "mine"), "debian": ("", "")},
        ["", "mine"],
        {"": ("auto", ""), "mine": ("auto", "mine")},
    ),
    (
        "entries: {mine: {kernel: k, initrd: none}, debian: {}}",
        {"mine": ("mine", None), "debian": ("", "")},
        ["", "mine"],
        {"": ("auto", "")},
    ),
    (
        "entries: {mine: {kernel: k, initrd: i}, quiet: {kernel: k, initrd: i}, debian: {}}",
        {"mine": ("mine", "mine"), "quiet": ("mine", "mine"), "debian": ("", "")},
        ["", "mine"],
        {"": ("auto", ""), "mine": ("i", "")},
    ),
    (
        "initrd: i, entries: {mine: {kernel: k}, debian: {}}",
        {"mine": ("mine", ""), "debian": ("", "")},
        ["", "mine"],
        {"": ("i", "")},
    ),
    (
        "kernel: k, entries: {mine: {}, debian: {kernel: auto}}",
        {"mine": ("", ""), "debian": ("debian", "debian")},
        ["", "debian"],
        {"": ("auto", ""), "debian": ("auto", "debian")},
    ),
    (
        "kernel: install, entries: {debian: {kernel: auto}, mine: {kernel: k}}",
        {"debian": ("", ""), "mine": ("mine", "mine")},
        ["", "mine"],
        {"": ("auto", ""), "mine": ("auto", "mine")},
    ),
    (
        "initrd: i, entries: {a: {kernel: k}, b: {kernel: i}}",
        {"a": ("a", "a"), "b": ("b", "a")},
        ["a", "b"],
        {"a": ("i", "")},
    ),
    (
        "entries: {rescue: {initrd: tree}, debian: {}}",
        {"rescue": ("", "rescue"), "debian": ("", "")},
        [""],
        {"": ("auto", ""), "rescue": ("tree", "")},
    ),
]


@pytest.fixture
def with_files(recipes: RecipeFolder) -> RecipeFolder:
    """Files `k` and `i`, and an init for the tree."""
    for name in ("k", "i"):
        (recipes.folder / "recipes" / name).write_bytes(b"")
    return recipes


def said(recipes: RecipeFolder, text: str) -> Boot:
    return recipes.load(f"{SOURCE}boot: {{{text}}}\n").boot


@pytest.mark.parametrize(("text", "started", "kernels", "initrds"), SAID, ids=map(str, range(len(SAID))))
def test_what_each_entry_starts(
    text: str,
    started: dict[str, tuple[str, str | None]],
    kernels: list[str],
    initrds: dict[str, tuple[str, str]],
    with_files: RecipeFolder,
) -> None:
    """Its own, or that of `boot`; what two entries say alike is had once, what no entry starts not at all."""
    boot = said(with_files, text)
    entries = boot.entries.items()
    assert {
        name: (boot_files.kernel_of(boot, entry), boot_files.initrd_of(boot, entry)) for name, entry in entries
    } == started
    assert list(boot_files.kernels(boot)) == kernels
    found = {
        owner: each._replace(source=str(each.source).rpartition("/")[2])
        for owner, each in boot_files.initrds(boot).items()
    }
    assert found == {owner: Initrd(*each) for owner, each in initrds.items()}


@pytest.mark.parametrize("text", [text for text, *_ in SAID])
def test_what_is_shown_loads_back(text: str, with_files: RecipeFolder) -> None:
    """`show` writes what an entry inherits into the entry, and that means the same."""
    recipe = with_files.load(f"{SOURCE}boot: {{{text}}}\n")
    assert with_files.load(show(recipe)) == recipe


def test_a_key_on_the_command_line_is_an_entrys_too(with_files: RecipeFolder) -> None:
    """`boot.entries.NAME.kernel=PATH`, as any key."""
    recipe = with_files.load(
        SOURCE + "boot: {entries: {mine: {}, debian: {}}}\n", {"boot.entries.mine.kernel": "recipes/k"}
    )
    assert list(boot_files.kernels(recipe.boot)) == ["", "mine"]


def test_multiboot_entries_have_no_initrd(with_files: RecipeFolder) -> None:
    """`auto` is none there, for the entries as for all."""
    boot = (
        "loader: grub-bios, protocol: multiboot, kernel: {first: [k], as: /boot/k}, "
        "entries: {one: {}, two: {kernel: i, initrd: auto}}"
    )
    recipe = with_files.load(
        f"arch: i386\nsource: none\ndisk: {{partitions: {{root: {{mount: /}}}}}}\nboot: {{{boot}}}\n"
    )
    assert (list(boot_files.kernels(recipe.boot)), boot_files.initrds(recipe.boot)) == (["", "two"], {})

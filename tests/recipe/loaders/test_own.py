"""What is wrong with the facts in a loader's own file, told at the recipe that names it."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError

from tests.support.recipe_folder import SOURCE, RecipeFolder

BAD = [
    ("FIRMWARE = \n", ":1: this is no Python: invalid syntax; mend that line"),
    ('FIRMWARE = "uefi"\n', ": it has no function `make`; write `def make(making):`"),
    ("def make(making): ...\n", ': it does not say what starts it; write FIRMWARE = "uefi", "bios" or "direct"'),
    ('FIRMWARE = "efi"\ndef make(m): ...\n', ":1: FIRMWARE cannot be 'efi'; write one of uefi, bios, direct"),
    (
        'X = "uefi"\nFIRMWARE = X\ndef make(m): ...\n',
        ":2: FIRMWARE is computed, and facts are read without running; write its value out",
    ),
    (
        'FIRMWARE = "uefi"\nTOOLS = ["grub-mkimag"]\ndef make(m): ...\n',
        ":2: TOOLS cannot hold 'grub-mkimag'; did you mean grub-mkimage?",
    ),
    (
        'import requests\nFIRMWARE = "uefi"\ndef make(m): ...\n',
        ":1: an edit of requests would go unnoticed; write what it needs into this file",
    ),
    (
        'FIRMWARE = "uefi"\ndef make(m):\n    from bootsmith.tasks.tree import layer\n',
        ":3: an edit of bootsmith.tasks.tree.layer would go unnoticed; write what it needs into this file",
    ),
    (
        'FIRMWARE = "bios"\nLAYOUTS = {"apm": {}}\ndef make(m): ...\n',
        ":2: LAYOUTS cannot hold 'apm'; write one of gpt, mbr, none",
    ),
    ('FIRMWARE = "bios"\nREADS = "ext4"\ndef make(m): ...\n', ':2: READS is no list of words; write ["one", "two"]'),
]


@pytest.mark.parametrize(("text", "told"), BAD)
def test_what_is_wrong_with_its_facts_is_told_at_the_recipe(recipes: RecipeFolder, text: str, told: str) -> None:
    """With the line in its file, before any of it ran."""
    recipes.write("mine.py", text)
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + "boot: {loader: ./mine.py}\n")
    assert caught.value.problems == [f"recipes/x.yaml:2:16: boot.loader: recipes/mine.py{told}"]


def test_a_loader_that_is_not_there(recipes: RecipeFolder) -> None:
    """A file that does not exist is told as any other; a word that is none is told with what was meant."""
    for word, told in (
        ("./mine.py", "recipes/mine.py does not exist; create that file"),
        ("grub", "'grub' is not a choice; did you mean grub-efi?"),
    ):
        with pytest.raises(RecipeError) as caught:
            recipes.load(SOURCE + f"boot: {{loader: {word}}}\n")
        assert caught.value.problems == [f"recipes/x.yaml:2:16: boot.loader: {told}"]


def test_an_initrd_is_not_looked_for_without_a_kernel(recipes: RecipeFolder) -> None:
    """`initrd: auto` goes by the kernel: with none, the recipe must say what there is instead."""
    recipes.write("mine.py", 'FIRMWARE = "bios"\nLAYOUTS = {"mbr": {"root": {"mount": "/"}}}\ndef make(m): ...\n')
    with pytest.raises(RecipeError, match=r"boot.initrd: auto goes by the kernel, and boot.kernel is none; write none"):
        recipes.load(SOURCE + "boot: {loader: ./mine.py, kernel: none}\n")

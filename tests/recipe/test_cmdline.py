"""Command lines of kernels, divided as Linux does."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.cmdline import words

from tests.support.recipe_folder import SOURCE, RecipeFolder


@pytest.mark.parametrize(("text", "found"),
    [("", []), ("  ", []), ("quiet", ["quiet"]), (" a  b\tc ", ["a", "b", "c"]), ('x="a b" y', ["x=a b", "y"]),
     ('"x=a b"', ["x=a b"]), ('x=""', ["x="]), ("it's", ["it's"]), ('""', [""])],
)  # fmt: skip
def test_words_are_divided_by_blanks_outside_quotes(text: str, found: list[str]) -> None:
    """Quotes around a word or a value are no part of it."""
    assert words(text) == found


@pytest.mark.parametrize("text", ['"', 'a"b', 'x="a', 'x="a"b', '"a""b"', 'x=a"b c"'])
def test_quotes_anywhere_else_are_refused(text: str) -> None:
    """What kernels make of them differs."""
    with pytest.raises(ValueError, match='"'):
        words(text)


@pytest.mark.parametrize(("loader", "text", "told"),
    [("grub-bios", "it's", "grub-bios puts a backslash before '; leave it out, or take another loader"),
     ("grub-efi", "a\\b", "grub-efi puts a backslash before \\; leave it out, or take another loader"),
     ("grub-efi", 'a"b', 'grub-efi takes double quotes around a word or a value alone; write like a="b c"')],
)  # fmt: skip
def test_what_grub_would_change_is_refused(recipes: RecipeFolder, loader: str, text: str, told: str) -> None:
    """It writes quotes and backslashes with a backslash before them; other loaders take a line as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + f'boot: {{cmdline: "{escaped}", loader: {loader}}}\n')
    assert caught.value.problems == [f"recipes/x.yaml:2:17: boot.cmdline: {told}"]
    assert recipes.load(SOURCE + f'boot: {{cmdline: "{escaped}"}}\n').boot.cmdline == text

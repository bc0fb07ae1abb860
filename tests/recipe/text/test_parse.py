"""YAML as recipes are read: what PyYAML reads of the same text, but for what a recipe must not hold."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import yaml
from bootsmith.tasks.recipe.text.nodes import Items, Node, Place, Table, Text
from bootsmith.tasks.recipe.text.parse import parse_text
from bootsmith.tasks.recipe.text.problems import Problems
from hypothesis import given
from hypothesis import strategies as st

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"

WORDS = st.one_of(
    st.sampled_from(
        ["no", "0755", "1.10", "~", "a: b", "- x", "# no comment", " x ", "'", '"', "a\nb\n", "é", "\U0001f4be"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
)
KEYS = WORDS.filter(lambda key: key not in ("", "<<"))  # of which a recipe takes neither
TREES: st.SearchStrategy[Plain] = st.recursive(
    WORDS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)


def plain(node: Node) -> Plain:
    """Return what a value says, without where it says it."""
    match node:
        case Text():
            return node.text
        case Items():
            return [plain(each) for each in node.items]
        case Table():
            return {key: plain(entry.value) for key, entry in node.entries.items()}
    raise AssertionError(node)


def parsed(text: str) -> Plain:
    """Return what a recipe's text says; it must be without a mistake."""
    problems = Problems()
    found = parse_text(text, Place("recipe.yaml", 1, 1, Path()), problems)
    assert not problems.lines()
    assert found is not None
    return plain(found)


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4), st.sampled_from([True, False, None]))
def test_a_text_says_what_pyyaml_reads(tree: dict[str, Plain], flow: bool | None) -> None:
    """In block and flow style, whatever needs quotes, folding or escapes."""
    text = yaml.dump(tree, Dumper=yaml.CSafeDumper, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    assert parsed(text) == yaml.load(text, Loader=yaml.CBaseLoader) == tree

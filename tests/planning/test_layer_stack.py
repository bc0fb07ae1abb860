"""The layers of a recipe's tree: which there are, in what order, and how a stage takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load

SITE = Site("x", Path("/b"), Path("/x.lock"), 1)
SOURCE = "source: {debian: {suite: trixie}}\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["base", "system"]),
        ("system: none\n", ["base"]),
        ("layers: [{overlay: ., name: mine}, {links: {/a: b}}]\n", ["base", "mine", "2-links", "system"]),
    ],
)
def test_layers_lie_in_the_recipes_order(tmp_path: Path, text: str, names: list[str]) -> None:
    """What the recipe adds lies on the base as it is written, what it declares of the system on all of that."""
    (tmp_path / "x.yaml").write_text(SOURCE + text)
    assert [layer.name for layer in layer_stack.stack(load(tmp_path / "x.yaml"), SITE)] == names


def test_a_stage_that_reads_no_files_has_no_tars() -> None:
    """Layers are inputs by their number from below: their indexes, and what they hold where files are read."""
    layers = (SITE.base, SITE.layer("mine"))
    indexes = {"0.index": SITE.base.index, "1.index": SITE.layer("mine").index}
    assert layer_stack.inputs(layers, tars=False) == indexes
    tars = {"0.tar": SITE.base.tar, "1.tar": SITE.layer("mine").tar}
    assert layer_stack.inputs(layers, tars=True) == indexes | tars

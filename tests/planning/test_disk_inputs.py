"""What a disk is filled from, as inputs of its stages."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.planning import disk_inputs
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Recipe

SITE = Site("x", Path("/b"), Path("/x.lock"), 7)
OWN = "boot: {entries: {all: {}, mine: {kernel: k, initrd: none}}}\n"
NOWHERE = "boot: {loader: syslinux, kernel: k, initrd: tree}\n"


@pytest.fixture
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Recipe:
    """The recipe of a Debian tree, and a kernel beside it, with these keys."""
    (tmp_path / "k").write_bytes(b"")
    (tmp_path / "x.yaml").write_text("source: {debian: {suite: trixie}}\n" + str(request.param))
    return load(tmp_path / "x.yaml")


@pytest.mark.parametrize("recipe", [OWN], indirect=True)
def test_each_entrys_kernel_is_an_input_of_its_own(recipe: Recipe) -> None:
    """With what is known of it; an entry without an initrd has none."""
    found = disk_inputs.kernels(recipe, SITE)
    assert set(found.values()) == {
        SITE.kernel, SITE.initrd, SITE.kernel_facts, SITE.kernel_for("mine"), SITE.kernel_facts_for("mine"),
    }  # fmt: skip
    assert disk_inputs.facts(recipe, SITE).items() <= found.items()


@pytest.mark.parametrize(("recipe", "layers"), [(OWN, ["base", "system"]), (NOWHERE, [])], indirect=["recipe"])
def test_a_disk_without_the_tree_takes_no_layer(recipe: Recipe, layers: list[str]) -> None:
    """A tree that is all in the initrd is on no partition: then a change of it changes nothing of the disk."""
    assert [*disk_inputs.layers(recipe, SITE)] == layers
    assert [*disk_inputs.indexes(recipe, SITE)] == [f"{name}.index" for name in layers]
    assert [*disk_inputs.tars(recipe, SITE)] == [f"{name}.tar" for name in layers]

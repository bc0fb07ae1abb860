"""show, recipes, schema, update, fetch-mach: what is said of recipes, and done to their lock files."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import yaml
from bootsmith.tasks.command.actions import recipes
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.packages import renewal
from bootsmith.tasks.packages.lockfile import Change, Package

from tests.command.actions.conftest import Calls

DEBIAN = "source: {debian: {suite: trixie}}\n"


def test_a_recipe_is_shown_whole(call: Calls) -> None:
    """With every default, as a recipe that can be read again; another one by its name."""
    recipes.show(call("show"))
    told = yaml.safe_load(call.said)
    assert told["boot"]["loader"] in ("syslinux", ["syslinux"])
    assert told["machine"]["memory"]
    before = len(call.said)
    recipes.show(call("show", recipe="kernel"))
    assert "initramfs" in call.said[before:]


def test_a_wrong_recipe_is_not_shown(call: Calls) -> None:
    """Its mistakes are told instead."""
    call.edit("system: none", "sytsem: none")
    with pytest.raises(RecipeError, match="did you mean system"):
        recipes.show(call("show"))


def test_recipes_are_listed(call: Calls) -> None:
    """One line each, with what they say of themselves."""
    call.edit("system: none", "system: none\ndescription: a small box")
    recipes.recipes(call("recipes"))
    assert call.said.splitlines() == ["box     a small box", "kernel"]


def test_the_schema_is_one(call: Calls) -> None:
    """JSON, for editors."""
    recipes.schema(call("schema"))
    assert "properties" in json.loads(call.said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            [Change("", None, Package("vim", "9", "amd64", "main", True, 2 << 20, "0", "v.deb"))],
            "new:\n  vim  9  2.0 MiB\nbox.lock: 1 new; 2.0 MiB of packages\n",
        ),
        ([], "box.lock: as it was\n"),
    ],
)
def test_what_an_update_changed_is_told(
    call: Calls, monkeypatch: pytest.MonkeyPatch, changes: list[Change], said: str
) -> None:
    """Package by package, in the lock file beside the recipe."""
    (call.top / "box.yaml").write_text(DEBIAN)
    asked: list[Any] = []
    monkeypatch.setattr(renewal, "update", lambda *words, **_: asked.append(words) or changes)
    recipes.update(call("update", package="vim, ed"))
    ((recipe, lock, _, _, only),) = asked
    assert only == ["vim", "ed"]
    assert (recipe.name, lock) == ("box", call.top / "box.lock")
    assert call.said == said


def test_without_packages_there_is_nothing_to_update(call: Calls) -> None:
    """No lock file is made for it."""
    recipes.update(call("update", recipe="kernel"))
    assert call.said == "kernel needs no packages, so it has no kernel.lock\n"
    assert not (call.top / "kernel.lock").exists()


def test_a_kernel_of_no_package_is_not_fetched(call: Calls) -> None:
    """Of the recipe that is named; without a name it is that of lites.yaml, whose server is not asked for."""
    (call.top / "lites.yaml").write_text(
        (call.top / "box.yaml").read_text() + "vars: {lites_server: {help: the server}}\nhostname: ${lites_server}\n"
    )
    recipes.fetch_mach(call("fetch-mach", recipe="kernel"))
    assert call.said == "kernel takes its kernel out of no package, so there is nothing to fetch\n"
    (call.top / "lites.yaml").write_text(
        (call.top / "box.yaml").read_text()
        + "vars: {lites_server: {help: the server}}\ndescription: with ${lites_server}\n"
    )
    recipes.fetch_mach(call("fetch-mach"))
    assert call.said.endswith("lites takes its kernel out of no package, so there is nothing to fetch\n")
    with pytest.raises(RecipeError, match="lites_server"):
        recipes.show(call("show", recipe="lites"))


def test_an_update_is_told_as_package_managers_do() -> None:
    """What is upgraded, new and removed, by name, with the versions and how much more or less there is to fetch."""
    one, two = (Package("a", str(n), "amd64", "main", True, n << 20, "0", "a.deb") for n in (1, 3))
    other = dataclasses.replace(one, name="longer")
    told = recipes.difference([Change("", one, two), Change("", None, other), Change("mine", two, None)])
    assert [*told] == [
        "upgraded:", "  a  1 -> 3  +2.0 MiB", "new:", "  longer  1  1.0 MiB", "removed:", "  a  3  -3.0 MiB  (mine)",
    ]  # fmt: skip

"""Recipes that start from others, and profiles."""

from __future__ import annotations

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.model.layers import Overlay
from bootsmith.tasks.recipe.model.outputs import Qcow2, Raw

from tests.support.recipe_folder import SOURCE, RecipeFolder

BASE = """
name: base
description: the base
seed: seeded
source: {debian: {suite: trixie, packages: [vim, nano]}}
boot: {cmdline: quiet, console: [ttyS0], timeout: 3}
layers: [{name: one, remove: [/a]}, {remove: [/b]}]
system: {users: {root: {password: {file: pw}, uid: 0}, joe: {uid: 1000}}}
outputs: [raw: {file: base.img}]
disk: {size: 8G}
"""


def problems(recipes: RecipeFolder, text: str, **words: str) -> list[str]:
    """Return the mistakes in a recipe that has some."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(text, words)
    return caught.value.problems


def test_mappings_merge_and_the_rest_is_replaced(recipes: RecipeFolder) -> None:
    """A child says only what differs; its lists and texts stand in place of its parent's."""
    recipes.write("base", BASE)
    recipe = recipes.load(
        "extends: base\nsource: {debian: {suite: bookworm}}\nboot: {console: [tty0]}\nlayers: []\n"
        "system: {users: {joe: {shell: /bin/sh}, ann: {}}}\n"
    )
    assert (recipe.source.suite, recipe.source.packages) == ("bookworm", ("vim", "nano"))
    assert (recipe.boot.cmdline, recipe.boot.console, recipe.boot.timeout) == ("quiet", ("tty0",), 3)
    assert recipe.layers == ()
    users = recipe.system.users
    assert list(users) == ["root", "joe", "ann"]
    assert (users["joe"].uid, users["joe"].shell) == (1000, "/bin/sh")


def test_name_and_description_are_a_files_own(recipes: RecipeFolder) -> None:
    """A child does not build in its parent's folder; it does keep its parent's seed."""
    recipes.write("base", BASE)
    recipe = recipes.load("extends: base")
    assert (recipe.name, recipe.description, recipe.seed) == ("x", "", "seeded")


def test_a_reference_to_a_secret_is_replaced_whole(recipes: RecipeFolder) -> None:
    """Another source of a password takes the place of the inherited one."""
    recipes.write("base", BASE)
    recipe = recipes.load("extends: base\nsystem: {users: {root: {password: {env: PW}}}}")
    assert recipe.system.users["root"].password == Secret(env="PW")


def test_plus_appends_and_minus_removes(recipes: RecipeFolder) -> None:
    """`key+` adds to lists and texts, `key-` takes equal items, kinds and names out of lists."""
    recipes.write("base", BASE)
    recipe = recipes.load(
        "extends: base\nsource: {debian: {packages+: [git, vim], packages-: [nano]}}\nboot: {cmdline+: debug}\n"
        "layers-: [one]\nlayers+: [{remove: [/c]}]\noutputs-: [raw]\noutputs+: [qcow2]\n"
    )
    assert recipe.source.packages == ("vim", "git")
    assert recipe.boot.cmdline == "quiet debug"
    assert [layer.remove for layer in recipe.layers] == [("/b",), ("/c",)]  # type: ignore[union-attr]
    assert [output.file for output in recipe.outputs] == ["x.qcow2"]


def test_plus_and_minus_also_change_defaults(recipes: RecipeFolder) -> None:
    """What nobody wrote can be added to and taken from all the same."""
    recipe = recipes.load(SOURCE + "boot: {console+: [ttyS1], console-: [tty0], cmdline+: quiet}\noutputs-: [raw]")
    assert (recipe.boot.console, recipe.boot.cmdline) == (("ttyS0", "ttyS1"), "quiet")
    assert [type(output) for output in recipe.outputs] == [Qcow2]


def test_names_of_things_keep_their_plus(recipes: RecipeFolder) -> None:
    """A file called g++ is not an addition to g+."""
    recipe = recipes.load(SOURCE + "layers: [{links: {/usr/bin/g++: clang}}]")
    assert recipe.layers[0].links == {"/usr/bin/g++": "clang"}  # type: ignore[union-attr]


def test_null_drops_what_a_parent_says(recipes: RecipeFolder) -> None:
    """A dropped key is back to its default, a dropped thing is gone, and root is always there."""
    recipes.write("base", BASE)
    recipe = recipes.load(
        "extends: base\nboot: {cmdline: null}\nlayers:\nsystem: {users: {joe: null, root: null}}\ndisk: null\n"
    )
    assert (recipe.boot.cmdline, recipe.layers, recipe.disk.size) == ("", (), "auto")
    assert {name: user.password for name, user in recipe.system.users.items()} == {"root": "locked"}


def test_parents_count_from_left_to_right_and_once(recipes: RecipeFolder) -> None:
    """Of two parents the right one wins, and what both start from stands below both."""
    recipes.write("base", BASE)
    recipes.write("left", "extends: base\nboot: {timeout: 1, cmdline+: left}\n")
    recipes.write("right", "extends: base\nboot: {timeout: 2, cmdline+: right}\n")
    recipe = recipes.load("extends: [left, right.yaml]\n")
    assert (recipe.boot.timeout, recipe.boot.cmdline) == (2, "quiet left right")
    assert [path.name for path in recipe.files] == ["x.yaml", "base.yaml", "left.yaml", "right.yaml"]


def test_parents_are_found_beside_the_child_then_in_the_search_folder(recipes: RecipeFolder) -> None:
    """A recipe elsewhere may start from one of the project's."""
    from bootsmith.tasks.recipe.load import load

    recipes.write("base", BASE)
    child = recipes.write("other/child.yaml", "extends: base\n")
    assert load(child, search=recipes.folder / "recipes").boot.timeout == 3
    with pytest.raises(RecipeError, match="there is no recipe 'base'"):
        load(child)


def test_a_circle_of_parents_is_refused(recipes: RecipeFolder) -> None:
    """Recipes that extend each other are told as the circle they are."""
    recipes.write("a", "extends: b\n")
    recipes.write("b", "extends: x\n")
    assert problems(recipes, "extends: a\n") == [
        (
            "recipes/b.yaml:1:10: extends: recipes in a circle: recipes/x.yaml extends recipes/a.yaml extends "
            "recipes/b.yaml extends recipes/x.yaml; remove one of these extends"
        )
    ]


def test_a_missing_parent_hides_no_mistake_and_makes_none(recipes: RecipeFolder) -> None:
    """Beside the missing parent only what is wrong in any case is told: not the source it may have had."""
    assert [line.split(": ")[1] for line in problems(recipes, "extends: bse\ndsk: 1\nboot: {timeout: x}\n")] == [
        "extends", "dsk", "boot.timeout",
    ]  # fmt: skip


def test_a_mistake_is_told_in_the_file_that_holds_it(recipes: RecipeFolder) -> None:
    """A parent's mistake is placed in the parent, a child's that only shows in both in the child."""
    recipes.write("base", BASE + "test: {timeout: 5}\n")
    assert problems(recipes, "extends: base\ndisk:\n  size: 1M\n") == [
        "recipes/base.yaml:11:17: test.timeout: 5 has no unit; did you mean 5s?",
        (
            "recipes/x.yaml:3:9: disk.size: 1M is too small: the partitions need 515M, and what their files take; "
            "raise it, or make them smaller"
        ),
    ]


def test_a_bare_value_merges_with_options(recipes: RecipeFolder) -> None:
    """A parent's options of another kind do not linger."""
    recipes.write("base", SOURCE + "outputs: [raw: a.img]\nlayers: [overlay: .]\n")
    recipe = recipes.load("extends: base\n")
    assert recipe.outputs == (Raw("a.img"),)
    assert recipe.layers == (Overlay("1-overlay", recipes.folder / "recipes", "/", ()),)


PROFILES = (
    SOURCE + "boot: {cmdline: quiet}\nprofiles:\n  debug: {boot: {cmdline+: debug}, vars: {level: 7}}\n  big:\n"
    "    disk: {size: 64G}\nvars: {level: 4}\ntest: {run: ['echo ${level}']}\n"
)


def test_a_profile_is_merged_last(recipes: RecipeFolder) -> None:
    """A profile changes the recipe it is in, its variables too, and the recipe says which one it was."""
    recipe = recipes.load(PROFILES, profile="debug")
    assert (recipe.profile, recipe.boot.cmdline, recipe.test.run) == ("debug", "quiet debug", ("echo 7",))
    assert recipe.name == "x"
    plain = recipes.load(PROFILES)
    assert (plain.profile, plain.boot.cmdline, plain.test.run) == (None, "quiet", ("echo 4",))


def test_profiles_are_inherited(recipes: RecipeFolder) -> None:
    """A child has its parents' profiles, adds to them, and may drop one."""
    recipes.write("base", PROFILES)
    child = "extends: base\nprofiles: {debug: {boot: {cmdline+: more}}, big: null}\n"
    assert recipes.load(child, profile="debug").boot.cmdline == "quiet debug more"
    with pytest.raises(RecipeError, match=r"profile: no profile 'big' in x\.yaml; only debug is known here"):
        recipes.load(child, profile="big")


def test_a_mistake_in_any_profile_is_told(recipes: RecipeFolder) -> None:
    """A profile nobody asks for is checked too, once."""
    assert problems(recipes, SOURCE + "profiles: {a: {dsk: 1}, b: {boot: {timeout: x}}}\nseed: ${no}\n") == [
        "recipes/x.yaml:2:16: dsk: unknown key; did you mean disk?",
        "recipes/x.yaml:2:45: boot.timeout: 'x' is not a whole number; write decimal digits",
        (
            "recipes/x.yaml:3:7: seed: there is no variable 'no' (the text itself is written $${no}); "
            "known here: name, version, arch, suite"
        ),
    ]

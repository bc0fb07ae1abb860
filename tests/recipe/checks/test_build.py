"""Builds of a recipe: what is wrong with them, and how what they make is taken."""

from __future__ import annotations

import pytest
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import builds
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.files import BuiltFile
from bootsmith.tasks.recipe.show import show

from tests.support.recipe_folder import RecipeFolder, each_of

TREE = "source: none\nsystem: none\nboot: {kernel: none}\noutputs: [tar]\n"
BAD = [
    (TREE + "build: {a: {run: make, output: x}}\n",
     ["5:9: build.a.inputs: this must be given; write `inputs: [PATH]`"]),
    (TREE + "build: {a: {run: make, inputs: [x.yaml], output: ../x}}\n",
     ["5:50: build.a.output: '../x' is not a path inside the copy; write it from the folder `dir` on, without .."]),
    (TREE + "build: {a: {run: make, inputs: [../src], output: x}}\n",
     [("5:33: build.a.inputs: src is not in recipes, where the command runs; "
       "let build.a.dir name a folder that holds both")]),
    (TREE + "build: {a: {run: make, inputs: [none], output: x}}\n",
     ["5:33: build.a.inputs: recipes/none does not exist; create it, or leave it out"]),
    (TREE + 'build: {a: {run: make, inputs: ["*.yaml", "no[nt]e/*.c"], output: x}}\n',
     ["5:43: build.a.inputs: no[nt]e/*.c matches nothing in recipes; mend it, or leave it out"]),
    (TREE + "build: {a: {run: make, inputs: [x.yaml], output: o/x, scratch: [o]}}\n",
     [("5:50: build.a.output: o/x lies in o, which is kept: an old one could be taken for a new one; "
       "let the command copy it out of there")]),
    (TREE + "build: {a: {run: make, inputs: [x.yaml], output: x, env: {PATH: x}}}\n",
     ["5:59: build.a.env.PATH: PATH is the same for all that runs in a tree; take another name"]),
    (TREE + "layers: [files: {/a: {build: b}}]\n",
     ["5:18: layers.files./a.from: there is no build 'b'; write it below build:"]),
    (TREE + "build: {prog: {run: make, inputs: [x.yaml], output: x}}\nlayers: [files: {/a: {build: prg}}]\n",
     ["6:18: layers.files./a.from: there is no build 'prg'; did you mean prog?"]),
    (TREE + "layers: [files: {/a: {build: b, package: c}}]\n",
     ["5:18: layers.files./a.from: build and package at once; write one of them"]),
]  # fmt: skip


@each_of(BAD)
def test_mistakes(recipes: RecipeFolder, text: str, lines: list[str]) -> None:
    """Each is told with its place, and what to do."""
    assert recipes.mistakes(text) == lines


GOOD = """
build:
  prog: {run: [make, all], inputs: ["src/*.c", src/inc, src/inc/deep.h], dir: src, output: bin/prog, tools: [make],
    env: {A: b}, scratch: [ccache], network: true}
  unused: {run: make, inputs: [x.yaml], output: x}
source: none
layers: [files: {/bin/prog: {from: {build: prog}, mode: 0755}, /b: {first: [none, {build: prog}]},
    /init: {content: x, mode: 0755}}]
system: none
boot: {loader: direct, kernel: {build: prog}, initrd: tree}
outputs: [kernel]
"""


def test_what_is_taken_is_made(recipes: RecipeFolder) -> None:
    """A file that a build makes stands wherever a file does; the rest is not built. `show` writes what reads back."""
    for name in ("src/a.c", "src/.hidden.c", "src/inc/deep.h"):
        recipes.write(name, "")
    recipe = recipes.load(GOOD)
    assert recipe.volatile
    again = recipes.write("again", show(recipe))
    assert load(again).build == recipe.build
    plan = make.plan(recipe, Site("x", recipes.folder / "build/x", recipes.folder / "x.lock", 1))
    (stage,) = [stage for stage in plan.stages if stage.name.startswith("build/")]
    assert [*stage.inputs] == ["input/.hidden.c", "input/a.c", "input/inc"]
    assert {"make", "sh"} <= {*stage.tools}
    made = stage.outputs["file"]
    assert made.name == "prog"
    takers = [each.name for each in plan.stages if made in each.inputs.values()]
    assert sorted(takers) == ["kernel", "layers/1-files"]
    assert recipe.build["unused"].dir == recipe.file.parent
    assert recipe.layers[0].files["/b"].source == BuiltFile("prog")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ('., "*.c", a.c, d, d/e.h', ["."]),
        ("d/e.h, d, a.c", ["a.c", "d"]),
        ("a.c, d/e.h", ["a.c", "d/e.h"]),
        ('"**/e.h", "*.c"', ["a.c", "d/e.h"]),
    ],
)
def test_what_lies_in_another_input_is_read_once(inputs: str, found: list[str], recipes: RecipeFolder) -> None:
    """Of the folder itself as of any other: it brings what is below it. What a folder is called makes no pattern."""
    for name in ("[src]*/a.c", "[src]*/d/e.h", "s/a.c"):
        recipes.write(name, "")
    words = ", ".join(
        f'"[src]*/{each}"' if each != "." else '"[src]*"' for each in (word.strip('" ') for word in inputs.split(","))
    )
    recipe = recipes.load(f'{TREE}build: {{a: {{run: make, dir: "[src]*", inputs: [{words}], output: x}}}}\n')
    assert [each for each, _ in builds.inputs(recipe.build["a"])] == found
    assert recipe.volatile is ("*" in inputs)
    assert all(path.exists() for _, path in builds.inputs(recipe.build["a"]))

"""FILE, wherever a recipe takes a file: a path, one out of a package, the first of several that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.boot import Kernel
from bootsmith.tasks.recipe.model.files import PackageFile
from bootsmith.tasks.recipe.model.layers import Files
from bootsmith.tasks.recipe.show import show
from bootsmith.tasks.recipe.values.files import packaged

from tests.support.recipe_folder import SOURCE, RecipeFolder

PACKAGE = "{package: busybox-static, path: /bin/busybox}"
MACH = """\
arch: i386
vars: {kernel: null, server: {help: "the server, or none"}}
source: none
disk: {partitions: {root: {fs: ext2, mount: /}}}
boot:
  loader: grub-bios
  protocol: multiboot
  kernel: {first: ["${kernel}", ../build/mach, {package: gnumach, path: /boot/gnumach-*.gz}], as: /boot/gnumach}
  modules: [{file: "${server}", as: /boot/server, args: server $(task-create)}]
  entries:
    full: {title: Full}
    bare: {modules: []}
"""


@pytest.fixture
def here(recipes: RecipeFolder) -> RecipeFolder:
    for name in ("one.bin", "two.bin"):
        recipes.write(name, name)
    return recipes


def source(recipes: RecipeFolder, file: str) -> object:
    """Return what a file of a layer is taken from."""
    (layer,) = recipes.load(SOURCE + f"layers: [files: {{/x: {file}}}]\n").layers
    assert isinstance(layer, Files)
    return layer.files["/x"].source


def test_a_path_stands_alone_or_below_from(here: RecipeFolder) -> None:
    """The file alone, or among its options, is the same."""
    assert source(here, "one.bin") == source(here, "{from: one.bin, mode: 0755}") == here.folder / "recipes/one.bin"


@pytest.mark.parametrize("form", [PACKAGE, f"{{from: {PACKAGE}}}", PACKAGE.replace("}", ", mode: 0755}")])
def test_a_package_s_file_takes_suite_and_architecture_of_the_recipe(form: str, here: RecipeFolder) -> None:
    """Written in any of three ways; where nothing is said of suite and architecture, they are the recipe's own."""
    assert source(here, form) == PackageFile("busybox-static", "/bin/busybox", "trixie", "amd64")


def test_where_no_suite_is_said_it_is_a_documented_one(here: RecipeFolder) -> None:
    """Of another architecture, or without a distribution: the newest release in which the architecture is whole."""
    other = PACKAGE.replace("}", ", arch: i386}")
    assert source(here, other) == PackageFile("busybox-static", "/bin/busybox", "bookworm", "i386")
    (file,) = packaged(here.load(MACH, {"server": "none"}))
    assert (file.suite, file.arch) == ("bookworm", "i386")


def test_the_first_that_is_there_is_taken(here: RecipeFolder) -> None:
    """Nulls and missing ones are skipped, a folder is no file, and what was chosen is told. L18."""
    (here.folder / "recipes/folder").mkdir()
    text = (
        SOURCE + f"vars: {{v: null}}\nlayers: [files: {{/x: {{first: ['${{v}}', no, folder, two.bin, {PACKAGE}]}}}}]\n"
    )
    recipe = here.load(text)
    (layer,) = recipe.layers
    assert isinstance(layer, Files)
    assert layer.files["/x"].source == here.folder / "recipes/two.bin"
    assert recipe.choices == ("layers.files./x.from: recipes/two.bin (recipes/no, recipes/folder not there)",)


def test_a_package_is_the_last_resort(here: RecipeFolder) -> None:
    """Where no file is there the package is taken, and the choice names it and what was looked for. L4, L18."""
    recipe = here.load(MACH, {"server": "none"})
    assert recipe.choices == (
        "boot.kernel.file: /boot/gnumach-*.gz of the package gnumach (build/mach not there)",
    )  # fmt: skip
    (file,) = packaged(recipe)
    assert file.instead_of == (here.folder / "build/mach",)


def test_what_the_command_names_must_be_there(here: RecipeFolder) -> None:
    """A kernel given on the command line is the one that is used; one that is missing is never passed over. L3."""
    recipe = here.load(MACH, {"server": "none", "kernel": "recipes/one.bin"})
    assert isinstance(recipe.boot.kernel, Kernel)
    assert recipe.boot.kernel.file == here.folder / "recipes/one.bin"
    with pytest.raises(RecipeError) as caught:
        here.load(MACH, {"server": "none", "kernel": "recipes/oen.bin"})
    assert caught.value.problems == [
        "recipes/x.yaml:8:20: boot.kernel.file.first: recipes/oen.bin does not exist; did you mean one.bin?"
    ]


def test_entries_that_need_what_is_none_are_left_out(here: RecipeFolder) -> None:
    """Without the module its entries are gone, and the next one is the default; with it all are there. L5."""
    assert list(here.load(MACH, {"server": "none"}).boot.entries) == ["bare"]
    full = here.load(MACH, {"server": "recipes/one.bin"})
    assert list(full.boot.entries) == ["full", "bare"]
    assert full.boot.default == "full"
    assert [module.path for module in full.boot.entries["full"].modules] == ["/boot/server"]
    assert full.boot.entries["bare"].modules == ()


def test_what_was_not_given_is_told_with_its_help(here: RecipeFolder) -> None:
    """A variable without a default must be given; the error says what it is, before anything is written. L5."""
    with pytest.raises(RecipeError) as caught:
        here.load(MACH)
    assert caught.value.problems == [
        (
            "recipes/x.yaml:2:22: vars.server: this variable must be given (the server, or none); "
            "add server=VALUE to the command"
        )
    ]


@pytest.mark.parametrize("words", [{"server": "none"}, {"server": "recipes/one.bin", "kernel": "recipes/two.bin"}])
def test_what_show_prints_means_the_same(words: dict[str, str], here: RecipeFolder) -> None:
    """The recipe in full, with its choices made, loads to the same recipe."""
    recipe = here.load(MACH, words)
    again = here.load(show(recipe))
    assert (again.boot, again.disk, again.system) == (recipe.boot, recipe.disk, recipe.system)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("{uri: x}", "uri: unknown key; did you mean url?"),
        ("{build: x}", "there is no build 'x'; write it below build:"),
        ("{first: one.bin}", "first: this takes a list of files; write [FILE, ...]"),
        ("{first: []}", "first: no file is named; create one of them, or name another file"),
        ("{first: [no, nor]}", "first: none of these is there: recipes/no, recipes/nor; create one of them, or"),
        ("{first: [one.bin], package: x, path: /y}", "first and package at once; write one of them"),
        ("{package: xy}", "path: this must be given; write `path: GLOB`"),
        ("{package: X, path: /y}", "package: 'X' is not a package's name"),
        ("{package: xy, path: y}", "path: 'y' is not a path in the tree"),
        ("{package: xy, path: /y, arch: arm}", "arch: 'arm' is not a choice; known here: amd64, i386"),
        (
            "[one.bin]",
            (
                "this takes one file; write a PATH, {package:, path:}, {build: NAME}, {recipe:, output:}, "
                "{url:, sha256:} or {first: [...]}"
            ),
        ),
        ("on.bin", "recipes/on.bin does not exist; did you mean one.bin?"),
    ],
)
def test_what_is_no_file_is_told(file: str, what: str, here: RecipeFolder) -> None:
    """Each mistake names the key, what is wrong and what to do."""
    with pytest.raises(RecipeError) as caught:
        here.load(SOURCE + f"boot: {{initrd: {file}}}\n")
    (line,) = caught.value.problems
    assert what in line
    assert line.startswith("recipes/x.yaml:2:")
    assert "boot.initrd" in line


def test_a_child_changes_its_parent_s_file(here: RecipeFolder) -> None:
    """Another kind of file, or none of one's own, replaces the parent's whole."""
    here.write("parent", SOURCE + f"boot: {{kernel: {PACKAGE}}}\n")
    assert here.load("extends: parent\nboot: {kernel: auto}\n").boot.kernel == "auto"
    own = here.load("extends: parent\nboot: {kernel: one.bin}\n").boot.kernel
    assert own == Kernel(here.folder / "recipes/one.bin", None)


def test_paths_are_the_writers(here: RecipeFolder) -> None:
    """Each path of a list starts from the file that writes it."""
    here.write("sub/parent", SOURCE + "boot: {initrd: {first: [mine.bin, ../one.bin]}}\n")
    here.write("sub/mine.bin", "x")
    assert here.load("extends: sub/parent.yaml\n").boot.initrd == Path(here.folder / "recipes/sub/mine.bin")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/a/b-1.tgz?x=/y", "b-1.tgz"),
        ("file:///srv/a%20b", "a20b"),
        ("http://example.org/x/", "file"),
        ("http://example.org/..", "file"),
    ],
)
def test_a_file_of_the_web_is_told_by_its_content(recipes: RecipeFolder, url: str, name: str) -> None:
    """It is a stage that needs nothing but the store, once it was fetched; where it is from is in no key."""
    sha256 = "0123456789abcdef" * 4
    recipe = recipes.load(SOURCE + f"layers: [files: {{/a: {{from: {{url: '{url}', sha256: {sha256}}}}}}}]\n")
    plan = make.plan(recipe, Site("x", recipes.folder / "build/x", recipes.folder / "x.lock", 1))
    stage = plan.stage(f"files/{name}_0123456789ab")
    assert (stage.params, stage.hints, stage.inputs) == ({"sha256": sha256}, {"url": url}, {})
    assert stage.outputs["file"] in plan.stage("layers/1-files").inputs.values()
    again = load(recipes.write("again", show(recipe)))
    assert again.layers == recipe.layers


@pytest.mark.parametrize(
    ("url", "sha256", "said"),
    [
        ("ftp://example.org/a", "0" * 64, "is not a file's URL"),
        ("https://me:secret@example.org/a", "0" * 64, "without a password in it"),
        ("https://example.org", "0" * 64, "is not a file's URL"),
        ("https://example.org/a", "0" * 63, "is not a SHA-256; write its 64 digits"),
    ],
)
def test_what_is_no_file_of_the_web_is_told(recipes: RecipeFolder, url: str, sha256: str, said: str) -> None:
    """Before anything is fetched."""
    (line,) = recipes.mistakes(SOURCE + f"layers: [files: {{/a: {{from: {{url: '{url}', sha256: {sha256!r}}}}}}}]\n")
    assert said in line

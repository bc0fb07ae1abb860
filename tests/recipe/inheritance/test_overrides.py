"""Keys by their path on the command line."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.inheritance.overrides import OUTPUT
from bootsmith.tasks.recipe.model.layers import Overlay

from tests.support.recipe_folder import SOURCE, RecipeFolder

GIB = 1 << 30
TEXT = SOURCE + "boot: {cmdline: quiet}\nvars: {level: info}\n"


def test_keys_are_changed_by_their_path(recipes: RecipeFolder) -> None:
    """A word of the command line is one more recipe laid over the rest. V3."""
    recipe = recipes.load(
        TEXT,
        {
            "disk.size": "64G",
            "boot.cmdline+": "a: b # c",
            "system.hostname": "no",
            "source.debian.suite": "bookworm",
            "system.users.root.password": "{env: PW}",
            "system.hosts.db.example": "192.0.2.1",
            "test.run": "[a, 'b, c']",
            "machine.cpus": "4",
            "test.timeout": "null",
        },
    )
    assert (recipe.disk.size, recipe.boot.cmdline, recipe.system.hostname) == (64 * GIB, "quiet a: b # c", "no")
    assert (recipe.source.suite, recipe.machine.cpus, recipe.test.run) == ("bookworm", 4, ("a", "b, c"))
    assert recipe.system.hosts == {"db.example": "192.0.2.1"}
    assert recipe.system.users["root"].password != "locked"


def test_partitions_of_the_usual_layout_are_changed_by_name(recipes: RecipeFolder) -> None:
    """What `doit show` shows can be changed, written or not."""
    parts = recipes.load(TEXT, {"disk.partitions.esp.size": "1G", "boot.loader": "grub-efi"}).disk.partitions
    assert (list(parts), parts["esp"].size, parts["esp"].mount) == (["esp", "root"], GIB, "/boot/efi")


def test_lists_need_no_brackets(recipes: RecipeFolder) -> None:
    """A list is `a,b` or `[a, b]`; `+` and `-` add to it and take from it."""
    assert [each.file for each in recipes.load(TEXT, {"outputs": "qcow2"}).outputs] == ["x.qcow2"]
    assert [each.file for each in recipes.load(TEXT, {"outputs": "[raw: {file: a}, raw]"}).outputs] == ["a", "x.raw"]
    recipe = recipes.load(TEXT, {"boot.console+": "ttyS1,hvc0", "outputs-": "raw"})
    assert (recipe.boot.console, len(recipe.outputs)) == (("tty0", "ttyS0", "ttyS1", "hvc0"), 1)


def test_the_options_of_a_lists_items_are_reached_by_their_kind(recipes: RecipeFolder) -> None:
    """`outputs.qcow2.compress` is the compression of every qcow2 there is."""
    recipe = recipes.load(TEXT, {"outputs.qcow2.compress": "none"})
    assert [getattr(each, "compress", None) for each in recipe.outputs] == ["none", "none"]


def test_paths_start_from_the_shells_folder(recipes: RecipeFolder) -> None:
    """A path on the command line is what the shell would complete it to."""
    (recipes.folder / "mine").mkdir()
    recipe = recipes.load(TEXT, {"layers": "[overlay: mine]"})
    assert recipe.layers == (Overlay("1-overlay", recipes.folder / "mine", "/", ()),)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"disk.siez": "1G"}, "disk.siez: there is no such key; did you mean disk.size?"),
        ({"dsk": "1"}, "dsk: there is no such variable or key; did you mean disk?"),
        ({"lvel": "x"}, "lvel: there is no such variable or key; did you mean level?"),
        ({"hostname": "x"}, "hostname: there is no such variable or key; did you mean system.hostname?"),
        ({"suite": "x"}, "suite: there is no such variable or key; did you mean source.debian.suite?"),
        ({"zzz": "x"}, "zzz: there is no such variable or key; `doit show` prints every key"),
        ({"disk": "8G"}, "disk: this holds keys of its own; name one of them, like disk.table=VALUE"),
        ({"disk.size.x": "8G"}, "disk.size.x: there is no such key; there is none here"),
        ({"disk.partitions.rot.size": "8G"}, (
            "disk.partitions.rot.size: there is no such key; did you mean disk.partitions.root?"
        )),
        ({"boot.entries.x.title": "X"}, "boot.entries.x.title: there is no such key; only default is known here"),
        ({"outputs.tape.file": "x"}, (
            "outputs.tape.file: there is no such key; known here: raw, qcow2, vhd, vhdx, vdi, vmdk, "
            "azure, gcp, aws, ova, ovf, box, kernel, initramfs, iso, cidata, tar, tgz, oci, directory, ext4, squashfs, "
            "erofs, manifest, sbom"
        )),
        ({"disk.size": "64"}, "disk.size: 64 has no unit; did you mean 64G?"),
        ({"disk.size": ""}, "disk.size: '' is not a size; write it like 512M, 2G or 2048s (sectors), or auto"),
        ({"disk.size+": "1G"}, "disk.size: auto|SIZE cannot grow; write size: without +"),
        ({"layers": "[{overlay: nope}]"}, "layers.overlay.from: nope does not exist; create that directory"),
        ({"outputs": "[raw"}, (
            "outputs: '[raw' is not YAML: a comma or a closing bracket is missing here; "
            "close the bracket opened at line 1, column 1"
        )),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_wrong_word_is_refused_with_the_nearest(recipes: RecipeFolder, words: dict[str, str], line: str) -> None:
    """Nothing on the command line is silently ignored. V16."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(TEXT, words)
    assert caught.value.problems == [f"command line: {line}"]


def test_a_file_is_to_blame_for_what_only_it_says(recipes: RecipeFolder) -> None:
    """An override does not move the place of what the recipe itself got wrong."""
    with pytest.raises(RecipeError) as caught:
        recipes.load("name: y\nboot: {timeout: x}\n", {"boot.cmdline": "a"})
    assert [line.partition(": ")[0] for line in caught.value.problems] == ["recipes/x.yaml:1:1", "recipes/x.yaml:2:17"]


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        ("", ["a.bin", "x.qcow2"]),
        ("outputs: null\n", ["a.bin", "x.qcow2"]),
        ("outputs: [qcow2: {cluster: 1M}, raw]\n", ["a.bin", "x.raw"]),
        ("outputs: [raw: b, raw]\n", ["a.bin", "x.raw"]),
        ("vars: {form: raw}\noutputs: ['${form}']\n", ["a.bin"]),
    ],
)
def test_the_first_output_is_named_alone(recipes: RecipeFolder, outputs: str, names: list[str]) -> None:
    """Whatever it is; what else is said of it stays (L2)."""
    recipe = recipes.load(SOURCE + outputs, {OUTPUT: "a.bin"})
    assert [each.file for each in recipe.outputs] == names
    assert getattr(recipe.outputs[0], "cluster", 1 << 20) == 1 << 20


@pytest.mark.parametrize(
    ("outputs", "name", "line"),
    [
        ("", "../a.img", "outputs.raw.file: '../a.img' is not a file's name; leave out folders, blanks and first dots"),
        ("", "x.qcow2", "outputs.qcow2.file: two outputs are called x.qcow2"),
        (
            "outputs: []\n",
            "a.img",
            "--output: the recipe keeps no output that could be called so; add one to `outputs`",
        ),
    ],
)
def test_a_first_output_cannot_be_called_so(recipes: RecipeFolder, outputs: str, name: str, line: str) -> None:
    """It is refused before anything is made (L2)."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + outputs, {OUTPUT: name})
    assert line in " ".join(caught.value.problems)

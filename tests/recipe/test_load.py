"""A recipe's file becomes a Recipe: defaults, what follows from what, and files that are none."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.outputs import Qcow2, Raw
from hypothesis import example, given
from hypothesis import strategies as some

from tests.support.recipe_folder import LARGE, SOURCE, RecipeFolder

GIB = 1 << 30
MIB = 1 << 20


def test_a_source_alone_is_a_whole_recipe(recipes: RecipeFolder) -> None:
    """Everything but the source has a default."""
    recipe = recipes.load(SOURCE)
    assert (recipe.name, recipe.seed, recipe.system.hostname, recipe.version, recipe.epoch) == (
        "x",
        "x",
        "x",
        "0",
        None,
    )
    assert recipe.files == (recipe.file,) == (recipes.folder / "recipes/x.yaml",)
    assert (recipe.source.suite, recipe.source.variant, recipe.source.components) == ("trixie", "minbase", ("main",))
    assert (recipe.boot.loader, recipe.boot.place, recipe.boot.timeout) == (("systemd-boot",), "esp", 0)
    assert (recipe.boot.default, recipe.boot.entries["default"].title) == ("default", None)
    assert recipe.system.users["root"].password == "locked"
    assert recipe.outputs == (Raw("x.raw"), Qcow2("x.qcow2", "zstd", "off", 64 << 10, "1.1", lazy_refcounts=True))
    assert (recipe.test.expect, recipe.test.timeout, recipe.test.silence) == (("login:",), 300, 90)
    assert (recipe.machine.memory, recipe.machine.serial, recipe.machine.forward) == (GIB, "stdio", ())


@pytest.mark.parametrize("loader", ["systemd-boot", "grub-efi"])
def test_the_usual_layout_is_the_loaders(recipes: RecipeFolder, loader: str) -> None:
    """Without partitions of its own, a recipe has an ESP of 512 MiB and a root filesystem as large as it must be."""
    parts = recipes.load(SOURCE + f"boot: {{loader: {loader}}}").disk.partitions
    esp, root = parts["esp"], parts["root"]
    assert list(parts) == ["esp", "root"]
    assert (esp.fs, esp.mount, esp.size, esp.type, esp.label, esp.fsck_pass) == (
        "vfat", "/boot/efi", 512 * MIB, "esp", "ESP", 0,
    )  # fmt: skip
    assert (root.fs, root.mount, root.size, root.extra, root.fsck_pass) == ("ext4", "/", "auto", 256 * MIB, 1)


def test_partitions_replace_the_usual_layout_but_other_keys_keep_it(recipes: RecipeFolder) -> None:
    """Only `disk.partitions` itself stands in for the layout of the loader."""
    assert list(recipes.load(SOURCE + "disk: {id: null}").disk.partitions) == ["esp", "root"]
    own = "disk: {partitions: {root: {mount: /}, esp: {mount: /boot}}}"
    parts = recipes.load(SOURCE + own).disk.partitions
    assert [(name, part.type, part.size) for name, part in parts.items()] == [
        ("root", "root", "auto"), ("esp", "esp", "auto"),
    ]  # fmt: skip


def test_root_takes_what_is_left_of_a_disk_of_fixed_size(recipes: RecipeFolder) -> None:
    """With a disk size and nothing `remaining`, an automatic root filesystem is it; one with a size keeps that. C3."""
    assert recipes.load(SOURCE + "disk: {size: 8G}").disk.partitions["root"].size == "remaining"
    parts = "disk: {size: 8G, partitions: {esp: {size: 64M}, root: {mount: /, size: 1G}, data: {size: remaining}}}"
    assert [part.size for part in recipes.load(SOURCE + parts).disk.partitions.values()] == [64 * MIB, GIB, "remaining"]


@pytest.mark.parametrize(
    ("partition", "kind"),
    [
        ("esp: {}", "esp"),
        ("a: {mount: /efi}", "esp"),
        ("a: {type: EF00}", "esp"),
        ("a: {type: C12A7328-F81F-11D2-BA4B-00A0C93EC93B}", "esp"),
        ("a: {mount: /boot}", "esp"),
        ("esp: {}, a: {mount: /boot}", "xbootldr"),
        ("esp: {}, a: {mount: /home}", "home"),
        ("esp: {}, a: {mount: /srv}", "linux"),
        ("esp: {}, a: {type: '8200', size: 1G}", "swap"),
    ],
)
def test_a_partitions_type_follows_from_mount_and_name(recipes: RecipeFolder, partition: str, kind: str) -> None:
    """Types may be named, coded or left to what the partition is for. C17."""
    parts = recipes.load(SOURCE + f"disk: {{partitions: {{root: {{mount: /}}, {partition}}}}}").disk.partitions
    last = [*parts.values()][-1]
    assert last.type == kind
    assert last.fs == {"esp": "vfat", "xbootldr": "vfat", "swap": "swap"}.get(kind, "ext4")


def test_uuids_follow_from_seed_and_name(recipes: RecipeFolder) -> None:
    """The same seed gives the same UUIDs, whatever else changes; another name or seed gives others. V11."""
    recipe = recipes.load(SOURCE)
    again = recipes.load(SOURCE + "disk: {size: 8G}\nname: y\nseed: x")
    other = recipes.load(SOURCE + "name: y")
    ids = [
        [each.disk.id, *(uuid for part in each.disk.partitions.values() for uuid in (part.uuid, part.partuuid))]
        for each in (recipe, again, other)
    ]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 10
    assert recipe.disk.partitions["root"].partuuid == recipe.disk.partitions["root"].partuuid.lower()
    assert len(recipe.disk.partitions["esp"].uuid) == 9


def test_scalars_are_what_they_look_like(recipes: RecipeFolder) -> None:
    """Numbers with zeros, octal modes and YAML's odd words stay as they are written."""
    recipe = recipes.load(
        SOURCE + "version: 1.10\nseed: no\ndescription: 0755\n"
        "layers: [directories: {/a: {mode: 1777}, /b: {mode: 0755}, /c: {mode: 0o700}}, files: {/d: {content: on}}]\n"
    )
    assert (recipe.version, recipe.seed, recipe.description) == ("1.10", "no", "0755")
    directories, files = recipe.layers
    assert [each.mode for each in directories.directories.values()] == [0o1777, 0o755, 0o700]  # type: ignore[union-attr]
    assert files.files["/d"].content == "on"  # type: ignore[union-attr]
    assert [layer.name for layer in recipe.layers] == ["1-directories", "2-files"]


def test_null_and_nothing_are_the_default(recipes: RecipeFolder) -> None:
    """`key: null` and `key:` are the same as leaving the key out; in quotes, null is a text."""
    recipe = recipes.load(SOURCE + "boot: {loader: null, timeout: ~}\nmachine:\nlayers: null\nseed: 'null'\n")
    assert (recipe.boot, recipe.machine) == (recipes.load(SOURCE).boot, recipes.load(SOURCE).machine)
    assert (recipe.layers, recipe.seed) == ((), "null")


def test_the_compression_decides_the_preallocation(recipes: RecipeFolder) -> None:
    """Metadata is preallocated where clusters are not compressed. L16."""
    recipe = recipes.load(SOURCE + "outputs: [qcow2: {compress: none}]")
    assert recipe.outputs == (Qcow2("x.qcow2", "none", "metadata", 64 << 10, "1.1", lazy_refcounts=True),)


def test_the_old_qcow2_is_written_as_it_can_be(recipes: RecipeFolder) -> None:
    """Compat 0.10 alone turns off what it does not know. L9."""
    recipe = recipes.load(SOURCE + "outputs: [qcow2: {compat: 0.10, cluster: 2M}]")
    assert recipe.outputs == (Qcow2("x.qcow2", "zlib", "off", 2 * MIB, "0.10", lazy_refcounts=False),)


def test_secrets_are_references_and_are_not_read(recipes: RecipeFolder) -> None:
    """A recipe loads without the files its secrets are in; a hash may stand in the recipe."""
    recipe = recipes.load(
        SOURCE + "system: {users: {root: {password: {file: secrets/pw}}, a: {password: {hash: $6$salt$abc/.}}, "
        "b: {password: {env: PW}}, c: {password: empty}}}\n"
    )
    assert [user.password for user in recipe.system.users.values()] == [
        Secret(file=recipes.folder / "recipes/secrets/pw"), Secret(hash="$6$salt$abc/."), Secret(env="PW"), "empty",
    ]  # fmt: skip


def test_ssh_keys_are_lines_or_files(recipes: RecipeFolder) -> None:
    """A public key's line is kept as it is, anything else is a file."""
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@here"
    recipes.write("id.pub", line)
    users = recipes.load(SOURCE + f"system: {{users: {{root: {{ssh_keys: ['{line}', id.pub]}}}}}}").system.users
    assert users["root"].ssh_keys == (line, recipes.folder / "recipes/id.pub")


def test_paths_start_from_the_file_that_writes_them(recipes: RecipeFolder) -> None:
    """An inherited path keeps meaning what its own file meant by it."""
    recipes.write("shared/files/a.txt", "")
    recipes.write("shared/base.yaml", SOURCE + "layers: [overlay: files]\n")
    recipe = recipes.load("extends: shared/base.yaml\n")
    assert recipe.layers[0].source == recipes.folder / "recipes/shared/files"  # type: ignore[union-attr]
    assert recipe.files == (recipe.file, recipes.folder / "recipes/shared/base.yaml")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(recipes: RecipeFolder) -> None:
    """Ten mistakes take one run to find, not ten."""
    with pytest.raises(RecipeError) as caught:
        recipes.load("dsk: 1\nsource: {debian: {suite: a b}}\nboot: {timeout: x, default: y}\noutputs: [raw, raw]\n")
    assert [line.split(":")[1:4] for line in caught.value.problems] == [
        ["1", "1", " dsk"],
        ["2", "26", " source.debian.suite"],
        ["3", "17", " boot.timeout"],
        ["3", "29", " boot.default"],
        ["4", "16", " outputs.raw.file"],
    ]


def test_one_mistake_is_told_once(recipes: RecipeFolder) -> None:
    """What follows from a mistake is not told: a bad size does not leave `remaining` without one."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + "disk: {size: 64, partitions: {esp: {}, root: {mount: /, size: remaining}}}\n")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xff\xfe\x00", "recipes/x.yaml:1:1: this is not UTF-8; save the file as UTF-8"),
        (SOURCE.encode() + b"seed: \xe9\n", "recipes/x.yaml:2:7: this is not UTF-8; save the file as UTF-8"),
        (
            b"#" * (1 << 20) + b"\n",
            "recipes/x.yaml: this is larger than 1 MiB, which no recipe is; give the path of a YAML file",
        ),
        (
            b"a: &a [" + b"x, " * 200 + b"x]\nb: &b [" + b"*a, " * 200 + b"*a]\nc: [*b, *b, *b]\n",
            "recipes/x.yaml:2:396: aliases that stand for more than 20000 values; write out what is meant",
        ),
        (b"[" * 100_000, "recipes/x.yaml:1:42: nested more than 40 deep; no recipe needs that"),
        (b"a: '[['\nb: {c: [" + b"[{" * 600, "recipes/x.yaml:2:47: nested more than 40 deep; no recipe needs that"),
        (b"[" * 100 + b"]" * 100, "recipes/x.yaml:1:42: nested more than 40 deep; no recipe needs that"),
        (b"a: [" + b"'[', " * 600 + b"\n", "recipes/x.yaml:2:1: a bracket is never closed; close every [ and {"),
    ],
    ids=["UTF-16", "Latin-1", "huge", "alias bomb", "deep", "deep in a mapping", "just too deep", "brackets in quotes"],
)
def test_bytes_that_are_no_recipe_are_refused(recipes: RecipeFolder, data: bytes, line: str) -> None:
    """No file makes the loader crash, hang or eat the memory."""
    with pytest.raises(RecipeError) as caught:
        load(recipes.write("x", data))
    assert caught.value.problems == [line]


def test_a_byte_order_mark_is_no_mistake(recipes: RecipeFolder) -> None:
    """Files of editors that mark UTF-8 are read."""
    assert recipes.load("\ufeff" + SOURCE).source.suite == "trixie"


PIECES = re.findall(r"[\w./-]+|\s+|[^\w\s]", LARGE)
SPANNERS = [
    "", "null", "[]", "{}", "${n}", "${", "$$", "64", "-", "+:", ": ", "~", '"', "'", "no", "[a]", "{a: b}", "&a", "*a",
    "\t", "name", "{debian: x}", "x" * 400, "\u2028", "remaining", "/", "0", "-1", "1G", "[[", "!!int", "[[a]", "\0",
]  # fmt: skip


@example([(PIECES.index("base"), "/")])
@given(some.lists(some.tuples(some.integers(0, len(PIECES) - 1), some.sampled_from(SPANNERS)), min_size=1, max_size=4))
def test_no_slip_of_the_pen_breaks_the_loader(recipes: RecipeFolder, slips: list[tuple[int, str]]) -> None:
    """Whatever is wrong with a recipe, each mistake is a line with a place and a remedy."""
    if not Path("recipes/base.yaml").exists():
        recipes.write_files()
    pieces = list(PIECES)
    for at, piece in slips:
        pieces[at] = piece
    try:
        recipes.load("".join(pieces))
    except RecipeError as error:
        for line in error.problems:
            assert re.match(r"recipes/(x|base)\.yaml(:\d+:\d+)?: .*; ", line)


@pytest.mark.usefixtures("recipes")
@pytest.mark.parametrize("kind", ["missing", "directory", "pipe"])
def test_what_is_no_file_is_refused(kind: str) -> None:
    """A path that is no regular file is an error, not a traceback and not a wait."""
    path = Path("recipes/y.yaml")
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(RecipeError, match=r"recipes/y\.yaml: (there is no such|this is a dir|this is not a reg)"):
        load(path)


def test_files_outside_the_shells_folder_are_named_in_full(
    recipes: RecipeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message names a file so that it can be opened from where the command was typed."""
    path = recipes.write("x", "name: x\n")
    (recipes.folder / "elsewhere").mkdir()
    monkeypatch.chdir(recipes.folder / "elsewhere")
    with pytest.raises(RecipeError, match=f"^{path}:1:1: source: "):
        load(path)


def test_aliases_repeat_what_they_name(recipes: RecipeFolder) -> None:
    """YAML's anchors work, and keep the place of what they stand for."""
    recipe = recipes.load(SOURCE + "test: {run: &r [a, b]}\nmachine: {qemu: *r}\n")
    assert recipe.machine.qemu == recipe.test.run == ("a", "b")


def test_python_alone_reads_the_same(recipes: RecipeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML lacks its C part, recipes and places are the same."""
    import yaml
    from bootsmith.tasks.recipe.text import parse

    text = SOURCE + "layers:\n  - files: {/a: {content: 'x'}}\nboot:\n  cmdline: >-\n    a\n    b\n"
    quick = recipes.load(text)
    monkeypatch.setattr(parse, "_Loader", yaml.BaseLoader)
    assert recipes.load(text) == quick
    with pytest.raises(RecipeError, match=r"x.yaml:2:2: a tab cannot indent in YAML|x.yaml:2:1: a tab"):
        recipes.load(SOURCE + "\tname: x\n")


def test_a_recipe_can_be_kept(recipes: RecipeFolder) -> None:
    """A Recipe is plain data: it pickles, and equals its copy."""
    recipe = recipes.load(SOURCE)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_loading_writes_nothing(recipes: RecipeFolder) -> None:
    """Neither a good recipe nor a bad one leaves a file behind."""
    recipes.load(SOURCE)
    with pytest.raises(RecipeError):
        recipes.load(SOURCE + "dsk: 1")
    assert sorted(path.name for path in recipes.folder.rglob("*")) == ["recipes", "x.yaml"]

"""Files that a recipe names, wherever they really are: other recipes' outputs come first, its own are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import inputs
from bootsmith.tasks.recipe.load import load

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit

PACKED = "system: none\nboot: {loader: direct, kernel: linux, initrd: tree}\n"
INNER = f"source: {{directory: tree}}\n{PACKED}outputs: [initramfs: {{file: inner.img}}]\n"
OUTER = INNER.replace("inner", "outer").replace("system:", "layers: [files: {/inner: PATH}]\nsystem:")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A recipe `inner`, built, and what else recipes here are made from."""
    (tmp_path / "dodo.py").write_text(dodo("inner.yaml"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(bzimage())
    (tmp_path / "inner.yaml").write_text(INNER)
    doit(tmp_path, "image")
    return tmp_path


def built(said: str) -> list[str]:
    """Return the stages that were built or restored."""
    rows = [line.split() for line in said.splitlines()]
    return [row[1] for row in rows if row and row[0] in ("built", "restored")]


@pytest.mark.parametrize(
    "path",
    [
        "build/inner/inner.img",
        "tree/../build/./inner//inner.img",
        "link/inner.img",
        "linked.img",
        "far/../inner/inner.img",
        "TOP/build/inner/inner.img",
    ],
)
def test_another_recipe_s_output_is_made_first(project: Path, path: str) -> None:
    """However it is named, and in whatever order both are asked for: what is read is never what was there before."""
    (project / "link").symlink_to("build/inner")
    (project / "linked.img").symlink_to("link/inner.img")
    (project / "build/away").mkdir()
    (project / "far").symlink_to("build/away")
    (project / "outer.yaml").write_text(OUTER.replace("PATH", path.replace("TOP", str(project))))
    (project / "tree/new").write_text("edited\n")
    said = doit(project, "image:outer", "image:inner")
    assert "convert/initramfs:outer" in built(said)
    assert built(doit(project, "image:outer")) == []
    inner = (project / "build/inner/inner.img").read_bytes()
    assert inner in gzip.decompress((project / "build/outer/outer.img").read_bytes())


def test_a_folder_that_holds_another_recipe_s_output(project: Path) -> None:
    """What lies in a folder that is read is made before the folder is read."""
    (project / "outer.yaml").write_text(
        OUTER.replace("files: {/inner: PATH}", "overlay: {from: build/inner, exclude: [.bootsmith, log]}")
    )
    (project / "tree/new").write_text("edited\n")
    said = doit(project, "image:outer", "image:inner")
    assert built(said).index("convert/initramfs:inner") < built(said).index("layers/1-overlay:outer")


@pytest.mark.parametrize(
    ("path", "ways"),
    [
        ("build/outer/kernel/vmlinuz", ()),
        ("TOP/build/outer/kernel/vmlinuz", ()),
        ("tree/../build/inner/../outer/kernel/vmlinuz", ()),
        ("link/kernel/vmlinuz", ("build/outer",)),
    ],
)
def test_what_a_recipe_makes_is_no_input_of_it(project: Path, path: str, ways: tuple[str, ...]) -> None:
    """It is refused by the key that names it, whatever the path looks like (A9)."""
    for target in ways:
        (project / "link").symlink_to(target)
    (project / "build/outer/kernel").mkdir(parents=True)
    (project / "build/outer/kernel/vmlinuz").write_bytes(bzimage())
    (project / "outer.yaml").write_text(OUTER.replace("PATH", path.replace("TOP", str(project))))
    said = doit(project, "image:outer", status=3)
    assert "outer.yaml: layers.0.files./inner.from: vmlinuz is made by this very recipe; name another file" in said
    assert "Traceback" not in said


def test_a_tree_that_holds_the_build_is_refused(project: Path) -> None:
    """Every build would change what it is made from."""
    (project / "tree/init").rename(project / "init")
    (project / "inner.yaml").write_text(INNER.replace("directory: tree", "directory: ."))
    said = doit(project, "image", status=3)
    assert "inner.yaml: source.path: " in said
    assert "holds the folder where this very recipe is built; name another folder" in said


def test_a_link_that_is_turned_is_seen(project: Path) -> None:
    """Where a path leads is asked in every run, though the recipe, and so its plan, is the same."""
    (project / "link").symlink_to("build/inner")
    (project / "outer.yaml").write_text(OUTER.replace("PATH", "link/inner.img"))
    doit(project, "image:outer")
    assert built(doit(project, "image:outer")) == []
    (project / "link").unlink()
    (project / "link").symlink_to("build/outer")
    (project / "build/outer/inner.img").write_bytes(b"")
    assert "inner.img is made by this very recipe" in doit(project, "image:outer", status=3)


def test_recipes_that_read_each_other_are_refused(project: Path) -> None:
    """Two recipes, each made from the other, are a mistake in words."""
    (project / "outer.yaml").write_text(OUTER.replace("PATH", "build/inner/inner.img"))
    doit(project, "image:outer")
    (project / "inner.yaml").write_text(
        INNER.replace("system:", "layers: [files: {/outer: build/outer/outer.img}]\nsystem:")
    )
    said = doit(project, "image", "image:outer", status=3)
    assert "Traceback" not in said
    assert "yclic" in said


def test_two_build_folders_that_are_one_are_refused(project: Path) -> None:
    """Two recipes cannot build in one place, whatever it is called."""
    (project / "outer.yaml").write_text(INNER)
    (project / "build/outer").symlink_to("inner")
    assert "both build in" in doit(project, "image", "image:outer", status=3)


def test_secrets_are_read_too(tmp_path: Path) -> None:
    """A secret out of another recipe's build waits for it as any file does."""
    key = tmp_path / "build/other/key"
    maker = Stage("kernel", "m:f", {}, {"key": key})
    other = Plan("other", key.parent, tmp_path / "other.lock", 0, tmp_path / "o.yaml", "", (maker,), ())
    (tmp_path / "x").mkdir()
    reader = Stage("convert", "m:f", {}, {}, secrets={"key": Secret(file=tmp_path / "x/../build/other/key")})
    assert inputs.makers(reader, [other]) == [key]
    assert inputs.makers(Stage("convert", "m:f", {"x": tmp_path / "x"}, {}), [other]) == []


def test_what_entries_have_of_all_is_named_once(tmp_path: Path) -> None:
    """An entry's own kernel is named by its own key, the one of all by that of all."""
    for name in ("linux", "mine"):
        (tmp_path / name).write_bytes(bzimage())
    text = "boot: {kernel: linux, initrd: none, entries: {a: {}, b: {kernel: mine}}}\n"
    (tmp_path / "x.yaml").write_text(f"source: {{directory: .}}\n{text}")
    named = inputs.named(load(tmp_path / "x.yaml"))
    boot = {key: path.name for key, path in named.items() if key.startswith("boot.")}
    assert boot == {"boot.kernel.file": "linux", "boot.entries.b.kernel.file": "mine"}

"""What a Containerfile may take files from: the patterns of its ignore file."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning import inputs
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.tree.build_context import matcher

from tests.support.single_stage import run_stage

PATHS = ("a", "a/b", "a/b.o", "a/c/d.o", "x.o", "x[1]", "keep/x.o", "ab/a")


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("", set()),
        ("# x\n\n", set()),
        ("a\n", {"a", "a/b", "a/b.o", "a/c/d.o"}),
        ("/a/\n", {"a", "a/b", "a/b.o", "a/c/d.o"}),
        ("*.o\n", {"x.o"}),
        ("*/*.o\n", {"a/b.o", "keep/x.o"}),
        ("**/*.o\n!keep/**\n", {"a/b.o", "a/c/d.o", "x.o"}),
        ("!x.o\n**/*.o\n", {"a/b.o", "a/c/d.o", "x.o", "keep/x.o"}),
        ("a/../x.o\n", {"x.o"}),
        ("a?\n", {"ab/a"}),
        ("x\\[1]\n", {"x[1]"}),
        ("x[[]1]\n", {"x[1]"}),
        ("[a-w]/b\n", {"a/b"}),
        ("*\n!a/b\n", {*PATHS} - {"a/b"}),
        ("a/**\n", {"a/b", "a/b.o", "a/c/d.o"}),
        (".\n", set()),
    ],
)
def test_the_last_pattern_that_matches_decides(text: str, left_out: set[str]) -> None:
    """A22: patterns are read as container engines read them."""
    ignored = matcher(text, Path(".dockerignore"))
    assert {path for path in PATHS if ignored(path)} == left_out


@pytest.mark.parametrize("pattern", ["[z-a]x", "a[^]", "!x/[9-0]"])
def test_what_is_no_pattern_is_told(pattern: str) -> None:
    """With its file and line, before anything is packed."""
    what = re.escape(f".dockerignore:3: {pattern} is no pattern")
    with pytest.raises(StageError, match=f"{what}\n"):
        matcher(f"# x\r\n\r\n{pattern}\r\n", Path(".dockerignore"))


def project(top: Path, builds: str) -> None:
    """Write a project with a Containerfile and what it may take, and a folder with builds."""
    for name in ("Containerfile", "a/b", "a/x.o", "sub/in", "sub/deep/er", f"{builds}/box/out"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / ".dockerignore").write_text("**/*.o\nbox.yaml\n")
    (top / "box.yaml").write_text(
        "source: {container: Containerfile}\nsystem: none\nboot: {kernel: none}\noutputs: [tar]\n"
    )
    (top / os.fsdecode(b"odd-\xff")).write_text("odd")
    (top / "a/same").hardlink_to(top / "a/b")
    (top / "link").symlink_to("nowhere")
    (top / "tool").write_text("tool")
    (top / "tool").chmod(0o755)
    os.mkfifo(top / "pipe")


def context(top: Path, builds: str) -> Stage:
    """Return the stage that packs a project."""
    recipe = load(top / "box.yaml")
    site = Site("box", top / builds / "box", top / "box.lock", 86400)
    inputs.check(inputs.named(recipe), site.build, recipe.file)
    assert inputs.are_spread(recipe, site.builds) is (builds != "../build")
    return rootfs.context(recipe, site)[0]


@pytest.mark.parametrize("builds", ["build", "sub/build"])
def test_builds_in_it_are_left_out(tmp_path: Path, builds: str) -> None:
    """Of a project with a Containerfile at its top the same is packed as if it were built elsewhere (A1)."""
    top = tmp_path / "top"
    top.mkdir()
    project(top, builds)
    stage = context(top, builds)
    assert not [path for path in stage.inputs.values() if path.is_relative_to(top / builds)]
    run_stage(stage, tmp_path / "one")
    packed = stage.outputs["tar"].read_bytes()
    for path in sorted((top / builds).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (top / builds).rmdir()
    whole = context(top, "../build")
    assert [*whole.inputs] == ["context"]
    run_stage(whole, tmp_path / "two")
    assert packed == whole.outputs["tar"].read_bytes()


@pytest.mark.parametrize("builds", ["build", "../build"])
def test_a_lock_that_follows_from_the_tree_is_left_out(tmp_path: Path, builds: str) -> None:
    """It is written once the container is built, and would have it built again (C7)."""
    top = tmp_path / "top"
    top.mkdir()
    project(top, builds)
    text = (top / "box.yaml").read_text() + "layers: [packages: [jq]]\n"
    (top / "box.yaml").write_text(text)
    site = Site("box", top / builds / "box", top / "box.lock", 86400)
    before = rootfs.context(load(top / "box.yaml"), site)[0]
    (top / "box.lock").write_text("lock")
    recipe = load(top / "box.yaml")
    assert inputs.are_spread(recipe, site.builds)
    assert rootfs.context(recipe, site)[0] == before
    run_stage(before, tmp_path / "one")
    with tarfile.open(before.outputs["tar"], errors="surrogateescape") as tar:
        names = {name.removeprefix("./") for name in tar.getnames()}
    assert "tool" in names
    assert "box.lock" not in names


def test_what_no_fingerprint_tells_of_a_single_file_is_in_the_parameters(tmp_path: Path) -> None:
    """Modes and links' targets are in the key, and a new file at the top is seen at once."""
    project(tmp_path, "build")
    before = context(tmp_path, "build")
    (tmp_path / "tool").chmod(0o644)
    changed = context(tmp_path, "build")
    assert (changed.inputs, changed.params != before.params) == (before.inputs, True)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("tool")
    assert context(tmp_path, "build").params != changed.params
    (tmp_path / "more").touch()
    assert "context/more" in context(tmp_path, "build").inputs
    (tmp_path / ".dockerignore").unlink()
    (tmp_path / ".dockerignore").symlink_to("more")
    with pytest.raises(StageError, match=r"\.dockerignore is a link"):
        run_stage(context(tmp_path, "build"), tmp_path / "run")

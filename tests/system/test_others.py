"""Recipes made of others, built by doit: one graph, in which nothing is built twice."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.session import Session

from tests.support.project import dodo, doit

TREE = "system: none\nboot: {kernel: none}\noutputs: [tar]\n"
BASE = "source: {directory: tree}\nlayers: [files: {/base: {content: base}}, files: {/more: {content: a}}]\n" + TREE
MID = "source: {recipe: base}\nlayers: [files: {/mid: {content: mid}}]\n" + TREE
TOP = "source: {recipe: mid}\nlayers: [files: {/packed: {from: {recipe: base, output: tar}}}]\n" + TREE


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a folder with three recipes, each of the one before."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("file")
    for name, text in {"base": BASE, "mid": MID, "top": TOP}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "dodo.py").write_text(dodo("top.yaml"))
    return tmp_path


def done(said: str, word: str) -> set[str]:
    """Return the stages of which doit said a word."""
    return set(re.findall(rf"^{word} +(\S+)", said, re.MULTILINE))


def test_one_graph(top: Path) -> None:
    """Each stage is built once for all recipes; an edit builds what rests on it; a clean build gives the same (V8)."""
    first = doit(top, "image")
    for name in ("rootfs", "layers/1-files", "layers/2-files"):
        both = {f"recipe/base/{name}", f"recipe/mid/recipe/base/{name}"}
        assert (len(both & done(first, "built")), len(both & done(first, "restored"))) == (1, 1)
    with tarfile.open(top / "build/top/top.tar") as tar:
        assert {"base", "more", "mid", "file", "packed"} <= {name.removeprefix("./") for name in tar.getnames()}
        packed = tar.extractfile("packed")
        assert packed is not None
        held = packed.read()
    own = doit(top, "image:base")
    assert done(own, "built") == {"convert/tar:base"}, "the rest is restored; what is as soon made is made"
    assert (top / "build/base/base.tar").read_bytes() == held
    assert not done(doit(top, "image"), "built")
    (top / "mid.yaml").write_text(MID.replace("content: mid", "content: new"))
    assert done(doit(top, "image"), "built") == {"recipe/mid/layers/1-files", "rootfs", "convert/tar"}
    made = (top / "build/top/top.tar").read_bytes()
    doit(top, "clean", "image")
    assert not (top / "build/top/recipes").exists()
    doit(top, "image", BOOTSMITH_CACHE=str(top / "other"))
    assert (top / "build/top/top.tar").read_bytes() == made


def test_locks_of_others_are_made_first(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken of a recipe with packages is made by its own lock, dates too."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(top / "cache"))
    (top / "base.yaml").write_text(BASE.replace("directory: tree", "debian: {suite: trixie}"))
    session = Session(Path("mid.yaml"), Invocation("list", {}, (), {}), top, top, Progress())
    builder = session.builder()
    assert builder.awaits == "there is no base.lock yet: the packages are resolved first"
    assert builder.plan.stage("recipe/base/rootfs").inputs == {"lock": top / "base.lock"}

"""The tree that layers come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.layer import Entry, LayerWriter
from bootsmith.tasks.tree.merged import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a tree of two layers with links of all kinds."""
    with LayerWriter(tmp_path / "0.tar", tmp_path / "0.index", 0) as writer:
        writer.add_directory("usr/lib")
        writer.add_file("usr/lib/os-release", b"low")
        writer.add_file("usr/lib/data", b"data")
        writer.add_hard_link("usr/lib/hard", "usr/lib/data")
        writer.add_symlink("lib", "usr/lib")
        writer.add_symlink("etc/os-release", "../usr/lib/os-release")
        writer.add_symlink("abs", "/lib/data")
        writer.add_symlink("above", "../../../lib/data")
        writer.add_symlink("dangling", "usr/none/x")
        writer.add_symlink("one", "two")
        writer.add_symlink("two", "one")
    with LayerWriter(tmp_path / "1.tar", tmp_path / "1.index", 0) as writer:
        writer.add_file("usr/lib/os-release", b"high")
    return Tree([tmp_path / "0.index", tmp_path / "1.index"], [tmp_path / "0.tar", tmp_path / "1.tar"])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("usr/lib/data", b"data"),
        ("/usr/lib/data", b"data"),
        ("lib/data", b"data"),
        ("lib/hard", b"data"),
        ("abs", b"data"),
        ("above", b"data"),
        ("etc/os-release", b"high"),
        ("lib/../lib/./data", b"data"),
        ("dangling", None),
        ("lib", None),
        ("absent", None),
    ],
)
def test_files_are_read_through_links(path: str, content: bytes | None, tree: Tree) -> None:
    """Links are followed inside the tree, never out of it, and the latest layer's file is read."""
    assert tree.read(path) == content


def test_a_place_follows_directories_only(tree: Tree) -> None:
    """Where a file would be written: links above it are followed, a link of its own name is not."""
    assert tree.place("lib/new/file") == "usr/lib/new/file"
    assert tree.place("/abs") == "abs"
    assert tree.place("top") == "top"
    assert tree.resolve("dangling") == "usr/none/x"


def test_links_and_what_they_lead_to(tree: Tree) -> None:
    """A link can be looked at itself, or through."""
    link, file = tree.link("abs"), tree.find("abs")
    assert link is not None
    assert file is not None
    assert (link.type, file.type) == ("l", "f")
    assert tree.find("dangling") is None


def test_names_are_listed(tree: Tree) -> None:
    """A directory's names come sorted; what is no directory has none."""
    assert tree.names("lib") == ["data", "hard", "os-release"]
    assert tree.names("") == ["above", "abs", "dangling", "etc", "lib", "one", "two", "usr"]
    assert tree.names("absent") == []


def test_what_boasts_is_not_read_whole(tmp_path: Path) -> None:
    """A sparse file of terabytes that is not there is neither read into memory nor copied."""
    (tmp_path / "t").write_bytes(tars.header(Entry("etc/big", "f", size=5 << 40, stretches=())) + tars.END)
    tree = Tree.of(tuple(tars.scan(tmp_path / "t")), tmp_path / "t")
    reads: list[Callable[[str], object]] = [tree.read, tree.text, lambda path: tree.copy(path, tmp_path / "copy")]
    for read in reads:
        with pytest.raises(StageError, match="/etc/big is larger than"):
            read("etc/big")
    assert not (tmp_path / "copy").exists()


def test_circles_are_refused(tree: Tree) -> None:
    """Links that lead to each other are an error, not an endless loop."""
    with pytest.raises(StageError, match="/one leads round in circles"):
        tree.read("one")


def test_a_hard_link_to_a_link_is_followed_as_that(tmp_path: Path) -> None:
    """Two names of one symlink lead to the same place, whichever of them a tar has as the link."""
    with LayerWriter(tmp_path / "0.tar", tmp_path / "0.index", 0) as writer:
        writer.add_file("usr/lib/data", b"data")
        writer.add_symlink("lib", "usr/lib")
        writer.add_hard_link("lib64", "lib")
    tree = Tree([tmp_path / "0.index"], [tmp_path / "0.tar"])
    assert tree.read("lib64/data") == b"data"
    assert tree.place("lib64/new") == "usr/lib/new"
    assert tree.names("lib64") == ["data"]
    link = tree.link("lib64")
    assert link is not None
    assert link.type == "h"

"""Layers: their indexes, how they merge, and the writer that makes them."""

from __future__ import annotations

import os
import subprocess
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import foreign_tar, layer
from bootsmith.tasks.tree.layer import Entry, LayerWriter


def d(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, "d", mode)


def f(path: str, size: int = 1) -> Entry:
    return Entry(path, "f", size=size)


def l(path: str, link: str) -> Entry:  # noqa: E743
    return Entry(path, "l", 0o777, link=link)


def h(path: str, link: str) -> Entry:
    return Entry(path, "h", link=link)


def wh(path: str) -> Entry:
    parent, slash, name = path.rpartition("/")
    return Entry(f"{parent}{slash}.wh.{name}", "f")


def tree(*layers: list[Entry]) -> dict[str, str]:
    """Merge layers into path -> layer number, kind and link, the root left out."""
    return {
        path: f"{number}{entry.type}{entry.link}"
        for path, (number, entry) in sorted(layer.merge(layers).items())
        if path
    }


def test_a_later_layer_replaces_and_adds() -> None:
    """Of two layers with one path, the later one's entry counts; the rest of both is there."""
    assert tree([d("a"), f("a/x"), f("a/y")], [f("a/x"), f("a/z")]) == {
        "a": "0d",
        "a/x": "1f",
        "a/y": "0f",
        "a/z": "1f",
    }


def test_a_whiteout_hides_a_file_and_all_below_a_directory() -> None:
    """A whiteout removes what lower layers have, folders with their content, and is not itself in the tree."""
    low = [d("a"), d("a/b"), f("a/b/c"), f("a/bb"), f("k")]
    assert tree(low, [wh("a/b"), wh("k"), wh("absent")]) == {"a": "0d", "a/bb": "0f"}


def test_a_whiteout_spares_its_own_layer() -> None:
    """A layer may remove a folder and put a new one in its place."""
    low = [d("a"), f("a/old")]
    assert tree(low, [wh("a"), d("a"), f("a/new")]) == {"a": "1d", "a/new": "1f"}


def test_an_opaque_directory_starts_empty() -> None:
    """The opaque mark removes what lower layers have below a directory, not the directory."""
    low = [d("a"), d("a/b"), f("a/b/c"), f("z")]
    assert tree(low, [Entry("a/.wh..wh..opq", "f"), f("a/n")]) == {"a": "0d", "a/n": "1f", "z": "0f"}
    assert tree(low, [Entry(".wh..wh..opq", "f"), f("n")]) == {"n": "1f"}


def test_a_file_in_a_directorys_place_takes_its_content_away() -> None:
    """A file, or a link, over a directory hides what was below; a directory over a directory does not."""
    low = [d("a"), f("a/x")]
    assert tree(low, [f("a")]) == {"a": "1f"}
    assert tree(low, [l("a", "b")]) == {"a": "1lb"}
    assert tree(low, [d("a", 0o700)]) == {"a": "1d", "a/x": "0f"}


def test_a_directory_in_a_files_place() -> None:
    """A path below a file makes a directory of it, listed by the layer or not."""
    assert tree([f("a")], [d("a"), f("a/x")]) == {"a": "1d", "a/x": "1f"}
    assert tree([l("a", "b")], [f("a/x")]) == {"a": "1d", "a/x": "1f"}


def test_parents_nobody_lists_are_made() -> None:
    """A file without its folders in any layer gets them, root:root 0755."""
    merged = layer.merge([[f("a/b/c")]])
    assert set(merged) == {"", "a", "a/b", "a/b/c"}
    assert merged["a/b"][1] == Entry("a/b", "d", 0o755)


def test_a_hard_link_outlives_its_target() -> None:
    """When the name that holds the data is replaced or removed, another name of the file takes it over."""
    low = [Entry("a", "f", 0o4755, size=9, offset=512, xattrs={"user.x": b"1"}), h("b", "a"), h("c", "a")]
    assert tree(low) == {"a": "0f", "b": "0ha", "c": "0ha"}
    for upper in ([wh("a")], [f("a", 5)]):
        merged = layer.merge([low, upper])
        number, heir = merged["b"]
        assert (number, heir.type, heir.mode, heir.size, heir.offset) == (0, "f", 0o4755, 9, 512)
        assert heir.xattrs == {"user.x": b"1"}
        assert (merged["c"][1].type, merged["c"][1].link) == ("h", "b")


def test_a_hard_link_into_a_lower_layer() -> None:
    """A link of a later layer to a file below is the lower file, even when a third layer removes the name."""
    assert tree([f("a", 7)], [h("b", "a")]) == {"a": "0f", "b": "1ha"}
    merged = layer.merge([[f("a", 7)], [h("b", "a")], [wh("a")]])
    assert merged["b"] == (0, f("b", 7))


def test_a_replaced_hard_link_leaves_the_file() -> None:
    """Replacing one name of a file leaves the others as they are."""
    assert tree([f("a"), h("b", "a")], [f("b", 2)]) == {"a": "0f", "b": "1f"}


def test_a_hard_link_to_nothing_is_refused() -> None:
    """A link whose target no layer holds is an error that names both."""
    with pytest.raises(StageError, match="b is a hard link to a, which is in no layer"):
        layer.merge([[h("b", "a")]])


def test_a_hard_link_to_a_folder_is_refused() -> None:
    """No filesystem could hold it: a folder with two names."""
    with pytest.raises(StageError, match="b is a hard link to a, which is a directory"):
        layer.merge([[d("a"), h("b", "a")]])
    with pytest.raises(StageError, match="b is a hard link to a, which is a directory"):
        layer.merge([[d("a")], [h("b", "a")]])


@pytest.mark.parametrize("above", [f("a"), l("a", "/etc"), Entry("a", "p"), h("a", "x")])
def test_what_lies_in_no_folder_is_refused(above: Entry) -> None:
    """A member below a file or a link, which a careless reader would write elsewhere, is an error in any layer."""
    for members in ([f("x"), above, f("a/b")], [f("x"), d("a"), f("a/b"), above]):
        with pytest.raises(StageError, match="a/b lies in a, which is no directory"):
            layer.merge([members])
        with pytest.raises(StageError, match="a/b lies in a, which is no directory"):
            layer.merge([[f("y")], members])


def test_an_index_says_what_the_tar_holds(tmp_path: Path) -> None:
    """Reading the index gives what a scan gives: names that are not UTF-8 and attributes with any byte included."""
    with LayerWriter(tmp_path / "t", tmp_path / "i", 7) as writer:
        writer.add_file("latin\udce9\n\"'", b"x", xattrs={"security.capability": bytes(range(256))})
        writer.add_directory("d")
    foreign_tar.index(tmp_path / "t", tmp_path / "j")
    found = layer.read_index(tmp_path / "i")
    assert [each._replace(digest="") for each in found] == list(layer.read_index(tmp_path / "j"))
    assert [e.path for e in found] == ["d", "latin\udce9\n\"'"]
    assert found[1].xattrs == {"security.capability": bytes(range(256))}


def test_one_file_changes_one_line_of_an_index(tmp_path: Path) -> None:
    """However much it grows: what stands behind it in the tar is found there, and its line is as it was."""
    lines = []
    for number, data in enumerate((b"x", b"y", bytes(3000))):
        tar, index = tmp_path / f"{number}.tar", tmp_path / f"{number}.index"
        with LayerWriter(tar, index, 7) as writer:
            for path in ("a", "c" * 200, "d"):
                writer.add_file(path, path.encode())
            writer.add_file("b", data)
        lines.append(index.read_bytes().splitlines())
        found = {entry.path: entry for entry in layer.read_index(index)}
        assert [layer.read_member(tar, found[path])[:1] for path in ("a", "b", "c" * 200, "d")] == [
            b"a", data[:1], b"c", b"d",
        ]  # fmt: skip
    for one, other in pairwise(lines):
        assert [left != right for left, right in zip(one, other, strict=True)].count(True) == 1


@pytest.mark.parametrize("text", ["", "{}", "[[1,2]]", '[["a"', "[1]", "null"])
def test_a_damaged_index_is_refused(text: str, tmp_path: Path) -> None:
    """What is not an index is an error naming the file."""
    (tmp_path / "i").write_text(text)
    with pytest.raises(StageError, match="is not an index of a layer"):
        layer.read_index(tmp_path / "i")


def test_an_index_that_is_read_again_is_read_as_it_is(tmp_path: Path) -> None:
    """Readers share what an index said, and can change nothing of it; an index that changed says something else."""
    index = tmp_path / "index"
    entries = [Entry("a", "f", xattrs={"user.x": b"1"}), Entry("b", "d")]
    layer.write_index(index, entries)
    first = layer.read_index(index)
    with pytest.raises(TypeError):
        first[0].xattrs["user.x"] = b"2"  # type: ignore[index]
    assert layer.read_index(index) == tuple(entries)
    before = index.stat()
    layer.write_index(index, [Entry("a", "f", xattrs={"user.x": b"2"}), Entry("c", "d")])
    os.utime(index, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [entry.path for entry in layer.read_index(index)] == ["a", "c"]
    assert layer.read_index(index)[0].xattrs == {"user.x": b"2"}


def test_members_are_read_back(tmp_path: Path) -> None:
    """A file's data comes back whole, from bytes and from a file, empty ones too."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1_500_000))
    with LayerWriter(tmp_path / "t", tmp_path / "i", 0) as writer:
        writer.add_file("big", big)
        writer.add_file("empty", b"")
        writer.add_file("small", b"text")
        writer.add_directory("z")
    entries = {e.path: e for e in layer.read_index(tmp_path / "i")}
    assert layer.read_member(tmp_path / "t", entries["big"]) == big.read_bytes()
    assert layer.read_member(tmp_path / "t", entries["empty"]) == b""
    with layer.open_member(tmp_path / "t", entries["small"]) as member:
        assert (member.read(2), member.read(), member.read()) == (b"te", b"xt", b"")
    with pytest.raises(ValueError, match="only a file's entry has data"):
        layer.open_member(tmp_path / "t", entries["z"])


def test_a_tar_shorter_than_its_index_is_noticed(tmp_path: Path) -> None:
    """A cut tar is an error, never short data."""
    with LayerWriter(tmp_path / "t", tmp_path / "i", 0) as writer:
        writer.add_file("a", b"x" * 5000)
    with (tmp_path / "t").open("r+b") as tar:
        tar.truncate(2000)
    (entry,) = layer.read_index(tmp_path / "i")
    with pytest.raises(StageError, match="shorter than its index says"):
        layer.read_member(tmp_path / "t", entry)


def fill(writer: LayerWriter) -> None:
    writer.add_file("etc/b", b"2", 0o600, 1000, 1000)
    writer.add_directory("etc", 0o755)
    writer.add_file("etc-x", b"3")
    writer.add_symlink("etc/l", "/run/x")
    writer.add_hard_link("etc/h", "etc/b")
    writer.add_device("dev/console", "c", 5, 1, mode=0o600)
    writer.add_fifo("run/pipe", 0o622)
    writer.add_whiteout("etc/gone")
    writer.add_whiteout("top")
    writer.add_opaque("srv")
    writer.add_file("a" * 150 + "/" + "b" * 150, b"4")


def test_the_writer_sorts_and_knows_no_clock(tmp_path: Path) -> None:
    """Members come name-sorted, folders before their content, all at the epoch, whatever the order they were added."""
    with LayerWriter(tmp_path / "t", tmp_path / "i", 1_600_000_000) as writer:
        fill(writer)
    entries = layer.read_index(tmp_path / "i")
    paths = [e.path for e in entries]
    assert paths == sorted(paths, key=lambda path: path.split("/"))
    assert paths.index("etc") < paths.index("etc/b") < paths.index("etc-x")
    assert {e.mtime for e in entries} == {1_600_000_000}
    with tarfile.open(tmp_path / "t") as known:
        assert [m.name for m in known] == paths


def test_the_last_addition_of_a_path_counts(tmp_path: Path) -> None:
    """Adding a path again replaces it."""
    with LayerWriter(tmp_path / "t", tmp_path / "i", 0) as writer:
        writer.add_file("a", b"first")
        writer.add_file("a", b"second")
    (entry,) = layer.read_index(tmp_path / "i")
    assert layer.read_member(tmp_path / "t", entry) == b"second"


def test_gnu_tar_lists_what_was_written(tmp_path: Path) -> None:
    """GNU tar reads a written layer without a word of complaint."""
    with LayerWriter(tmp_path / "t", tmp_path / "i", 0) as writer:
        fill(writer)
    done = subprocess.run(["tar", "-tvf", tmp_path / "t"], capture_output=True, check=True)
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 11


@pytest.mark.parametrize("path", ["/etc/x", "etc//x", "../x", "etc/"])
def test_paths_that_are_not_in_the_tree_are_refused(path: str, tmp_path: Path) -> None:
    """The writer takes clean relative paths only."""
    with pytest.raises(ValueError):  # noqa: PT011
        LayerWriter(tmp_path / "t", tmp_path / "i", 0).add_file(path, b"")


def test_nothing_is_written_after_an_error(tmp_path: Path) -> None:
    """A layer whose making failed leaves no file."""
    writer = LayerWriter(tmp_path / "t", tmp_path / "i", 0)
    with pytest.raises(KeyError), writer:
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_who_changes_a_merged_tree_changes_no_other() -> None:
    """Layers that were laid once are laid no more, and each who asks has a tree of its own."""
    low = (d(""), d("a"), f("a/b"), h("a/c", "a/b"))
    high = (d(""), f("a/b", 2), wh("x"))
    first = layer.merge([low, high])
    expected = dict(first)
    first["mine"] = first.pop("a/b")
    assert layer.merge([low, high]) == expected
    assert layer.merge([low]) == layer.merge([list(low)])
    assert layer.merge([low, high, (f("a/d"),)]) == layer.merge([list(low), list(high), [f("a/d")]])
    assert layer.merge([low, high]) == layer.merge([list(low), list(high)]) == expected

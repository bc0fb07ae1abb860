"""What a guest changed in a tree, told from the two states of its disk alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from bootsmith.tasks.disk.ext.files import Node
from bootsmith.tasks.writeback import differences
from bootsmith.tasks.writeback.differences import Differences

DEEP = 1000
MANY = 20_000
"""Names of one file: as many as ext4 allows would be 65,000."""


def node(inode: int, kind: str = "f", *, size: int = 0, **more: object) -> Node:
    return replace(Node(inode, kind, 0o755 if kind == "d" else 0o644, 0, 0, size, 0), **more)  # type: ignore[arg-type]


def tree(**more: Node) -> dict[bytes, Node]:
    """Return a tree of a folder and a file in it, and more at its top."""
    found = {b"": node(2, "d"), b"etc": node(11, "d"), b"etc/motd": node(12, size=6)}
    return {**found, **{name.encode(): each for name, each in more.items()}}


def between(before: Mapping[bytes, Node], after: Mapping[bytes, Node], *, may_own: bool = True) -> Differences:
    """Return the differences, where a file's size stands for what is in it."""
    return differences.between(before, after, lambda one, two: one.size == two.size, lambda *_: may_own)


def only(**wanted: object) -> dict[str, object]:
    """Return what is to be done: this, and nothing else."""
    return {"files": (), "directories": (), "removed": (), "in_the_way": frozenset(), "sockets": (), **wanted}


def to_do(found: Differences) -> dict[str, object]:
    return {name: getattr(found, name) for name in only()}


def test_nothing_changed() -> None:
    """The same files by other inodes are the same."""
    found = between(tree(), {**tree(), b"etc/motd": node(99, size=6)})
    assert not found
    assert found.paths == []


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o600}, {"mtime": 1}, {"size": 7}, {"kind": "l", "target": b"x"}, {"kind": "c", "device": (1, 3)},
        {"uid": 33}, {"gid": 33}, {"xattrs": {"user.note": b""}}, {"xattrs": {"security.capability": b"x"}},
    ],
)  # fmt: skip
def test_whatever_of_a_file_changed(change: Mapping[str, object]) -> None:
    """A file is written afresh for its content, mode, time, owner, kind or attributes, and nothing beside it."""
    found = between(tree(), {**tree(), b"etc/motd": node(12, **{"size": 6, **change})})  # type: ignore[arg-type]
    assert to_do(found) == only(files=((b"etc/motd",),))
    assert found.paths == [b"etc/motd"]


@pytest.mark.parametrize("change", [{"mode": 0o700}, {"mtime": 1}, {"uid": 33}, {"xattrs": {"user.note": b""}}])
def test_a_folder_s_change_is_its_own(change: Mapping[str, object]) -> None:
    """A folder that changed leaves what is in it alone; the top is a folder as any other."""
    after = {**tree(), b"": node(2, "d", **change), b"etc": node(11, "d", **change)}  # type: ignore[arg-type]
    assert to_do(between(tree(), after)) == only(directories=(b"", b"etc"))


def test_an_owner_that_nobody_can_give() -> None:
    """A new owner alone is no difference where it cannot be given; with another change it does not hide that."""
    given = node(12, size=6, uid=33)
    assert not between(tree(), {**tree(), b"etc/motd": given}, may_own=False)
    assert between(tree(), {**tree(), b"etc/motd": replace(given, mode=0o600)}, may_own=False)


@pytest.mark.parametrize("name", ["trusted.overlay.opaque", "security.selinux", "security.ima"])
def test_attributes_that_a_host_gives_by_itself(name: str) -> None:
    """What a host labels every file with is no change of the guest's."""
    labelled = node(12, size=6, xattrs={name: b"x"})
    assert not between(tree(), {**tree(), b"etc/motd": labelled})
    assert differences.attributes(labelled) == {}


def test_above_before_below_and_back() -> None:
    """Folders are made from above, and things removed from below, also where a name sorts before the slash."""
    more = {b"a": node(20, "d"), b"a-b": node(21), b"a/b": node(22, "d"), b"a/b/c": node(23), b"\xff\xfe": node(24)}
    made, gone = between(tree(), {**tree(), **more}), between({**tree(), **more}, tree())
    assert made.directories == (b"a", b"a/b")
    assert made.files == ((b"a-b",), (b"a/b/c",), (b"\xff\xfe",))
    assert to_do(gone) == only(removed=(b"\xff\xfe", b"a/b/c", b"a/b", b"a-b", b"a"))


# -- hard links


def test_hard_links_are_written_together() -> None:
    """All names of a file are one group, so that they are one file again; so where a name came to it."""
    one, two = tree(alias=node(12, size=6)), tree(alias=node(12, size=7), **{"etc/motd": node(12, size=7)})
    assert between(one, two).files == ((b"alias", b"etc/motd"),)
    assert between(tree(), one).files == ((b"alias", b"etc/motd"),)


def test_a_hard_link_that_went() -> None:
    """Where one name of a file went, the others stay what they are."""
    assert to_do(between(tree(alias=node(12, size=6)), tree())) == only(removed=(b"alias",))


def test_a_hard_link_that_was_cut() -> None:
    """Two names that are two files now are written, though each holds what it held."""
    linked, cut = tree(alias=node(12, size=6)), tree(alias=node(13, size=6))
    assert between(linked, cut).files == ((b"alias",), (b"etc/motd",))


def test_equal_files_that_were_linked() -> None:
    """Two files that were equal in all, and are one now, are made one: a later write to one is to reach the other."""
    cut, linked = tree(alias=node(13, size=6)), tree(alias=node(12, size=6))
    assert between(cut, linked).files == ((b"alias", b"etc/motd"),)


def test_a_file_of_many_names() -> None:
    """A file of many names, kept or cut into as many files, is looked at once and not for each name."""
    names = [b"%d" % number for number in range(MANY)]
    linked = {**tree(), **dict.fromkeys(names, node(50, size=1))}
    looked: list[Node] = []
    same = differences.between(linked, dict(linked), lambda one, _: looked.append(one) is None, lambda *_: True)
    assert not same
    assert len(looked) == 2
    cut = {**tree(), **{name: node(100 + number, size=1) for number, name in enumerate(names)}}
    assert len(between(linked, cut).files) == MANY


# -- one kind of thing in the place of another


def test_a_file_in_the_place_of_a_folder() -> None:
    """The folder and all below it must go before the file can come."""
    before = {**tree(), b"etc/apt": node(20, "d"), b"etc/apt/sources": node(21), b"old": node(22)}
    found = between(before, {**tree(), b"etc/apt": node(23)})
    assert found.removed == (b"old", b"etc/apt/sources", b"etc/apt")
    assert found.in_the_way == {b"etc/apt/sources", b"etc/apt"}
    assert found.files == ((b"etc/apt",),)
    assert found.paths == [b"etc/apt", b"etc/apt/sources", b"old"]


def test_a_folder_in_the_place_of_a_file() -> None:
    """The file must go before the folder can come."""
    found = between(tree(x=node(20)), {**tree(x=node(20, "d")), b"x/below": node(21)})
    assert to_do(found) == only(
        files=((b"x/below",),), directories=(b"x",), removed=(b"x",), in_the_way=frozenset({b"x"})
    )


def test_a_link_in_the_place_of_a_file() -> None:
    """One is put over the other at once: there is never a moment with neither."""
    assert to_do(between(tree(), tree(**{"etc/motd": node(20, "l", target=b"/x")}))) == only(files=((b"etc/motd",),))


def test_sockets_are_named_and_left_out() -> None:
    """A new socket is nothing to do; where it took a file's place, the file is gone."""
    assert to_do(between(tree(), tree(s=node(20, "s")))) == only(sockets=(b"s",))
    assert to_do(between(tree(x=node(20)), tree(x=node(20, "s")))) == only(sockets=(b"x",), removed=(b"x",))


def test_a_thousand_folders_deep() -> None:
    """Folders in folders that gave way to a file go from the deepest up, without a limit."""
    below = {b"x" + b"/x" * depth: node(100 + depth, "d") for depth in range(DEEP)}
    found = between({**tree(), **below}, tree(x=node(50)))
    assert list(found.removed) == list(below)[::-1]
    assert found.in_the_way == set(below)

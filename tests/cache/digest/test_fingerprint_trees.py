"""cache/digest/fingerprint.py: two trees have one fingerprint when they hold the same, and only then."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes

from tests.support.deep_tree import deep_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a little of everything."""
    top = tmp_path / "tree"
    (top / "etc/empty").mkdir(parents=True)
    (top / "etc/motd").write_bytes(b"hello")
    (top / "etc/issue").write_bytes(b"world")
    (top / "etc/link").symlink_to("motd")
    (top / "run.sh").write_bytes(b"#!/bin/sh\n")
    (top / os.fsdecode(b"caf\xe9\nnew line")).write_bytes(b"odd")
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)
    return top


def swap(top: Path) -> None:
    """Let two files change places."""
    (top / "etc/motd").rename(top / "etc/third")
    (top / "etc/issue").rename(top / "etc/motd")
    (top / "etc/third").rename(top / "etc/issue")


def relink(top: Path) -> None:
    """Let a link lead elsewhere."""
    (top / "etc/link").unlink()
    (top / "etc/link").symlink_to("issue")


def dereference(top: Path) -> None:
    """Put a file where a link to the same content was."""
    (top / "etc/link").unlink()
    shutil.copyfile(top / "etc/motd", top / "etc/link")


def join(top: Path) -> None:
    """Put a hard link where a file of the same content was."""
    shutil.copyfile(top / "etc/motd", top / "etc/issue")
    (top / "etc/issue").unlink()
    os.link(top / "etc/motd", top / "etc/issue")


def node(name: str, kind: int) -> Callable[[Path], None]:
    """Return what puts a special file into a tree."""
    return lambda top: os.mknod(top / name, kind | 0o644)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda top: (top / "etc/motd").write_bytes(b"hellO"),
    "a byte moved to the next file": lambda top: (
        (top / "etc/issue").write_bytes(b"oworld"),
        (top / "etc/motd").write_bytes(b"hell"),
    ),
    "two files swapped": swap,
    "file added": lambda top: (top / "etc/new").touch(),
    "file deleted": lambda top: (top / "run.sh").unlink(),
    "file renamed": lambda top: (top / "etc/motd").rename(top / "etc/motb"),
    "file moved up": lambda top: (top / "etc/motd").rename(top / "motd"),
    "empty directory added": lambda top: (top / "etc/new").mkdir(),
    "empty directory deleted": lambda top: (top / "etc/empty").rmdir(),
    "directory became a file": lambda top: ((top / "etc/empty").rmdir(), (top / "etc/empty").touch()),
    "mode of a file": lambda top: (top / "run.sh").chmod(0o644),
    "setuid": lambda top: (top / "run.sh").chmod(0o4755),
    "mode of a directory": lambda top: (top / "etc").chmod(0o700),
    "mode of the root": lambda top: top.chmod(0o700),
    "link leads elsewhere": relink,
    "link became a file": dereference,
    "file became a hard link": join,
    "attribute of a file": lambda top: os.setxattr(top / "run.sh", "user.note", b"1"),
    "attribute of a directory": lambda top: os.setxattr(top / "etc", "user.note", b"1"),
    "attribute of the root": lambda top: os.setxattr(top, "user.note", b"1"),
    "fifo": node("new", 0o010000),
    "socket": node("new", 0o140000),
}


def test_no_two_trees_are_alike(tree: Path) -> None:
    """Each change gives a tree a fingerprint of its own (V2, V3)."""
    found = {fingerprint(tree): "nothing"}
    for name, change in CHANGES.items():
        copy = tree.parent / "copy"
        shutil.copytree(tree, copy, symlinks=True)
        assert fingerprint(copy) == fingerprint(tree), "a copy is alike"
        change(copy)
        digest = fingerprint(copy)
        assert digest not in found, f"{name} looks like {found[digest]}"
        found[digest] = name
        copy.chmod(0o755)
        shutil.rmtree(copy)


def test_a_changed_attribute_shows(tree: Path) -> None:
    """Name and value of an extended attribute both count."""
    found = set()
    for name, value in (("user.a", b"1"), ("user.a", b"2"), ("user.b", b"1")):
        os.setxattr(tree / "run.sh", name, value)
        found.add(fingerprint(tree))
        os.removexattr(tree / "run.sh", name)
    assert len(found) == 3
    assert fingerprint(tree) not in found


def test_what_the_host_gives_by_itself_does_not_count(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of a security module, and what root alone sees, change nothing: two users, two hosts agree."""
    before = fingerprint(tree)
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["security.selinux", "trusted.overlay.origin"])
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: pytest.fail("read"))
    assert fingerprint(tree) == before


def test_a_file_system_without_attributes_is_one_with_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree copied to such a file system keeps its fingerprint."""
    before = fingerprint(tree)

    def unsupported(*_: object, **__: object) -> list[str]:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", unsupported)
    assert fingerprint(tree) == before


def test_where_when_and_in_which_order_do_not_count(tree: Path, tmp_path: Path) -> None:
    """The same tree made backwards, elsewhere, at another time is the same (V11)."""
    copy = tmp_path / "elsewhere" / "copy"
    copy.mkdir(parents=True, mode=0o755)
    for path in sorted(tree.rglob("*"), reverse=True):
        target = copy / path.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(path.read_bytes())
            os.utime(target, (1, 1))
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod((tree / path.relative_to(copy)).stat().st_mode & 0o7777)
    assert fingerprint(copy) == fingerprint(tree)


def test_the_fingerprint_of_a_tree_stays_what_it_is(tree: Path) -> None:
    """A new version of bootsmith trusts what an old one recorded."""
    assert fingerprint(tree) == "2cebb4f97f1418a80b2385e75bcb3eac"


def test_a_link_out_of_the_tree_is_its_target_and_nothing_more(tree: Path) -> None:
    """What a link inside a tree leads to is no part of the tree."""
    outside = tree.parent / "outside"
    outside.write_bytes(b"1")
    (tree / "out").symlink_to(outside)
    before = fingerprint(tree)
    outside.write_bytes(b"2")
    assert fingerprint(tree) == before


def test_a_name_outside_the_tree_for_a_file_inside_does_not_count(tree: Path) -> None:
    """A checkout made with hard links (cp -al) equals a plain one."""
    before = fingerprint(tree)
    os.link(tree / "run.sh", tree.parent / "outside")
    assert fingerprint(tree) == before


def test_a_file_removed_while_we_look_was_never_there(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor's passing file is no error: the tree is what remains."""
    before = fingerprint(tree)
    (tree / "passing").write_bytes(b"swap")
    real = os.open

    def vanish(path: bytes, *arguments: int) -> int:
        (tree / "passing").unlink(missing_ok=True)
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", vanish)
    assert fingerprint(tree) == before


def test_a_deep_tree_is_no_problem(tmp_path: Path) -> None:
    """Depth is limited neither by Python's stack nor by how long a path may be: an edit at the bottom shows."""
    with deep_tree(tmp_path / "deep", 5000) as last:
        before = fingerprint(tmp_path / "deep")
        os.mknod("file", dir_fd=last)
        added = fingerprint(tmp_path / "deep")
        os.setxattr(f"/proc/self/fd/{last}/file", "user.note", b"1")
        assert len({before, added, fingerprint(tmp_path / "deep")}) == 3


def test_the_first_of_many_names_is_the_least_deep(tmp_path: Path) -> None:
    """Which of a file's names holds it, and which are links to that, is part of what the fingerprint is."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/one").write_bytes(b"x")
    for name in ("a/two", "a/b/three", "z"):
        os.link(tmp_path / "a/b/one", tmp_path / name)
    listing: dict[str, str] = {}
    fingerprint(tmp_path, listing=listing)
    assert listing["z"].startswith("8 ")
    assert all(listing[name] == f"0 644 {b'z'.hex()}" for name in ("a/two", "a/b/one", "a/b/three"))


def test_a_renamed_file_need_not_be_read_again(tmp_path: Path) -> None:
    """What is vouched for is remembered under the file's new times, and an edit after it is seen."""
    from bootsmith.cache.digest.fingerprint import WORTH_WAITING, note
    from bootsmith.cache.digest.memo import Memo

    path = tmp_path / "big"
    path.write_bytes(b"")
    os.truncate(path, WORTH_WAITING)
    digest = fingerprint(path)
    memo = Memo(tmp_path / "memo")
    renamed = path.rename(tmp_path / "renamed")
    note(renamed, digest, memo)
    assert memo.get(renamed.stat()) == digest
    with renamed.open("r+b") as file:
        file.write(b"x")
    assert fingerprint(renamed, memo) != digest


def test_names_of_any_bytes_count(tmp_path: Path) -> None:
    """Names that are no UTF-8, or hold a newline, are told apart byte by byte (A2)."""
    found = set()
    for name in (b"caf\xe9", b"caf\xc3\xa9", b"caf\xe8", b"a\nb", b"a b", b"\n", b"\xff" * 255):
        folder = tmp_path / "tree"
        folder.mkdir()
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"content")
        found.add(fingerprint(folder))
        shutil.rmtree(folder)
    assert len(found) == 7


def test_a_touch_with_another_files_times_hides_no_edit(tmp_path: Path) -> None:
    """`touch -r`: the size and the time of the old content do not make the new one pass for it (V2)."""
    from bootsmith.cache.digest.memo import Memo

    known = Memo(tmp_path / "memo")
    file, like = tmp_path / "file", tmp_path / "like"
    file.write_bytes(b"old content")
    like.touch()
    shutil.copystat(file, like)
    assert fingerprint(file, known) == of_bytes(b"old content")
    file.write_bytes(b"new content")
    subprocess.run(["touch", "-r", like, file], check=True)
    assert file.stat().st_mtime_ns == like.stat().st_mtime_ns
    assert fingerprint(file, known) == of_bytes(b"new content")
    assert fingerprint(file, Memo(known.path)) == of_bytes(b"new content")


@pytest.mark.soak(ci=20, whole=1000)
def test_a_tree_of_many_files_is_one_fingerprint(tmp_path: Path, rounds: int) -> None:
    """A hundred files in each of many folders; one byte, one mode, one name of one of them shows each time (V2)."""
    from bootsmith.cache.digest.memo import Memo

    top = tmp_path / "tree"
    for folder in range(rounds):
        (top / f"{folder % 7}/{folder}").mkdir(parents=True)
        for number in range(100):
            (top / f"{folder % 7}/{folder}/{number}").write_bytes(b"%d %d" % (folder, number))
    known = Memo(tmp_path / "memo")
    before = fingerprint(top, known)
    known.save()
    assert fingerprint(top, Memo(known.path)) == before == fingerprint(top)
    one = top / f"{(rounds - 1) % 7}/{rounds - 1}/50"
    content, mode = one.read_bytes(), one.stat().st_mode
    found = {before}
    one.write_bytes(content[:-1] + b"!")
    found.add(fingerprint(top, known))
    one.write_bytes(content)
    one.chmod(0o600)
    found.add(fingerprint(top, known))
    one.chmod(mode)
    moved = one.rename(one.with_name("other"))
    found.add(fingerprint(top, known))
    assert len(found) == 4
    moved.rename(one)
    assert fingerprint(top, known) == before

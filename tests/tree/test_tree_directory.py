"""The output `directory`: the finished tree as a folder, whoever made it, and what cannot be one."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.tasks.build import folders
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import tree_directory
from bootsmith.tasks.tree.directory import attributes
from bootsmith.tasks.tree.finished_tree import TreeParams
from bootsmith.tasks.tree.tar import Entry

from tests.support.ordinary_user import UID, OrdinaryUser, ordinary_user
from tests.support.project import dodo, environment
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH, member, write_tar
from tests.tree.test_finished_tree import lay

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
"""cap_net_raw, as of the first user namespace."""
MADE = "source: {tar: tree.tar}\nsystem: none\nboot: {kernel: none}\noutputs: [directory, manifest]\n"
AGAIN = (
    "source: {directory: {path: build/made/made-tree, owner: keep, times: keep}}\nsystem: none\n"
    "boot: {kernel: none}\noutputs: [manifest]\n"
)
TREE = {
    "./": member("d", mode=0o555),
    "./bin/": member("d"),
    "./bin/ping": member(data=b"ping", mode=0o755, xattrs={"security.capability": CAPABILITY}),
    "./home/": member("d", uid=1000, gid=1000),
    "./home/file": member(data=b"x" * 5000, uid=1000, gid=1000, mode=0o4755, mtime=EPOCH - 7),
    "./home/link": member("l", linkname="/file", uid=1000, gid=1000),
    "./home/pipe": member("p", uid=33, gid=33),
    "./home/same": member("h", linkname="home/file"),
}


def make(folder: Path) -> tuple[Path, list[str]]:
    """Make a folder of the tree that other tests of finished trees have; return it, and what was told."""
    top, params = folder / "out", TreeParams(EPOCH, fstab=True, kernel=None)
    inputs = lay(folder)
    stage = Stage("x", "bootsmith.tasks.tree.tree_directory:run", inputs, {"tree": top}, params.to_json(), ("tar",))
    return top, run_stage(stage, folder / "scratch")


@pytest.mark.skipif(os.geteuid() != 0, reason="what root makes")
def test_root_makes_it_with_the_trees_own_numbers(tmp_path: Path) -> None:
    """Owners, modes, times, links and odd names are the tree's, twice the same; no device comes to be (A20)."""
    top, told = make(tmp_path / "a")
    other, _ = make(tmp_path / "b")
    assert (fingerprint(top), folders.owners(top)) == (fingerprint(other), folders.owners(other))
    file = (top / "file").stat()
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_gid, file.st_mtime) == (0o4755, 1000, 70000, EPOCH - 1)
    assert (top / "linked").samefile(top / "file")
    assert (top / "link").readlink() == Path("/a/b")
    assert not (top / "dev/null").exists()
    assert (top / "boot/vmlinuz-6.1").read_bytes() == b"K" * 600
    assert (top / os.fsdecode(b"odd-\xff")).read_bytes() == b"odd"
    assert top.stat().st_mtime == EPOCH
    (line,) = told
    assert line.startswith("/file: device nodes, and attributes but for capabilities and access control lists, ")


def doit(user: OrdinaryUser, top: Path, *words: str, status: int = 0) -> str:
    """Run doit as a user; return what it said."""
    done = subprocess.run(
        user.command(sys.executable, "-m", "doit", *words),
        cwd=top, env=environment(top), text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_ordinary_users_subordinate_ids_stand_for_owners(tmp_path: Path) -> None:
    """A directory made of it again, as run-dir takes one, is the tree: owners and capabilities too (A2, A20).

    It is fresh until somebody changes what is in it, replaced as a whole, and `clean` removes it (V6).
    """
    user = ordinary_user(tmp_path)
    top = user.home / "project"
    top.mkdir()
    for name, text in {"made.yaml": MADE, "again.yaml": AGAIN, "dodo.py": dodo("made.yaml")}.items():
        (top / name).write_text(text)
    write_tar(top / "tree.tar", TREE)
    if os.geteuid() == 0:
        for path in (top, *top.rglob("*")):
            os.chown(path, UID, UID)
    assert "built    convert/directory" in doit(user, top, "image")
    tree = top / "build/made/made-tree"
    assert tree.stat().st_uid == top.stat().st_uid
    assert (tree / "home").stat().st_uid not in {0, 1000, top.stat().st_uid}
    assert stat.S_IMODE(tree.stat().st_mode) == 0o555
    before = json.loads((top / "build/made/made-manifest.json").read_text())["files"]
    doit(user, top, "recipe=again.yaml", "image")
    after = json.loads((top / "build/again/again-manifest.json").read_text())["files"]
    assert after[1:] == before[1:], "all but the top, which a source's is open to all"
    assert {"/home/file", "/home/same", "/bin/ping"} <= {each["path"] for each in after}
    assert "fresh    convert/directory" in doit(user, top, "image")
    (tree / "bin/ping").chmod(0o644)
    assert "built    convert/directory" in doit(user, top, "image")
    assert os.access(tree / "bin/ping", os.X_OK)
    assert f"removed {tree}" in doit(user, top, "clean", "image")
    assert not tree.exists()
    write_tar(top / "tree.tar", TREE | {"./home/secret/": member("d", uid=1000, mode=0o700)})
    said = doit(user, top, "image", status=1)
    assert "/home/secret: only its owner, or root, may read it" in said
    assert not tree.exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry("", "d", 0o755, uid=1), "the top of the tree belongs to somebody else than root"),
        (Entry("a", "f", 0o640, uid=33, gid=33), "/a: only its owner, or root, may read it"),
        (Entry("a", "f", 0o000), "/a: only its owner, or root, may read it"),
        (Entry("a", "d", 0o704, uid=33, gid=33), "/a: only its owner, or root, may read it"),
        (Entry("a", "l", 0o777, uid=1 << 30), "/a belongs to user 1073741824, and you have 65536 subordinate ids"),
        (Entry("a", "f", 0o644, gid=1 << 30), "/a belongs to group 1073741824, and you have 65536 subordinate ids"),
        (Entry("a", "f", 0o640, uid=33), ""),
        (Entry("a", "f", 0o400), ""),
        (Entry("a", "p", 0o000, uid=33), ""),
    ],
)
def test_what_an_ordinary_user_could_not_look_at_is_refused(
    monkeypatch: pytest.MonkeyPatch, entry: Entry, said: str
) -> None:
    """Nobody could tell whether it is as it was made; what to do is said (A20)."""
    monkeypatch.setattr("bootsmith.tasks.tools.subordinate_ids.mine", lambda _kind: [(100_000, 65_536)])
    if not said:
        tree_directory._check([entry])
        return
    with pytest.raises(StageError, match=said) as refused:
        tree_directory._check([entry])
    assert "run-tgz boots" in refused.value.hint


@pytest.mark.parametrize(
    ("root", "value"),
    [(0, CAPABILITY), (5, struct.pack("<6I", 0x03000001, 1 << 13, 0, 0, 0, 5))],
)
def test_capabilities_given_in_a_namespace_are_the_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: int, value: bytes
) -> None:
    """A guest believes in those that its own root gave; those of another namespace's are nobody's there."""
    kept = struct.pack("<6I", 0x03000001, 1 << 13, 0, 0, 0, root)
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["security.capability"])
    monkeypatch.setattr(os, "getxattr", lambda *_, **__: kept)
    found = attributes(tmp_path, lambda uid, gid: (uid, gid))
    assert found == {"security.capability": value}

"""What a guest changed comes into the directory: exactly that, and never anywhere else."""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from bootsmith.tasks.disk.ext.files import Files
from bootsmith.tasks.disk.node import same
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, ownership
from bootsmith.tasks.writeback import differences, summary
from bootsmith.tasks.writeback.apply import STAGING, Report, WriteBack
from bootsmith.tasks.writeback.openat import Top

from tests.support.guest_disks import copy, debugfs, described, disk_of

ROOT = os.geteuid() == 0


@pytest.fixture(name="template", scope="module")
def fixture_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A directory with a file of each kind, and its disk."""
    scratch = tmp_path_factory.mktemp("template")
    top = scratch / "top"
    for folder in ("etc/apt", "usr/bin", "var/log", "home/user"):
        (top / folder).mkdir(parents=True)
    (top / "etc/motd").write_text("hello\n")
    (top / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (top / "etc/apt/sources").write_text("none")
    (top / "usr/bin/tool").write_bytes(b"\x7fELF" * 1000)
    (top / "usr/bin/tool").chmod(0o755)
    os.link(top / "usr/bin/tool", top / "usr/bin/alias")
    (top / "etc/link").symlink_to("motd")
    os.mkfifo(top / "var/pipe")
    (top / "var/log/old").write_text("gone soon")
    for path in [top, *top.rglob("*")]:
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return top, disk_of(top, scratch)


@pytest.fixture(name="top")
def fixture_top(template: tuple[Path, Path], tmp_path: Path) -> Path:
    """That directory, and an outside that must stay as it is beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("mine")
    return copy(template[0], tmp_path / "top")


@pytest.fixture(name="dirs")
def fixture_dirs(template: tuple[Path, Path], top: Path, tmp_path: Path) -> Iterator[Directories]:
    """Its disk, and a guest."""
    with ExitStack() as stack:
        yield Directories(top, template[1], copy(top, tmp_path / "guest"), tmp_path / "after", stack)


@dataclass
class Directories:
    """A directory, its disk, and the directory that a guest's disk is to be made of."""

    top: Path
    before: Path
    guest: Path
    scratch: Path
    stack: ExitStack

    def work(self, *commands: str, may_own: bool = ROOT) -> WriteBack:
        """Return the work that is to be done now, the guest's disk changed by commands of debugfs."""
        disk = disk_of(self.guest, self.scratch)
        if commands:
            debugfs(disk, *commands)
        before, after = (self.stack.enter_context(Files(each)) for each in (self.before, disk))
        changes = differences.between(
            before.tree(), after.tree(), lambda a, b: same((before, a), (after, b)), lambda *_: may_own
        )
        return WriteBack(self.stack.enter_context(Top(self.top)), changes, before, after, ownership.of(self.top))

    def run(self, *commands: str, may_own: bool = ROOT) -> tuple[WriteBack, Report]:
        """Write back."""
        work = self.work(*commands, may_own=may_own)
        assert work.strangers() == []
        return work, work.run(lambda _: None)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def become_folder(path: Path) -> None:
    path.unlink()
    (path / "below").mkdir(parents=True)
    (path / "below/file").write_text("in it")


def become_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file now")


def become_link(path: Path, target: str) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.seek(3 << 30)
        file.write(b"end")


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda _: None, set()),
    "edited": (lambda top: append(top / "etc/motd", "more"), {"etc/motd"}),
    "emptied": (lambda top: (top / "etc/motd").write_text(""), {"etc/motd"}),
    "same size": (lambda top: (top / "etc/motd").write_text("HELLO\n"), {"etc/motd"}),
    "created": (lambda top: (top / "etc/new").write_text("new"), {"etc/new"}),
    "created deep": (
        lambda top: [(top / "a/b/c").mkdir(parents=True), (top / "a/b/c/d").write_text("x")],
        {"a", "a/b", "a/b/c", "a/b/c/d"},
    ),
    "odd names": (lambda top: (top / "etc/-rf \n*\"'\\").write_text("x"), {"etc/-rf \n*\"'\\"}),
    "no UTF-8": (lambda top: (top / os.fsdecode(b"etc/\xff\xfe")).write_text("x"), {os.fsdecode(b"etc/\xff\xfe")}),
    "removed": (lambda top: (top / "var/log/old").unlink(), {"var/log/old"}),
    "folder removed": (lambda top: shutil.rmtree(top / "etc/apt"), {"etc/apt", "etc/apt/sources"}),
    "moved": (lambda top: (top / "etc/hosts").rename(top / "home/hosts"), {"etc/hosts", "home/hosts"}),
    "mode": (lambda top: (top / "etc/motd").chmod(0o600), {"etc/motd"}),
    "unreadable": (lambda top: (top / "etc/motd").chmod(0), {"etc/motd"}),
    "setuid": (lambda top: (top / "etc/motd").chmod(0o6755), {"etc/motd"}),
    "folder's mode": (lambda top: (top / "home/user").chmod(0o1777), {"home/user"}),
    "folder closed": (lambda top: [replace(top / "etc/motd", "x"), (top / "etc").chmod(0o555)], {"etc", "etc/motd"}),
    "top's mode": (lambda top: top.chmod(0o700), {"."}),
    "link": (lambda top: become_link(top / "etc/link", "hosts"), {"etc/link"}),
    "link made": (lambda top: (top / "etc/other").symlink_to("/outside/" + "x" * 300), {"etc/other"}),
    "hard link made": (lambda top: os.link(top / "etc/motd", top / "etc/twin"), {"etc/motd", "etc/twin"}),
    "hard link of a link": (
        lambda top: os.link(top / "etc/link", top / "etc/twin", follow_symlinks=False), {"etc/link", "etc/twin"},
    ),
    "hard link broken": (
        lambda top: [(top / "usr/bin/alias").unlink(), shutil.copy2(top / "usr/bin/tool", top / "usr/bin/alias")],
        {"usr/bin/alias", "usr/bin/tool"},
    ),
    "hard link's content": (lambda top: append(top / "usr/bin/tool", "x"), {"usr/bin/alias", "usr/bin/tool"}),
    "hard link removed": (lambda top: (top / "usr/bin/alias").unlink(), {"usr/bin/alias"}),
    "file to folder": (
        lambda top: become_folder(top / "etc/motd"), {"etc/motd", "etc/motd/below", "etc/motd/below/file"},
    ),
    "folder to file": (lambda top: become_file(top / "etc/apt"), {"etc/apt", "etc/apt/sources"}),
    "folder to link": (lambda top: become_link(top / "etc/apt", "../../outside"), {"etc/apt", "etc/apt/sources"}),
    "link to folder": (
        lambda top: become_folder(top / "etc/link"), {"etc/link", "etc/link/below", "etc/link/below/file"},
    ),
    "file to pipe": (lambda top: [(top / "etc/motd").unlink(), os.mkfifo(top / "etc/motd", 0o622)], {"etc/motd"}),
    "attribute": (lambda top: os.setxattr(top / "etc/motd", "user.note", b"v"), {"etc/motd"}),
    "folder's attribute": (lambda top: os.setxattr(top / "etc", "user.note", b"v"), {"etc"}),
    "larger than the disk": (lambda top: sparse(top / "var/sparse"), {"var/sparse"}),
    "staging's name": (lambda top: (top / os.fsdecode(STAGING)).write_text("mine"), {os.fsdecode(STAGING)}),
    "all at once": (
        lambda top: [
            append(top / "etc/hosts", "x"), become_folder(top / "etc/motd"), become_file(top / "etc/apt"),
            shutil.rmtree(top / "var"), append(top / "usr/bin/alias", "y"),
        ],
        {"etc/hosts", "etc/motd", "etc/motd/below", "etc/motd/below/file", "etc/apt", "etc/apt/sources", "var",
         "var/log", "var/log/old", "var/pipe", "usr/bin/alias", "usr/bin/tool"},
    ),
}  # fmt: skip


def states(top: Path) -> dict[str, tuple[int, int, int, tuple[str, ...]]]:
    """Return which inode each path is, when it was changed, and what else belongs to it."""
    found: dict[str, tuple[int, int, int, tuple[str, ...]]] = {}
    for path in [top, *top.rglob("*")]:
        status, attributes = path.lstat(), os.listxattr(path, follow_symlinks=False)
        found[str(path.relative_to(top))] = status.st_ino, status.st_mtime_ns, status.st_mode, tuple(attributes)
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_guest_changed_and_nothing_else(name: str, dirs: Directories, tmp_path: Path) -> None:
    """The directory is what the guest left; every other file is the very same, times included (A4).

    The folders in which it made or removed something have the guest's times.
    """
    change, touched = CHANGES[name]
    before = states(dirs.top)
    change(dirs.guest)
    guest = states(dirs.guest)
    folders = {
        path for path in before.keys() & guest.keys()
        if (dirs.guest / path).is_dir() and guest[path][1] != before[path][1]
    }  # fmt: skip
    dirs.run()
    assert described(dirs.top) == described(dirs.guest)
    after = states(dirs.top)
    kept = {path for path in before if path in after and before[path] == after[path]}
    assert kept == set(before) - touched - folders
    for path in folders - touched:
        inode, _, *others = before[path]
        assert after[path] == (inode, guest[path][1] // 10**9 * 10**9, *others)
    assert (tmp_path / "outside/precious").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "guest", "outside", "top"]


def test_what_the_guest_left_as_old_as_it_was_stays_so(dirs: Directories) -> None:
    """The disk has other times than the directory: of a new mode, and under a new name, a file keeps its own."""
    work, _ = dirs.run(
        "cd etc", "ln motd renamed", "unlink motd", "sif hosts mode 0100600", "sif link uid 0", "sif /usr mode 040700"
    )
    assert {"etc/hosts", "etc/renamed"} <= {os.fsdecode(name) for names in work.changes.files for name in names}
    for name in ("etc/hosts", "etc/renamed", "usr"):
        assert (dirs.top / name).stat().st_mtime == 1_000_000_000, name
    assert (dirs.top / "etc/hosts").stat().st_mode & 0o777 == 0o600
    assert (dirs.top / "usr").stat().st_mode & 0o777 == 0o700
    assert not (dirs.top / "etc/motd").exists()


def test_times_are_the_guest_s_where_it_changed_them(dirs: Directories, top: Path) -> None:
    """A file and a folder touched in the guest have its times, to the nanosecond."""
    late = f"sif etc/hosts mtime_extra {999_999_999 << 2}"
    dirs.run("sif etc/hosts mtime 0x60000000", late, "sif var mtime 0x60000001")
    assert (top / "etc/hosts").stat().st_mtime_ns == 0x60000000 * 1_000_000_000 + 999_999_999
    assert (top / "var").stat().st_mtime == 0x60000001
    assert (top / "etc/motd").stat().st_mtime == 1_000_000_000


def test_hard_links_that_lead_out_of_the_tree_are_cut(dirs: Directories, top: Path, tmp_path: Path) -> None:
    """A file that has a name outside is written afresh, so that only the name inside changes: as in `cp -al` copies."""
    os.link(top / "etc/motd", tmp_path / "outside/motd")
    (dirs.guest / "etc/motd").chmod(0o600)
    dirs.run()
    assert stat.S_IMODE((top / "etc/motd").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "outside/motd").stat().st_mode) == 0o644


@pytest.mark.skipif(not ROOT, reason="only root gives files to others")
def test_root_gives_files_to_whom_they_belong(dirs: Directories, top: Path) -> None:
    """Owners and file capabilities are the guest's; what its capabilities let others do is told of (A2)."""
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.chown(dirs.guest / "etc/motd", 33, 44)
    os.chown(dirs.guest / "home/user", 1000, 1000)
    os.setxattr(dirs.guest / "usr/bin/tool", "security.capability", capability)
    _, report = dirs.run()
    assert ((top / "etc/motd").stat().st_uid, (top / "etc/motd").stat().st_gid) == (33, 44)
    assert (top / "home/user").stat().st_uid == 1000
    assert os.getxattr(top / "usr/bin/alias", "security.capability") == capability
    assert (report.owners, report.devices, report.attributes) == ([], [], [])
    assert report.set_id == [b"usr/bin/alias", b"usr/bin/tool"]


def test_no_device_of_this_host_is_made(dirs: Directories, top: Path) -> None:
    """A guest's device node, new or in a file's place, would open this host's disk: it is told of, whoever writes."""
    _, report = dirs.run("cd etc", "mknod disk b 8 0", "rm motd", "mknod motd c 1 1")
    assert sorted(report.devices) == [b"etc/disk", b"etc/motd"]
    assert not (top / "etc/disk").exists()
    assert (top / "etc/motd").read_text() == "hello\n"


def test_who_may_run_what_is_set_id_is_said(dirs: Directories, top: Path) -> None:
    """A program that runs with the rights of others is named, and who can reach it where not its owner alone can."""
    (dirs.guest / "usr/bin/tool").chmod(0o4755)
    work, report = dirs.run()
    top.chmod(0o700)
    (line,) = summary.left_out(report, work.changes, top, strays=False)
    assert line.startswith("2 files run with the rights of others (setuid, setgid, capabilities): usr/bin/alias")
    top.chmod(0o755)
    (line,) = summary.left_out(report, work.changes, top, strays=False)
    assert "to keep others out: chmod 700: usr/bin/alias" in line


def test_access_control_lists_name_who_it_is_here(dirs: Directories, top: Path) -> None:
    """A list is written with this host's numbers for the guest's; one that names somebody unknown here is told of."""
    none = (1 << 32) - 1
    rows = [(1, none, 6), (2, 33, 4), (4, none, 4), (8, 34, 6), (16, none, 6), (32, none, 0)]
    strange = [(tag, 70_000 if tag == 2 else who, may) for tag, who, may in rows]
    os.setxattr(dirs.guest / "etc/motd", acl.ACCESS, acl.encode(rows))
    os.setxattr(dirs.guest / "etc/hosts", acl.ACCESS, acl.encode(strange))
    os.setxattr(dirs.guest / "home", acl.DEFAULT, acl.encode(rows))
    work = dirs.work()
    mine = os.geteuid(), os.getegid()
    work.owners = ownership.Owners(*mine, ((100_000, 50),), ((200_000, 50),))
    report = work.run(lambda _: None)
    here = [(tag, {2: 100_032, 8: 200_033}.get(tag, who), may) for tag, who, may in rows]
    assert acl.decode(os.getxattr(top / "etc/motd", acl.ACCESS)) == here
    assert acl.decode(os.getxattr(top / "home", acl.DEFAULT)) == here
    assert os.listxattr(top / "etc/hosts") == [acl.ACCESS]
    work.owners = ownership.Owners(*mine, ((70_000, 50),), ((200_000, 50),))  # 70,000 is the guest's 1
    with pytest.raises(OSError, match="names somebody"):
        work._translated(acl.encode(strange))
    assert report.attributes == []


def test_a_new_owner_alone_is_nothing_to_who_may_not_give(dirs: Directories, top: Path) -> None:
    """Where nobody could be given the file, a chown in the guest rewrites nothing."""
    before = states(top)
    dirs.run("sif etc/motd uid 33", may_own=False)
    assert states(top) == before


@pytest.mark.soak(ci=60, whole=10_000)
def test_rubbish_stays_in_the_directory(dirs: Directories, top: Path, tmp_path: Path, rounds: int) -> None:
    """A guest's disk changed at random, and believed as far as it can be: nothing is written but in the directory."""
    image, pristine = tmp_path / "fs.img", tmp_path / "pristine"
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-O", "^orphan_file,^metadata_csum_seed"]
    (dirs.guest / "etc/motd").write_text("from the guest\n")
    (dirs.guest / "etc/deep/er").mkdir(parents=True)
    subprocess.run([*words, "-d", dirs.guest, image, "16M"], check=True, capture_output=True)
    top.rename(pristine)
    whole, chance, written = image.read_bytes(), random.Random(5), 0
    books = [at for at in range(0, len(whole), 4096) if any(whole[at : at + 4096])]
    beside = {path: path.read_bytes() for path in (tmp_path / "outside").iterdir()}
    for _ in range(rounds):
        found = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            found[chance.choice(books) + chance.randrange(4096)] = chance.choice((0, 1, 0x2E, 0x2F, 0x80, 0xFF))
        image.write_bytes(found)
        copy(pristine, top)
        with suppress(StageError, OSError), Files(dirs.before) as before, Files(image) as after, Top(top) as place:
            changes = differences.between(
                before.tree(),
                after.tree(),
                lambda a, b, one=before, two=after: same((one, a), (two, b)),
                lambda *_: ROOT,
            )
            written += WriteBack(place, changes, before, after, ownership.of(top)).run(lambda _: None).written
        subprocess.run(["rm", "-rf", top], check=True)
        assert {path: path.read_bytes() for path in (tmp_path / "outside").iterdir()} == beside
        assert {each.name for each in tmp_path.iterdir()} == {"fs.img", "pristine", "outside", "guest"}
    assert written
    pristine.rename(top)


def test_sockets_are_left_out_and_named(dirs: Directories, top: Path) -> None:
    """A socket means nothing without its server, and the next disk could not hold it."""
    work, _ = dirs.run("sif var/pipe mode 0140644")
    assert work.changes.sockets == (b"var/pipe",)
    assert not (top / "var/pipe").exists()


def test_an_owner_that_nobody_can_be(dirs: Directories, top: Path) -> None:
    """An inode may say -1, which chown takes for "leave it": the file is ours then, and that is said."""
    (dirs.guest / "etc/motd").write_text("changed")
    _, report = dirs.run("sif etc/motd uid 0xffffffff")
    assert report.owners == [b"etc/motd"]
    assert (top / "etc/motd").stat().st_uid == os.geteuid()


def test_an_owner_that_has_no_number_here(dirs: Directories, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container an id may be unknown to the kernel (EINVAL): that is told, and the rest is written."""
    (dirs.guest / "etc/motd").write_text("changed")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "chown", refuse)
    _, report = dirs.run()
    assert b"etc/motd" in report.owners
    assert (top / "etc/motd").read_text() == "changed"


def test_a_file_that_cannot_be_made_is_named(dirs: Directories, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the host's file system refuses is told with the file's own name, and nothing has changed."""
    (dirs.guest / "etc/motd").write_text("changed")
    before = states(top)

    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="File too large") as raised:
        dirs.run()
    assert raised.value.filename == f"{top}/etc/motd"
    assert {path: states(top)[path] for path in before if path != "."} == {
        path: state for path, state in before.items() if path != "."
    }


# -- hostile trees, and directories that change at the wrong moment


@pytest.mark.parametrize(
    ("meddle", "found"),
    [
        (lambda top: append(top / "etc/motd", "theirs"), [b"etc/motd"]),
        (lambda top: (top / "etc/motd").chmod(0o640), [b"etc/motd"]),
        (lambda top: (top / "etc/motd").unlink(), [b"etc/motd"]),
        (lambda top: (top / "etc/new").write_text("theirs"), [b"etc/new"]),
        (lambda top: (top / "etc/new").write_text("new"), []),  # what the guest has, to the letter
        (lambda top: append(top / "etc/hosts", "not of ours"), []),
        (lambda top: become_link(top / "etc", "../outside"), [b"etc", b"etc/motd"]),
        (lambda top: become_link(top / "etc/motd", "hosts"), [b"etc/motd"]),
        (lambda top: become_folder(top / "etc/motd"), [b"etc/motd"]),
    ],
)
def test_what_is_somebody_else_s_is_seen(
    dirs: Directories, top: Path, meddle: Callable[[Path], object], found: list[bytes]
) -> None:
    """A file that is neither as the disk had it nor as the guest left it is not ours to write over."""
    append(dirs.guest / "etc/motd", "m")
    (dirs.guest / "etc/new").write_text("new")
    work = dirs.work()
    meddle(top)
    assert work.strangers() == found


def test_a_folder_that_becomes_a_link_at_the_last_moment(dirs: Directories, top: Path, tmp_path: Path) -> None:
    """Between look and writing a folder is swapped for a link out of the tree: an error, and nothing outside."""
    append(dirs.guest / "etc/hosts", "m")
    shutil.copy2(top / "etc/hosts", tmp_path / "outside/hosts")

    def swap(text: str) -> None:
        if "places" in text:
            (top / "etc").rename(top / "was")
            (top / "etc").symlink_to("../outside")

    work = dirs.work()
    assert work.strangers() == []
    with pytest.raises((StageError, OSError)):
        work.run(swap)
    assert (tmp_path / "outside/hosts").read_text() == "127.0.0.1 localhost\n"
    assert (top / "was/hosts").read_text() == "127.0.0.1 localhost\n"


def test_a_file_edited_at_the_last_moment(dirs: Directories, top: Path) -> None:
    """Between the look and the writing somebody edits a file: it is theirs."""
    append(dirs.guest / "etc/hosts", "m")
    work = dirs.work()
    assert work.strangers() == []
    with pytest.raises(StageError, match="etc/hosts was changed by somebody else"):
        work.run(lambda text: append(top / "etc/hosts", "theirs") if "places" in text else None)
    assert (top / "etc/hosts").read_text().endswith("theirs")

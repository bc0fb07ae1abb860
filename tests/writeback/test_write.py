"""run-dir --write: what a machine changed comes into its directory, whenever and however it ended. A4."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import file_faults
from tests.support.checkout import CHECKOUT
from tests.support.ext_image import read_tree
from tests.support.guest_disks import copy, debugfs, described, disk_of
from tests.support.kernel_files import bzimage
from tests.support.ordinary_user import ordinary_user
from tests.support.small_guest import SmallProject
from tests.support.toy_project import ToyProject

KERNEL = bzimage()
QEMU = """
import shutil
from pathlib import Path
from bootsmith.tasks.tools import popen
def pretend(argv, **_):
    for disk in Path("build/run").glob("*/write/guest.img"):
        if Path("guest.img").exists():
            shutil.copyfile("guest.img", disk)
    for path in Path(".").glob("meddle*"):
        path.rename(Path("../one/etc") / path.name)
    return int(Path("status").read_text()) if Path("status").exists() else 0
popen.spawn_interactive = pretend
"""
"""In the dodo.py: a machine that leaves a disk at once, meddles with the directory, and ends with a status."""


class FakeMachine:
    """A project whose machines only pretend, a directory `one`, and `two`, which is what the guest makes of it."""

    def __init__(self, tmp_path: Path) -> None:
        for name in ("project", "one/boot", "one/etc", "one/var"):
            (tmp_path / name).mkdir(parents=True)
        self.here, self.one, self.two = tmp_path, tmp_path / "one", tmp_path / "two"
        (self.one / "boot/vmlinuz-1").write_bytes(KERNEL)
        (self.one / "etc/motd").write_text("hello\n")
        (self.one / "etc/hosts").write_text("localhost\n")
        (self.one / "var/old").write_text("gone soon")
        self.project = ToyProject.make(tmp_path / "project")
        dodo = self.project.top / "dodo.py"
        dodo.write_text(dodo.read_text() + QEMU)
        copy(self.one, self.two)

    def change(self) -> None:
        """Let the guest edit, make and remove, all of which is to be seen in the directory."""
        (self.two / "etc/motd").write_text("from the guest\n")
        (self.two / "etc/new").mkdir()
        (self.two / "etc/new/file").write_text("new")
        (self.two / "var/old").unlink()
        os.link(self.two / "etc/hosts", self.two / "etc/twin")

    def leave(self, *commands: str) -> Path:
        """Have the guest leave its disk, as it is in `two`, changed by commands of debugfs."""
        target = self.project.top / "guest.img"
        shutil.copyfile(disk_of(self.two, self.here / "scratch"), target)
        shutil.rmtree(self.here / "scratch")
        if commands:
            debugfs(target, *commands)
        return target

    def write(self, *words: str, status: int = 0) -> str:
        """Run `doit run-dir --write ../one`; return all it says."""
        return self.doit("run-dir", "--write", "--accel", "tcg", *words, "../one", status=status)

    def doit(self, *words: str, status: int = 0) -> str:
        done = self.project.doit(*words)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def kept(self) -> list[Path]:
        """What is under way."""
        return sorted(path for path in self.project.top.glob("build/run/*/write/*") if path.name != "lock")


@pytest.fixture(name="fake")
def fixture_fake(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def test_the_guest_s_changes_are_written(fake: FakeMachine) -> None:
    """Edited, made, removed, linked: one line says how many; the next machine starts from what is there now."""
    fake.change()
    fake.leave()
    said = fake.write()
    assert f"wrote back 4 files, made 1 directory, removed 1 in {fake.one}" in said
    assert described(fake.one) == described(fake.two)
    assert fake.kept == []
    (fake.project.top / "guest.img").unlink()
    said = fake.write()
    assert "built    dir-disk" in said
    assert f"the guest changed nothing in {fake.one}" in said or "written" not in said
    assert "fresh    dir-disk" in fake.doit("run-dir", "--accel", "tcg", "../one")
    assert described(fake.one) == described(fake.two)


def test_times_go_both_ways(fake: FakeMachine) -> None:
    """The guest sees when files were changed here; what it left alone keeps its time to the last digit, else it is its.

    A folder in which it made something has the guest's time too, as it has in the guest.
    """
    shutil.rmtree(fake.two)
    for number, path in enumerate(["etc/motd", "etc/hosts", "var/old", "boot/vmlinuz-1", "boot", "etc", "var", ""]):
        os.utime(fake.one / path, ns=(0, (1_000_000_000 + number) * 10**9 + 123_456_789))
    before = times(fake.one)
    copy(fake.one, fake.two)
    assert "nothing in" in fake.write()
    assert times(fake.one) == before
    (disk,) = fake.project.top.glob("build/run/one-*/tree.img")
    seen = {os.fsdecode(path): node.mtime for path, node in read_tree(disk).items()}
    assert seen == {path: time // 10**9 for path, time in before.items()}
    (fake.two / "etc/motd").write_text("from the guest\n")
    (fake.two / "var/new").touch()
    (fake.two / "boot").chmod(0o700)
    for path in ("etc/motd", "var/new", "var"):
        os.utime(fake.two / path, (1_500_000_000, 1_500_000_000))
    fake.leave()
    assert "wrote back 2 files in" in fake.write()
    changed = dict.fromkeys(("etc/motd", "var/new", "var"), 1_500_000_000 * 10**9)
    assert times(fake.one) == before | changed


def times(top: Path) -> dict[str, int]:
    """Return when each file and folder was changed, "" the top."""
    return {str(path.relative_to(top)).removeprefix("."): path.lstat().st_mtime_ns for path in [top, *top.rglob("*")]}


def test_without_the_option_nothing_is_written(fake: FakeMachine) -> None:
    """A directory stays as it is unless asked."""
    before = described(fake.one)
    fake.doit("run-dir", "--accel", "tcg", "../one")
    assert described(fake.one) == before
    assert not list(fake.project.top.glob("build/run/*/write"))


def test_a_file_system_without_hard_links(fake: FakeMachine) -> None:
    """Where the disk as it was cannot be kept by another name, it is copied."""
    (fake.two / "etc/motd").write_text("from the guest\n")
    fake.leave()
    dodo = fake.project.top / "dodo.py"
    refusing = "import os\ndef refuse(*_, **__): raise PermissionError(1, 'no links here')\nos.link = refuse\n"
    dodo.write_text(dodo.read_text() + refusing)
    assert "wrote back 1 file in" in fake.write()
    assert described(fake.one) == described(fake.two)


@pytest.mark.parametrize("other", ["--print", "--keep"])
def test_options_that_say_the_contrary(fake: FakeMachine, other: str) -> None:
    """To print the command alone, or to keep the writes in an overlay, is not to write them."""
    assert f"--write and {other} exclude each other" in fake.write(other, status=3)


def test_a_directory_that_somebody_changed_is_not_written_over(fake: FakeMachine) -> None:
    """What the guest changed is put beside it, the names of what it removed too, and the error says what to do."""
    fake.change()
    fake.leave()
    (fake.project.top / "meddle").write_text("theirs")
    said = fake.write(status=1)
    assert f"somebody else changed {fake.one} while the guest ran: nothing was written into it" in said
    beside = fake.here / "one.guest"
    assert f"What the guest changed is in {beside} (4 files)" in said
    assert {str(path.relative_to(beside)) for path in beside.rglob("*")} == {
        "etc", "etc/motd", "etc/hosts", "etc/twin", "etc/new", "etc/new/file",
    }  # fmt: skip
    assert (beside / "etc/motd").read_text() == "from the guest\n"
    assert (fake.here / "one.guest.removed").read_text() == "var/old\n"
    (fake.one / "etc/meddle").unlink()
    assert (fake.one / "etc/motd").read_text() == "hello\n"
    assert (fake.one / "var/old").exists()
    assert fake.kept == []
    (fake.project.top / "meddle").write_text("theirs")
    assert f"{beside}-2" in fake.write(status=1)


@pytest.mark.parametrize(
    "damage", ["clri /var", "sif etc links_count 77", "clri etc/motd", "sif etc/motd links_count 9"]
)
@pytest.mark.parametrize("torn", [True, False])
def test_a_filesystem_that_is_damaged_is_kept_and_named(fake: FakeMachine, damage: str, torn: bool) -> None:
    """Even what e2fsck would mend by letting a folder go is refused; nothing is written, and the way out is said."""
    fake.change()
    disk = fake.leave(damage, *(["feature needs_recovery", "ssv state 0"] if torn else []))
    before = described(fake.one)
    said = fake.write(status=1)
    assert "the guest left a damaged filesystem; e2fsck says" in said
    assert described(fake.one) == before
    assert [path.name for path in fake.kept if path.name != "recovered.img"] == [
        "before.img",
        "guest.img",
        "state.json",
    ]
    assert fake.kept[1].read_bytes() == disk.read_bytes()
    plain = fake.doit("run-dir", "--accel", "tcg", "../one", status=1)
    assert f"a machine wrote to {fake.one}, and not all of it is in it yet" in plain
    folder = fake.kept[0].parent
    assert f"rm -r {folder}" in plain
    shutil.rmtree(folder)
    disk.unlink()
    fake.doit("run-dir", "--accel", "tcg", "../one")


def test_a_filesystem_that_was_not_unmounted_is_recovered(fake: FakeMachine) -> None:
    """A machine that was switched off: its journal is replayed, and what it wrote is written back."""
    fake.change()
    fake.leave("feature needs_recovery", "ssv state 0")
    assert "wrote back 4 files" in fake.write()
    assert described(fake.one) == described(fake.two)


def test_a_guest_s_clock_may_be_ahead(fake: FakeMachine) -> None:
    """Its time is rounded, and may be set: a mount in the future is no damage."""
    fake.change()
    soon = f"{datetime.now(UTC) + timedelta(hours=2):%Y%m%d%H%M%S}"
    fake.leave("feature needs_recovery", "ssv state 0", f"ssv mtime {soon}")
    assert "wrote back 4 files" in fake.write()
    assert described(fake.one) == described(fake.two)


def test_a_machine_that_failed(fake: FakeMachine) -> None:
    """QEMU ends with an error: what was written until then is not lost; where nothing was, there is nothing to do."""
    fake.change()
    (fake.project.top / "status").write_text("1")
    assert "QEMU exited with status 1" in fake.write(status=1)
    fake.doit("run-dir", "--print", "--accel", "tcg", "../one")
    disk = fake.leave()
    assert "QEMU exited with status 1" in fake.write(status=1)
    (fake.project.top / "status").unlink()
    disk.unlink()
    said = fake.write()
    assert "this comes first" in said
    assert "wrote back 4 files" in said
    assert described(fake.one) == described(fake.two)


def test_two_machines_cannot_write_at_once(fake: FakeMachine) -> None:
    """The second is refused at once, with the reason."""
    fake.change()
    fake.leave()
    fake.doit("run-dir", "--accel", "tcg", "../one")
    (folder,) = fake.project.top.glob("build/run/one-*")
    (folder / "write").mkdir()
    lock = folder / "write/lock"
    lock.touch()
    with subprocess.Popen(["flock", lock, "sh", "-c", "echo held; read wait"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert "another machine runs with" in fake.write(status=1)
        holder.communicate()
    assert "wrote back 4 files" in fake.write()


def test_an_output_of_a_guest_cannot_speak_to_the_terminal(fake: FakeMachine) -> None:
    """A name's escape sequences are not handed on."""
    (fake.two / "etc/\x1b[2Jx").touch()
    (fake.two / "etc/\x1b[2Jx").chmod(0o4755)
    fake.leave()
    said = fake.write()
    assert "1 file run with the rights of others" in said
    assert "etc/\\x1b[2Jx" in said


# -- killed in the midst

FINISH = """
    import json
    from bootsmith.tasks.tree import ownership
    import os, sys
    really, left = os.fchmod, [int(os.environ.get("CHMODS", 0))]
    def fchmod(*words):  # which no audit hook is told the path of
        really(*words)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
    os.fchmod = fchmod
    from pathlib import Path
    from bootsmith.tasks.build.identities import Identities
    from bootsmith.cache.store.location import default_root
    from bootsmith.tasks.writeback.guest_disk import GuestDisk
    folder, top = map(Path, sys.argv[1:])
    disk = GuestDisk(top, folder, Identities(default_root()).memo)
    if disk.pending:
        note = json.loads(disk._note.read_bytes())
        if not note["begun"]:  # by whose rule owners are told: the machine ran as somebody else here
            note["owners"] = ownership.facts(disk.top).owners
            disk._note.write_text(json.dumps(note))
        print(*disk.finish(print), sep="\\n")
"""


@pytest.mark.soak(ci=6, whole=400)
@pytest.mark.parametrize("kind", ["KILL", "ENOSPC"])
def test_ended_at_any_instant(fake: FakeMachine, rounds: int, kind: str) -> None:
    """Killed or refused at each change it makes: every file is the old or the new one, and the next run ends it."""
    fake.change()
    fake.leave()
    (fake.project.top / "status").write_text("1")
    fake.write(status=1)
    folder = fake.kept[0].parent
    saved, original = fake.here / "saved", copy(fake.one, fake.here / "original")
    copy(folder, saved)
    old, new = described(fake.one), described(fake.two)
    script = fake.here / "finish.py"
    script.write_text(textwrap.dedent(FINISH))
    hooks = fake.here / "hooks"
    hooks.mkdir()

    def finish(at: int, kind: str) -> subprocess.CompletedProcess[str]:
        extra = file_faults.environment(hooks, kind, at, [fake.one, folder], ".unspared")
        env = {**fake.project.environment(), **extra, "PYTHONPATH": f"{extra['HOOK']}:{CHECKOUT / 'src'}"}
        argv = [sys.executable, script, folder, fake.one]
        return subprocess.run(argv, env=env, text=True, capture_output=True, timeout=60, check=False)

    def again() -> None:
        for path, source in ((fake.one, original), (folder, saved)):
            shutil.rmtree(path)
            copy(source, path)

    done = finish(0, "KILL")
    assert done.returncode == 0, done.stderr
    count = file_faults.seen(hooks)
    assert count > 12
    for step in range(rounds):
        again()
        at = 1 + step * count // rounds
        done = finish(at, kind)
        if kind != "KILL" and done.returncode == 0:  # a fault in what may fail, such as noting what was read
            assert described(fake.one) == new
            continue
        assert done.returncode, f"{at}: {done.stdout}"
        for path, what in described(fake.one).items():
            if not path.startswith(".bootsmith") and what[0] != 0o040000:
                assert what[2] in (old.get(path, what)[2], new.get(path, what)[2]), f"{at}: {path}"
                assert path in old or path in new, f"{at}: {path}"
        assert {path for path in old if path in new} <= set(described(fake.one)), at
        done = finish(0, "KILL")
        assert done.returncode == 0, f"{at}: {done.stderr}"
        assert described(fake.one) == new, at
        assert not (folder / "state.json").exists(), at


def test_folders_that_are_closed_to_their_owner(fake: FakeMachine) -> None:
    """An ordinary user's folders that are read-only are opened for the work, and closed again as the guest has them."""
    for top in (fake.one, fake.two):
        (top / "etc").chmod(0o555)
        top.chmod(0o555)
    (fake.two / "etc/motd").write_text("from the guest\n")
    (fake.two / "var/old").write_text("nobody's")
    (fake.two / "var/old").chmod(0)
    (fake.two / "var").chmod(0)
    fake.leave()
    (fake.project.top / "status").write_text("1")
    fake.write(status=1)
    folder = fake.kept[0].parent
    user = ordinary_user(fake.here)
    expected = {path: what[:3] for path, what in described(fake.two).items()}
    script = user.home / "finish.py"
    script.write_text(textwrap.dedent(FINISH))
    hooks = user.home / "hooks"
    hooks.mkdir()

    def finish(top: Path, at: int, chmods: int = 0) -> subprocess.CompletedProcess[str]:
        work = top.with_name(f"{top.name}.write")
        extra = file_faults.environment(hooks, "KILL", at, [top, work], ".unspared")
        if os.geteuid() == 0:
            owner = f"{user.home.stat().st_uid}:{user.home.stat().st_gid}"
            subprocess.run(["chown", "-R", owner, user.home], check=True)
        paths = {
            "CHMODS": str(chmods),
            "BOOTSMITH_CACHE": str(user.home / "cache"),
            "PYTHONPATH": f"{hooks}/hook:{CHECKOUT / 'src'}",
        }
        argv = user.command(sys.executable, script, work, top)
        env = {**os.environ, **extra, **paths}
        return subprocess.run(argv, env=env, text=True, capture_output=True, timeout=60, check=False)

    for at, chmods in [(0, 0), *((0, number) for number in range(3, 7)), (6, 0), (8, 0), (9, 0)]:
        top = copy(fake.one, user.home / f"tree{at}{chmods}")
        copy(folder, user.home / f"tree{at}{chmods}.write")
        done = finish(top, at, chmods)
        if at or chmods:
            assert done.returncode, (at, chmods)
            done = finish(top, 0)
        assert done.returncode == 0, f"{at}, {chmods}: {done.stderr}"
        assert {path: what[:3] for path, what in described(top).items()} == expected, (at, chmods)


# -- a real machine

INIT = """\
#!/bin/sh
busybox mount -t proc proc /proc
busybox mount -o remount,rw /
busybox mkdir -p /tmp/work/deep
echo "from the guest" >/etc/motd
echo "new" >/etc/new
busybox rm /etc/old
busybox ln -s ../etc/new /tmp/work/deep/link
busybox ln /etc/keep /etc/twin
busybox chmod 4755 /bin/tool
busybox chown 33:33 /etc/new
busybox mknod /tmp/null c 1 3
busybox touch -d @1700000000 /etc/new
busybox sync
[ -e /etc/clean ] && busybox mount -o remount,ro /
busybox poweroff -f
"""


@pytest.fixture(name="small", scope="module")
def fixture_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small system, built."""
    small = SmallProject.make(tmp_path_factory.mktemp("small"))
    small.doit("kernel", "initramfs")
    return small.top / "build/small"


@pytest.mark.boot
@pytest.mark.xdist_group("small")
@pytest.mark.parametrize("end", ["clean", "torn"])
def test_a_machine_writes(small: Path, tmp_path: Path, end: str) -> None:
    """An ordinary user's directory, booted under TCG: the guest edits it, and goes down in order or all at once."""
    user = ordinary_user(tmp_path)
    project, top = user.home / "project", user.home / "tree"
    for folder in ("boot", "etc", "bin", "dev", "proc", "sys", "tmp", "root"):
        (top / folder).mkdir(parents=True)
    kernel, initrd = (next(small.rglob(name)) for name in ("vmlinuz*", "initrd*"))
    shutil.copy(kernel, top / "boot/vmlinuz-1")
    shutil.copy(initrd, top / "boot/initrd.img-1")
    unpack = f"cd {top} && gzip -dc boot/initrd.img-1 | cpio -idm --quiet bin/busybox bin/sh"
    subprocess.run(["sh", "-c", unpack], check=True)
    (top / "sbin").mkdir()
    (top / "sbin/init").write_text(INIT)
    (top / "sbin/init").chmod(0o755)
    for name in ("motd", "old", "keep", end):
        (top / "etc" / name).write_text(f"{name}\n")
    (top / "bin/tool").write_text("a tool\n")
    project.mkdir()
    (project / "dodo.py").write_text(
        'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("none.yaml")\n'
    )
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{user.home.stat().st_uid}:{user.home.stat().st_gid}", user.home], check=True)
    env = {**os.environ, "BOOTSMITH_CACHE": str(user.home / "cache"), "PYTHONPATH": str(CHECKOUT / "src")}

    def run() -> str:
        words = ["run-dir", "--write", "--accel", "tcg", "--memory", "256M", "--nic", "none",
                 "--cmdline=no_timer_check", top]  # fmt: skip
        argv = user.command(sys.executable, "-m", "doit", *words)
        done = subprocess.run(
            argv,
            cwd=project,
            env=env,
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    keep = (top / "sbin/init").stat()
    said = run()
    assert "wrote back 6 files, made 2 directories, removed 1" in said, said
    assert "1 file belong to somebody else in the guest" in said
    assert "etc/new" in said
    assert "1 file are device nodes, which would be this host's devices: not written: tmp/null" in said
    assert (top / "etc/motd").read_text() == "from the guest\n"
    assert (top / "etc/new").stat().st_mtime == 1_700_000_000
    assert not (top / "etc/old").exists()
    assert (top / "tmp/work/deep/link").readlink() == Path("../etc/new")
    assert (top / "etc/keep").stat().st_ino == (top / "etc/twin").stat().st_ino
    assert (top / "bin/tool").stat().st_mode & 0o7777 == 0o4755
    assert {path.lstat().st_uid for path in top.rglob("*")} == {user.home.stat().st_uid}
    init = (top / "sbin/init").stat()
    assert [*init[:7], *init[8:], init.st_mtime_ns, init.st_ctime_ns] == [  # all but when it was last read
        *keep[:7], *keep[8:], keep.st_mtime_ns, keep.st_ctime_ns,
    ]  # fmt: skip
    assert not (top / ".bootsmith-write").exists()
    before = (top / "etc/new").stat()
    assert "belong to somebody else" not in run()  # the same again; an owner that cannot be given is no difference
    assert (top / "etc/new").stat().st_ino == before.st_ino

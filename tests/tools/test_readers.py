"""Programs that read what people unknown made: what one that was taken over by it can do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.disk import fat_listing, image_content
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tools import host, host_table, isolation, process, readers
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.writeback import recovery

from tests.support.ordinary_user import ordinary_user

HOSTILE = """#!/bin/sh
for file; do cat "$file"; echo more >>"$file"; done
cat {home}/secret /proc/1/environ /proc/self/mountinfo /etc/passwd
ls -A {home} /home /root /tmp /var /run /sys
echo written >{home}/written; echo written >{home}/secret; echo written >/usr/bin/written; echo written >/written
mount -t proc proc /proc && echo mounted; umount /usr && echo unmounted; mknod /dev/sda b 8 0 && echo made
unshare --user --map-root-user --mount mount -t tmpfs none /usr && echo mounted again
rm -rf {home}
exit 3
"""
"""What a program might do that a disk has got under its will."""

PROGRAM = """
import sys
from pathlib import Path
from bootsmith.tasks.tools import process, readers
from bootsmith.tasks.tools.enclosure import Shown
home = Path(sys.argv[1])
shown = Shown(home / "it's $an im age", writable=True), Shown(home / "image")
bounds = readers.READER._replace(file=1 << 20)
done = readers.look(home / "bin/hostile", lambda *names: names, *shown, bounds=bounds)
print(done.status, done.stdout.decode(), process.caveats())
"""


@pytest.mark.parametrize("as_user", [False, True])
def test_a_reader_reaches_nothing_else(as_user: bool, tmp_path: Path) -> None:
    """It reads the files it was given and writes the one it may; all else of this host is neither there nor its."""
    user = ordinary_user(tmp_path)
    home = user.home
    (home / "bin").mkdir()
    (home / "bin/hostile").write_text(HOSTILE.format(home=home))
    (home / "bin/hostile").chmod(0o755)
    for name, text in (("secret", "precious"), ("it's $an im age", "one"), ("image", "two")):
        (home / name).write_text(text)
        if as_user and os.geteuid() == 0:
            os.chown(home / name, home.stat().st_uid, home.stat().st_gid)
    argv = [sys.executable, "-c", PROGRAM, home]
    environment = {**os.environ, "SECRET": "of ours"}
    done = subprocess.run(
        user.command(*argv) if as_user else argv, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("3 onetwo")
    assert done.stdout.endswith(" []\n")  # nothing is lost of the wall
    found = {word for word in ("precious", "secret", "SECRET", "root:", "mount", "made") if word in done.stdout}
    assert not found, done.stdout
    assert {each.name: each.read_text() for each in home.iterdir() if each.is_file()} == {
        "secret": "precious", "it's $an im age": "onemore\n", "image": "two",
    }  # fmt: skip
    assert not Path("/usr/bin/written").exists()
    assert not Path("/written").exists()


def test_a_file_without_a_name_is_shown(tmp_path: Path) -> None:
    """What is open and has no name, such as a disk that was decrypted, is read by its number; /proc is read-only."""
    (tmp_path / "gone").write_text("content")
    with (tmp_path / "gone").open("r+b") as file:
        (tmp_path / "gone").unlink()
        script = "cat $0; echo more >>$0; echo 1 >/proc/sys/vm/swappiness || exit 7"
        done = readers.look(
            Path("/bin/sh"), lambda name: ["-c", script, name], Shown(file.fileno(), writable=True), bounds=ROOM
        )
        assert (done.status, done.stdout) == (7, b"content")
        assert os.pread(file.fileno(), 100, 0) == b"contentmore\n"


ROOM = readers.READER._replace(file=1 << 20)


def test_where_no_view_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that forbids namespaces it runs within bounds alone, and that is said."""
    monkeypatch.setattr(isolation, "enclosing", lambda **_: iter([isolation.Wall(("--nonsense",))]))
    monkeypatch.setattr(process, "_noted", set())
    (tmp_path / "a b").write_text("content")
    done = readers.look(Path("/bin/sh"), lambda name: ["-c", "cat $0; ulimit -t", name], Shown(tmp_path / "a b"))
    assert done.stdout == b"content30\n"
    assert any("programs that read foreign disks: they are only bounded" in each for each in process.caveats())


def test_the_table_of_programs_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doit tools` finds out whether such programs can be shut in, and says where they cannot."""
    monkeypatch.setattr(host_table, "version", lambda *_: "-")
    monkeypatch.setattr(process, "_noted", set())
    assert "foreign disks" not in host_table.report()
    monkeypatch.setattr(isolation, "enclosing", lambda **_: iter([isolation.Wall(("--nonsense",))]))
    assert host_table.report().endswith("programs that read foreign disks: they are only bounded.")


def test_a_program_that_fails_says_so(tmp_path: Path) -> None:
    """Its own status and words are told, not those of what runs it."""
    (tmp_path / "image").touch()
    with pytest.raises(ToolFailed, match="sh exited with status 5") as error:
        readers.look(Path("/bin/sh"), lambda _: ["-c", "echo bad >&2; exit 5"], Shown(tmp_path / "image"), check=True)
    assert error.value.tail == "bad"


def by_e2fsck(image: Path) -> str:
    with pytest.raises(StageError) as error:
        recovery.at_rest(image, image.with_name("copy"))
    return str(error.value)


def by_mdir(image: Path) -> str:
    with image_content.opened(image, "raw") as disk:
        return "".join(fat_listing.paths(disk, 0, disk.size))


def by_qemu_img(image: Path) -> str:
    with pytest.raises(ToolFailed) as error, image_content.opened(image, "qcow2"):
        pass
    return error.value.tail


@pytest.mark.parametrize("read", [by_e2fsck, by_mdir, by_qemu_img])
def test_all_that_read_foreign_disks_are_shut_in(
    read: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """e2fsck, mdir and qemu-img, each in the place where it is run: another program in its stead finds no secret."""
    (tmp_path / "secret").write_text("precious")
    program = tmp_path / "standin"
    status = {by_mdir: 0, by_qemu_img: 160}.get(read, 8)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/secret || echo nothing\necho nothing >&2\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setattr(host, "find", lambda _: program)
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    said = read(image)
    assert "nothing" in said
    assert "precious" not in said

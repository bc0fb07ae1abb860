"""Host programs: what comes back from them, and that nothing of them is left."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError, ToolFailed, ToolMissing
from bootsmith.tasks.tools import children, isolation, process
from bootsmith.tasks.tools.usage import Usage

from tests.support import other_process
from tests.support.ordinary_user import OrdinaryUser, ordinary_user

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
PATIENCE = 30
"""Seconds after which something that should happen counts as not happening."""


def sh(script: str, cwd: Path, **options: object) -> process.Completed:
    """Run a shell script behind the walls."""
    return process.run(["/bin/sh", "-c", script], env=ENV, cwd=cwd, **options)  # type: ignore[arg-type]


# -- what comes back


def test_returns_what_a_program_printed(tmp_path: Path) -> None:
    """Both streams and the status come back, each by itself."""
    done = sh("echo out; echo err >&2", tmp_path)
    assert (done.status, done.stdout, done.stderr) == (0, b"out\n", b"err\n")


def test_gives_exactly_the_environment_and_directory(tmp_path: Path) -> None:
    """Nothing of the caller's environment reaches a program, nor anything of the shell that guards it."""
    done = process.run(["/usr/bin/env"], env={"A": "b c\nd"}, cwd=tmp_path)
    assert done.stdout == b"A=b c\nd\n"
    assert sh("pwd", tmp_path).stdout.decode() == f"{tmp_path}\n"


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_feeds_input(tmp_path: Path, size: int) -> None:
    """Input arrives whole, however large, while the output is read."""
    data = bytes(range(256)) * (size // 256 + 1)
    assert process.run(["/bin/cat"], env=ENV, cwd=tmp_path, input=data[:size]).stdout == data[:size]


@pytest.mark.parametrize("splices", [True, False])
@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_feeds_a_file_and_tells_how_much_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, splices: bool
) -> None:
    """All of it, and nothing more, from a file system that splices none of it too; the shares only grow."""
    monkeypatch.setattr(process, "LONG", 0)
    if not splices:
        monkeypatch.setattr(os, "splice", refused)
    told: list[str] = []
    (tmp_path / "file").write_bytes(bytes(range(256)) * (size // 256 + 1))
    os.truncate(tmp_path / "file", size)
    done = sh("cat", tmp_path, input=tmp_path / "file", on_line=told.append, stdout=tmp_path / "copy")
    assert done.status == 0
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()
    shares = [int(each.removesuffix("%")) for each in told]
    assert shares == sorted(shares)
    assert shares[-1:] == ([100] if size else [])


def refused(*_: object, **__: object) -> int:
    """Do as a system call that is not for such files."""
    raise OSError(errno.EINVAL, "Invalid argument")


def test_a_program_that_ignores_its_input_is_no_error(tmp_path: Path) -> None:
    """A program may end without reading what it is given."""
    assert sh("exit 0", tmp_path, input=bytes(5_000_000)).status == 0


def test_a_file_is_read_no_further_than_a_program_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails at once is known to, however large the file."""
    monkeypatch.setattr(process, "LONG", 0)
    told: list[str] = []
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 1 << 40)
    with pytest.raises(ToolFailed, match="sh exited with status 3"):
        sh("exit 3", tmp_path, input=tmp_path / "file", on_line=told.append)
    assert set(told) <= {"0%"}


def test_input_is_empty_unless_given(tmp_path: Path) -> None:
    """A program that reads finds the end, and never waits on the user's terminal."""
    assert sh("cat; readlink /proc/self/fd/0", tmp_path).stdout == b"/dev/null\n"


def test_redirects_to_a_file(tmp_path: Path) -> None:
    """Large output goes to a file and not through memory."""
    done = sh("echo out; echo err >&2", tmp_path, stdout=tmp_path / "out")
    assert (done.stdout, done.stderr, (tmp_path / "out").read_bytes()) == (b"", b"err\n", b"out\n")


def test_log_gets_all(tmp_path: Path) -> None:
    """The log holds the program's words and then every byte of both streams, the guard's own none."""
    log = io.BytesIO()
    sh(r"printf 'a\r\033[1mb\n'; printf '\000\377' >&2", tmp_path, log=log)
    words, _, printed = log.getvalue().partition(b"\n")
    assert words.startswith(b"$ /bin/sh -c 'printf ")
    assert sorted(printed) == sorted(b"a\r\033[1mb\n\0\377")


def test_modes_do_not_depend_on_the_caller(tmp_path: Path) -> None:
    """What a program makes has the same modes under every umask of the user's."""
    before = os.umask(0o077)
    try:
        sh("mkdir made", tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


def test_progress_comes_as_plain_lines(tmp_path: Path) -> None:
    """Lines end at newlines and at a progress bar's carriage returns; colours and control characters are gone."""
    lines: list[str] = []
    sh(r"printf '1%%\r2%%\r\n\033[1;32mdone\033[0m\a\n\n  indented\tend'", tmp_path, on_line=lines.append)
    assert lines == ["1%", "2%", "done", "  indented\tend"]


def test_failure_shows_the_last_lines(tmp_path: Path) -> None:
    """A failing program's error names it and its status, and holds the end of what it complained."""
    with pytest.raises(ToolFailed, match="sh exited with status 3") as caught:
        sh("seq 100 >&2; exit 3", tmp_path)
    assert (caught.value.status, caught.value.tail.splitlines()) == (3, [str(n) for n in range(81, 101)])


def test_failure_without_complaint_shows_the_output(tmp_path: Path) -> None:
    """Programs that complain on stdout are heard too."""
    with pytest.raises(ToolFailed) as caught:
        sh("echo no such thing; exit 1", tmp_path)
    assert caught.value.tail == "no such thing"


def test_failure_can_be_left_to_the_caller(tmp_path: Path) -> None:
    """With check=False a status comes back instead of an exception."""
    assert sh("exit 3", tmp_path, check=False).status == 3


def test_a_signal_is_named(tmp_path: Path) -> None:
    """A program that a signal ended says which."""
    with pytest.raises(ToolFailed, match="sh was ended by SIGKILL") as caught:
        sh("kill -9 $$", tmp_path)
    assert caught.value.status == 128 + signal.SIGKILL


def test_a_program_can_end_itself_by_a_signal(tmp_path: Path) -> None:
    """No program is process 1 of its namespace, which its own SIGTERM would not end."""
    assert sh("kill $$; echo survived", tmp_path, check=False).stdout == b""


def test_a_missing_program_is_said_to_be_missing(tmp_path: Path) -> None:
    """A path without a program is an error naming it, not a status 127."""
    with pytest.raises(ToolMissing, match="/nonexistent/mke2fs"):
        process.run(["/nonexistent/mke2fs"], env=ENV, cwd=tmp_path)


def test_output_kept_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that prints without end is stopped, never cut short silently."""
    monkeypatch.setattr(process, "OUTPUT_LIMIT", 1 << 20)
    with pytest.raises(ToolFailed, match="printed more than 1 MiB"):
        process.run(["/usr/bin/yes"], env=ENV, cwd=tmp_path)


def test_usage_adds_up(tmp_path: Path) -> None:
    """CPU seconds of all programs and their children are added; memory is the peak of one program's whole tree."""
    usage = Usage()
    burn = "import time; x = bytearray(150 << 20); t = time.process_time()\nwhile time.process_time() < t + 0.7: pass"
    for _ in range(2):
        sh(f"{sys.executable} -c '{burn}'", tmp_path, usage=usage)
    assert usage.cpu > 1.4
    assert 150 << 20 < usage.peak < 290 << 20


# -- the walls


def test_no_network_unless_asked(tmp_path: Path) -> None:
    """A program sees no network, and the host's own where it is allowed to."""
    ours = str(Path("/proc/self/ns/net").readlink())
    assert sh("readlink /proc/self/ns/net", tmp_path, network=True).stdout.decode().strip() == ours
    assert sh("readlink /proc/self/ns/net", tmp_path).stdout.decode().strip() != ours
    assert sh("grep -c : /proc/self/net/dev", tmp_path).stdout == b"1\n"


def test_plain_programs_keep_the_caller(tmp_path: Path) -> None:
    """Without root a program runs as who called it."""
    assert sh("id -u; id -g", tmp_path).stdout.split() == [b"%d" % os.geteuid(), b"%d" % os.getegid()]


ROOT = """
import os, sys
from pathlib import Path
from bootsmith.tasks.tools import process
done = process.run(
    ["/bin/sh", "-euc", sys.argv[2]], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, cwd=Path(sys.argv[1]), root=True
)
print(done.stdout.decode(), end="")
"""


@pytest.fixture(name="user")
def fixture_user(tmp_path: Path) -> OrdinaryUser:
    """Return an ordinary user with subordinate ids."""
    return ordinary_user(tmp_path)


Command = Callable[..., list[str]]


@pytest.fixture(name="command", params=["as we are", "as an ordinary user"])
def fixture_command(request: pytest.FixtureRequest, user: OrdinaryUser) -> Command:
    """Return the words that run a Python program, as who runs the tests, and as an ordinary user."""

    def words(program: str, *arguments: str | Path) -> list[str]:
        argv = [sys.executable, "-c", program, *map(str, arguments)]
        return argv if request.param == "as we are" else user.command(*argv)

    return words


def test_root_owns_a_tree(command: Command, user: OrdinaryUser) -> None:
    """With root a program is uid 0, may give files to any user, and mounts in private."""
    script = "id -u; id -g; mkdir t; chown 1000:65534 t; stat -c %u:%g t; mount -t tmpfs none /mnt; ls /mnt | wc -l"
    made = subprocess.run(command(ROOT, user.home, script), check=True, stdout=subprocess.PIPE, text=True)
    assert made.stdout.split() == ["0", "0", "1000:65534", "0"]
    assert "none /mnt tmpfs" not in Path("/proc/mounts").read_text()


def test_root_sees_only_its_own_processes(command: Command, user: OrdinaryUser) -> None:
    """With root /proc is the namespace's own."""
    script = "cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l"
    made = subprocess.run(command(ROOT, user.home, script), check=True, stdout=subprocess.PIPE, text=True)
    name, count = made.stdout.split()
    assert (name, int(count) < 6) == ("sh", True)


FORBIDDING = """
echo 0 >/proc/sys/user/max_user_namespaces
exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"
"""
FORBIDDEN = """
import io, sys
from pathlib import Path
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import process
log = io.BytesIO()
process.run(["/bin/sh", "-c", "echo ran"], env={}, cwd=Path("/"), log=log)
try:
    process.run(["/bin/true"], env={}, cwd=Path("/"), root=True)
except StageError as error:
    print(log.getvalue().decode(), error, sep="")
"""


def test_a_kernel_that_forbids_namespaces(user: OrdinaryUser) -> None:
    """Plain programs still run, the log says what does not hold them; root of a tree is refused, naming the setting."""
    forbidding = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", FORBIDDING, "sh"]
    argv = user.command(*forbidding, sys.executable, "-c", FORBIDDEN)
    lines = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert lines[1].startswith("(namespaces are forbidden here")
    assert lines[2] == "ran"
    assert lines[3].startswith("this kernel forbids user namespaces to ordinary users")
    assert lines[4] == "  As root: sysctl -w user.max_user_namespaces=10000"


def test_falls_back_where_namespaces_are_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel refuses a wall the next one is taken, remembered, and what is lost by it stands in the log."""
    refused = isolation.Wall(("--setgroups=nonsense",))
    bare = isolation.Wall((), "nothing holds it")
    tried: list[bool] = []

    def walls(**_: object) -> Iterator[isolation.Wall]:
        tried.append(True)
        yield from (refused, bare)

    monkeypatch.setattr(isolation, "walls", walls)
    monkeypatch.setattr(process, "_chosen", {})
    log = io.BytesIO()
    monkeypatch.setattr(process, "_noted", set())
    assert sh("echo a", tmp_path, log=log, input=b"").stdout == b"a\n"
    assert sh("cat", tmp_path, input=b"b").stdout == b"b"
    assert log.getvalue() == b"$ /bin/sh -c 'echo a'\n(nothing holds it)\na\n"
    assert process.caveats() == ["nothing holds it"]
    assert tried == [True]


def test_without_namespaces_a_daemon_does_not_hold_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's leftover that keeps its output open is ended with it, even without a namespace."""
    monkeypatch.setattr(isolation, "walls", lambda **_: iter([isolation.Wall((), "bare")]))
    monkeypatch.setattr(process, "_chosen", {})
    assert sh("sleep 1000 & echo done", tmp_path).stdout == b"done\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root; an ordinary user's only wall is such a namespace")
def test_root_without_the_right_to_mount_keeps_its_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root of a container that may not mount gets a user namespace of its own, with the ids it has."""
    user_namespace = isolation.Wall(("--user", "--pid", "--fork", "--kill-child", "--mount"), unmapped=True)
    monkeypatch.setattr(isolation, "walls", lambda **_: iter([isolation.Wall(("--nonsense",)), user_namespace]))
    monkeypatch.setattr(process, "_chosen", {})
    done = sh("mkdir t; chown 1000:65534 t; stat -c %u:%g t; mount -t tmpfs none /mnt", tmp_path, root=True)
    assert done.stdout == b"1000:65534\n"
    assert (
        sh("cat /proc/self/uid_map", tmp_path, root=True).stdout.split()
        == Path("/proc/self/uid_map").read_bytes().split()
    )


def test_says_why_nothing_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no wall stands the error repeats what the kernel said."""
    monkeypatch.setattr(isolation, "walls", lambda **_: iter([isolation.Wall(("--nonsense",))]))
    monkeypatch.setattr(process, "_chosen", {})
    with pytest.raises(StageError, match="nonsense"):
        sh("true", tmp_path, root=os.geteuid() == 0)


# -- nothing is left


class Leftovers:
    """A FIFO that every process of a tool holds open: it ends when the last of them has."""

    HOLD = "exec 3>held; for n in 1 2 3; do setsid sleep 1000 & done; echo up >&3; "

    def __init__(self, folder: Path, owner: int) -> None:
        os.mkfifo(folder / "held")
        os.chown(folder / "held", owner, -1)
        self._fd = os.open(folder / "held", os.O_RDONLY | os.O_NONBLOCK)
        self.folder = folder

    def up(self) -> bool:
        """Wait until the tool's processes are there."""
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        return bool(ready) and os.read(self._fd, 100) == b"up\n"

    def gone(self) -> bool:
        """Wait until all of them are gone."""
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        return bool(ready) and os.read(self._fd, 100) == b""

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture(name="leftovers")
def fixture_leftovers(user: OrdinaryUser) -> Iterator[Leftovers]:
    """Return what watches the leftovers of a tool that runs in the user's home."""
    found = Leftovers(user.home, user.home.stat().st_uid)
    yield found
    found.close()


HOLDING = """
import sys
from pathlib import Path
from bootsmith.tasks.tools import process
env = {"PATH": "/usr/bin:/bin"}
process.run(["/bin/sh", "-c", sys.argv[2] + "wait"], env=env, cwd=Path(sys.argv[1]), root=sys.argv[3] == "root")
"""


@pytest.mark.parametrize("root", ["root", "plain"])
def test_kill_9_of_us_ends_every_process_of_a_tool(command: Command, leftovers: Leftovers, root: str) -> None:
    """SIGKILL of bootsmith ends its tools, their children and daemons: as root, as a user, with root and without."""
    with subprocess.Popen(command(HOLDING, leftovers.folder, leftovers.HOLD, root)) as victim:
        assert leftovers.up()
        victim.kill()
        assert leftovers.gone()


UNANSWERED = """
import sys, time
from pathlib import Path
from bootsmith.tasks.tools import process
def handshake(child):
    assert child.stderr.read(1) == b"\\0"
    print(child.pid, flush=True)
    sys.stdin.read()
process._handshake = handshake
process.run(["/usr/bin/touch", "started"], env={}, cwd=Path(sys.argv[1]), root=sys.argv[2] == "root")
"""


@pytest.mark.parametrize("root", ["root", "plain"])
def test_kill_9_before_a_tool_was_let_go_ends_it_unrun(command: Command, user: OrdinaryUser, root: str) -> None:
    """Killed between starting the walls and letting the program go, we leave neither."""
    words = command(UNANSWERED, user.home, root)
    assert other_process.dies_with(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    assert not (user.home / "started").exists()


@pytest.mark.parametrize("way", ["returns", "raises"])
def test_daemons_end_with_their_tool(leftovers: Leftovers, way: str) -> None:
    """When run() is over, however it ends, no process of the tool is."""

    def fall(_line: str) -> None:
        raise KeyboardInterrupt

    if way == "returns":
        sh(leftovers.HOLD, leftovers.folder)
    else:
        with pytest.raises(KeyboardInterrupt):
            sh(leftovers.HOLD + "echo line; wait", leftovers.folder, on_line=fall)
    assert leftovers.up()
    assert leftovers.gone()
    assert children.running == {}


def test_kill_all_ends_what_other_threads_run(leftovers: Leftovers) -> None:
    """A signal handler can end every program at once; those who wait for one learn how it ended."""
    errors: list[ToolFailed] = []

    def work() -> None:
        try:
            sh(leftovers.HOLD + "wait", leftovers.folder)
        except ToolFailed as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert leftovers.up()
    children.kill_all()
    worker.join(PATIENCE)
    assert leftovers.gone()
    assert [error.status for error in errors] == [128 + signal.SIGKILL]

"""Host programs run to their end, walled off and watched: what they print, what they use, and that none outlives us.

No threads: the calling thread itself reads what the program prints. A program dies with the thread that started it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from bootsmith.tasks.errors import StageError, ToolFailed, ToolMissing
from bootsmith.tasks.tools import children, id_mapping, isolation
from bootsmith.tasks.tools.lines import Lines

if TYPE_CHECKING:
    from bootsmith.tasks.tools.bounds import Bounds
    from bootsmith.tasks.tools.enclosure import Enclosure
    from bootsmith.tasks.tools.usage import Usage

OUTPUT_LIMIT = 64 << 20
"""Bytes of stdout, and as many of stderr, that are kept in memory. A program that prints more needs a file."""
UMASK = 0o022
"""Of every program, whatever the user's own: modes are part of what it makes."""
_PIECE = 1 << 16  # bytes: what a pipe holds
_ROOM = 1 << 20  # bytes of a pipe through which a file goes, where the kernel grants them
LONG = 0.3
"""Seconds after which a program's memory is worth watching; looking costs some milliseconds."""


class Unenclosed(Exception):
    """No view of its own can be given to a program here; it has not run."""


class Completed(NamedTuple):
    """A program that ended: its exit status and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    input: bytes | Path | None = None,  # noqa: A002  the word every caller of subprocess knows
    stdout: Path | None = None,
    log: BinaryIO | None = None,
    on_line: Callable[[str], None] | None = None,
    root: bool = False,
    network: bool = False,
    check: bool = True,
    usage: Usage | None = None,
    pass_fds: Sequence[int] = (),
    bounds: Bounds | None = None,
    enclosure: Enclosure | None = None,
) -> Completed:
    """Run a program to its end and return what it printed; a status above 128 is 128 + the signal that ended it.

    `argv` begins with the program's path. With `root` it is uid 0 of a mount and user namespace that holds the caller's
    subordinate ids. Its words and all it prints go to `log` as they come, the latter line by line to `on_line` too; of
    a file that is its `input`, that is told how much was taken of it, as "34%". It inherits the descriptors `pass_fds`.
    What it takes is watched where there is a `usage` to be told, and bounded by `bounds`. In an `enclosure` it sees
    little else than the files that this names.
    Raises ToolFailed with its last lines, ToolMissing, StageError, and Unenclosed where no view of its own can be had.
    """
    words = [str(word) for word in argv]
    if not os.access(words[0], os.X_OK):
        raise ToolMissing(f"{words[0]} is not an executable program", "Run `doit tools` to see what to install.")
    name = Path(words[0]).name
    if bounds:
        words = [*bounds.command(), *words]
    with contextlib.ExitStack() as stack:
        out: int | BinaryIO = stack.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
        started = _started(
            words, env, cwd, out, has_input=input is not None, root=root, network=network, pass_fds=pass_fds,
            enclosure=enclosure,
        )  # fmt: skip
        child = stack.enter_context(started)
        child.usage = usage
        if log:
            caveat = f"({child.wall.caveat})\n" if child.wall.caveat else ""
            log.write(f"$ {shlex.join(words)}\n{caveat}".encode(errors="surrogateescape"))
        file = stack.enter_context(input.open("rb", buffering=0)) if isinstance(input, Path) else None
        data = input if isinstance(input, bytes) else b""
        _pump(child, _Feed(isolation.ANSWER + data, file, on_line), log, on_line)
        status = child.reap()
    if child.overflow:
        raise ToolFailed(
            f"{name} printed more than {OUTPUT_LIMIT >> 20} MiB", "Its output must go to a file.", status=status
        )
    if status and check:
        raise _failure(name, status, child.printed["stderr"] or child.printed["stdout"])
    return Completed(status, bytes(child.printed["stdout"]), bytes(child.printed["stderr"]))


def caveats() -> list[str]:
    """Return what the walls in use do not hold, one sentence each; empty where all is well, or nothing ran yet."""
    return sorted({wall.caveat for wall in _chosen.values() if wall.caveat} | _noted)


def note_unenclosed() -> None:
    """Note that a program ran without the view of its own that it was to have."""
    _noted.add("no view of their own can be given to programs that read foreign disks: they are only bounded")


@dataclass(slots=True)
class _Child:
    """A program behind its wall, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    wall: isolation.Wall
    printed: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    overflow: bool = False
    usage: Usage | None = None

    def left_daemons(self) -> bool:
        """Tell whether it ended and left others behind, who without a namespace may hold its pipes for ever."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return not self.wall.namespaced and os.waitid(os.P_PID, self.process.pid, flags) is not None

    def reap(self) -> int:
        """Wait for its end."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        children.running.pop(self.process.pid, None)  # before its number can be another's
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.usage:
            self.usage.add(used)
        return children.shell_status(self.process.returncode)


_noted: set[str] = set()
_chosen: dict[tuple[bool, bool], isolation.Wall] = {}
"""(root, network) -> the first wall that stood when it was needed: an answer by the kernel, not a guess by files."""


@contextlib.contextmanager
def _started(
    argv: list[str],
    env: Mapping[str, str],
    cwd: Path,
    out: int | BinaryIO,
    *,
    has_input: bool,
    root: bool,
    network: bool,
    pass_fds: Sequence[int],
    enclosure: Enclosure | None,
) -> Iterator[_Child]:
    """Start a program behind the best wall that can be had; leave none of it behind."""
    known = _chosen.get((root, network)) if not enclosure else None
    refused, within = b"", enclosure.command() if enclosure else ()
    if enclosure:
        walls = isolation.enclosing(uid=os.geteuid(), proc=enclosure.nameless)
    else:
        walls = isolation.walls(root=root, network=network, uid=os.geteuid())
    for wall in [known] if known else walls:
        process = subprocess.Popen(
            [*isolation.command(wall, has_input=has_input, enclosed=within), *argv], env=dict(env), cwd=cwd, bufsize=0,
            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE, start_new_session=True, umask=UMASK,
            pass_fds=pass_fds,
        )  # fmt: skip
        children.running[process.pid] = True
        child = _Child(process, wall)
        try:
            stands, said = _handshake(process)
            if stands:
                if wall.unmapped:
                    id_mapping.map_ids(process.pid)
                if not enclosure:
                    _chosen[root, network] = wall
                yield child
                return
            refused = refused or said
        finally:
            _end(child)
    if enclosure:
        raise Unenclosed(refused.decode(errors="replace").strip())
    raise _no_wall(refused.decode(errors="replace").strip(), root=root)


def _handshake(process: subprocess.Popen[bytes]) -> tuple[bool, bytes]:
    """Wait for the guard to say that it stands; False and what was printed where it never does."""
    assert process.stderr is not None, "a pipe was asked for"
    said = b""
    while chunk := os.read(process.stderr.fileno(), 4096):
        said += chunk
        if said.endswith(isolation.READY):
            return True, said
    return False, said


def _no_wall(said: str, *, root: bool) -> StageError:
    if root and os.geteuid() != 0:
        return id_mapping.refusal(said)
    return StageError(
        f"no host program can be run here: {said}",
        "In a container, allow it to make mount and pid namespaces (CAP_SYS_ADMIN), or build outside of it.",
    )


def _end(child: _Child) -> None:
    """Kill whatever is left of a child, wait until none of it can write any more, and close its pipes."""
    process = child.process
    if process.returncode is None:
        children.kill(process.pid, own_group=True)
        if child.wall.namespaced and process.stderr:
            # unshare dies first, the namespace's processes a moment later: the last one closes the pipe.
            with contextlib.suppress(OSError, ValueError):  # ValueError: closed already, so all of them are gone
                os.set_blocking(process.stderr.fileno(), True)
                while os.read(process.stderr.fileno(), 65536):
                    pass
        child.reap()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


class _Feed:
    """What a child is fed: bytes, then what a file holds."""

    def __init__(self, data: bytes, file: RawIOBase | None, on_line: Callable[[str], None] | None) -> None:
        self._waiting = memoryview(data)
        self._file = file
        self._size = os.fstat(file.fileno()).st_size if file else 0
        self._taken = 0
        self._on_line = on_line
        self._told = time.monotonic()
        self._splices = True

    def pass_on(self, fd: int) -> bool:
        """Write what fits into its pipe; tell whether that was all."""
        try:
            if not self._waiting and self._file:
                self._note(self._moved(self._file, fd))
            if self._waiting:
                self._waiting = self._waiting[os.write(fd, self._waiting[:_PIECE]) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:  # a reader that went away takes nothing more
            return True
        return not self._waiting and self._file is None

    def _moved(self, file: RawIOBase, fd: int) -> int:
        """Return how much of the file the kernel moved into the pipe, or else how much of it was read to be written."""
        if not self._taken:
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _ROOM)
        if self._splices:
            try:
                return os.splice(file.fileno(), fd, _ROOM, flags=os.SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):  # of a file system that cannot
                    raise
                self._splices = False
        self._waiting = memoryview(file.read(_PIECE) or b"")
        return len(self._waiting)

    def _note(self, taken: int) -> None:
        self._taken += taken
        if not taken:
            self._file = None
        elif self._on_line and time.monotonic() - self._told > LONG:
            self._told = time.monotonic()
            self._on_line(f"{self._taken / max(self._size, self._taken):.0%}")


def _pump(child: _Child, feed: _Feed, log: BinaryIO | None, on_line: Callable[[str], None] | None) -> None:
    """Feed a child its input and take what it prints, until it has ended."""
    pipes = (("stdin", child.process.stdin), ("stdout", child.process.stdout), ("stderr", child.process.stderr))
    lines = {"stdout": Lines(), "stderr": Lines()}
    next_look = time.monotonic() + LONG
    with selectors.DefaultSelector() as selector:
        for name, pipe in pipes:
            if pipe:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_WRITE if name == "stdin" else selectors.EVENT_READ, name)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, next_look - time.monotonic())):
                if key.data == "stdin":
                    finished = feed.pass_on(key.fd)
                else:
                    chunk = os.read(key.fd, 65536)
                    finished = not chunk
                    _take(child, key.data, chunk, log)
                    if on_line:
                        lines[key.data].show(chunk, on_line)
                if finished:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]  # Popen's pipes, never bare numbers
            if child.overflow or (time.monotonic() >= next_look and child.left_daemons()):
                children.kill(child.process.pid, own_group=True)
                return
            if time.monotonic() >= next_look:
                next_look = _look(child)


def _look(child: _Child) -> float:
    """See what a child's tree takes now; return when to look again, seldom enough to cost little."""
    began = time.monotonic()
    if child.usage:
        child.usage.look(child.process.pid)
    ended = time.monotonic()
    return ended + max(0.5, 30 * (ended - began))


def _take(child: _Child, name: str, chunk: bytes, log: BinaryIO | None) -> None:
    if log and chunk:
        log.write(chunk)
        log.flush()
    child.printed[name] += chunk
    child.overflow = child.overflow or len(child.printed[name]) > OUTPUT_LIMIT


def _failure(name: str, status: int, printed: bytearray) -> ToolFailed:
    tail = "\n".join(printed[-65536:].decode(errors="replace").splitlines()[-20:])
    if status <= 128:
        return ToolFailed(f"{name} exited with status {status}", tail=tail, status=status)
    try:
        by = signal.Signals(status - 128).name
    except ValueError:
        return ToolFailed(f"{name} exited with status {status}", tail=tail, status=status)
    hint = "Perhaps memory ran out: see the kernel's log." if by == "SIGKILL" else ""
    return ToolFailed(f"{name} was ended by {by}", hint, tail=tail, status=status)

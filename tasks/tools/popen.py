"""Programs that run beside us: on the user's terminal, or in the background; they die with the thread that began them.

For machines: they share our network, and need no wall, since they start no programs of their own.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from bootsmith.tasks.tools import children, isolation, terminal


def spawn_interactive(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> int:
    """Run a program on the user's terminal and return its exit status; it dies with us.

    It inherits stdin, stdout, stderr and, without `env`, the environment. Ctrl-C is its to handle, who ends a run on it
    asks children.hears_ctrl_c(). However it ends, the terminal is as it was.
    """
    words = [*isolation.pdeathsig_command(), *map(str, argv)]
    with terminal.lent(), subprocess.Popen(words, env=env, pass_fds=pass_fds) as child, _listed(child):
        return children.shell_status(child.wait())


class Running:
    """A program in the background that dies with the thread that started it. Its pipes are unbuffered."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.pid = child.pid
        children.running[child.pid] = True

    @property
    def stdin(self) -> IO[bytes]:
        assert self._child.stdin is not None, "start() makes a pipe"
        return self._child.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._child.stdout is not None, "start() makes a pipe"
        return self._child.stdout

    def poll(self) -> int | None:
        """Return its exit status, 128 + the signal where one ended it, or None while it runs."""
        return self._noted(self._child.poll())

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait up to `timeout` seconds; None: it still runs."""
        try:
            return self._noted(self._child.wait(timeout))
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, grace: float = 5) -> int:
        """End it: SIGTERM, and SIGKILL where it still runs `grace` seconds later. Returns its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        status = self.wait(grace)
        if status is None:
            children.kill(self.pid, own_group=True)
            status = self._noted(self._child.wait())
        assert status is not None, "it ended"
        return status

    def _noted(self, status: int | None) -> int | None:
        if status is None:
            return None
        children.running.pop(self.pid, None)
        return children.shell_status(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate(grace=0)
        self.stdin.close()
        self.stdout.close()


def start(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stderr: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Running:
    """Start a program in the background, with the network and without a terminal; use it as a context manager.

    stdin and stdout are pipes; stderr goes to the file `stderr`, else into stdout.
    """
    words = [*isolation.pdeathsig_command(), *map(str, argv)]
    with stderr.open("wb") if stderr else contextlib.nullcontext(subprocess.STDOUT) as errors:
        child = subprocess.Popen(
            words, env=env, cwd=cwd, bufsize=0, pass_fds=pass_fds, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    return Running(child)


@contextlib.contextmanager
def apart(argv: Sequence[str | Path], *, env: Mapping[str, str], input: bytes) -> Iterator[IO[bytes]]:  # noqa: A002  the word of subprocess
    """Start a program that outlives us once the context has ended well; yield what it prints until then.

    It has a session of its own, and reads `input`. Given up on before that, it is killed: so it is with us, but for a
    SIGKILL, of which it learns when it prints.
    """
    child = subprocess.Popen(
        [*map(str, argv)], env=env, bufsize=0, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdin is not None, "it is a pipe"
    assert child.stdout is not None, "it is a pipe"
    children.running[child.pid] = True
    try:
        with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # it ended at once: what it printed tells why
            while input:
                input = input[pipe.write(input) :]  # noqa: A001
        yield child.stdout
    except BaseException:
        children.kill(child.pid, own_group=True)
        child.wait()
        raise
    finally:
        children.running.pop(child.pid, None)
        child.stdout.close()
        child.returncode = child.poll() or 0  # nobody waits for it: Popen would complain of one that it left behind


@contextlib.contextmanager
def _listed(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Keep a program of our own process group among those that run now, and kill it where we give up on it."""
    children.running[child.pid] = False
    try:
        yield
    except BaseException:
        children.kill(child.pid, own_group=False)
        raise
    finally:
        children.running.pop(child.pid, None)

"""Runs of doit in forks of a Python that has imported it: as `python -m doit WORDS`, but for the time of the imports.

They are as good as new processes: what a project's dodo.py, its stages and bootsmith itself load and remember is theirs
alone, and so are environment, folder, umask, standard streams and signals. Who asks about the start itself, about code
that is edited while it runs, or kills a run with all that it started, starts a real one.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import re
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

STANDARD = (
    "ast", "ctypes", "dataclasses", "datetime", "enum", "fcntl", "hashlib", "hmac", "inspect", "ipaddress", "json",
    "pathlib", "psutil", "pwd", "queue", "resource", "selectors", "shlex", "shutil", "socket", "subprocess", "tarfile",
    "tempfile", "textwrap", "threading", "tokenize", "urllib.parse", "xxhash", "yaml",
)  # fmt: skip
DOIT = (*STANDARD, "doit.doit_cmd", "doit.tools", "importlib.metadata")
OF_THE_START = re.compile(r"(?!PYTHONPATH$)(PYTHON|LANG|LC_|TZ$)")
"""Variables that Python reads when it starts: for other values another is started."""

_servers: dict[tuple[object, ...], ForkServer] = {}
_mutex = Lock()


class ForkServer:
    """A Python that waits to be forked."""

    def __init__(self, modules: Sequence[str], env: Mapping[str, str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = Path(__file__).with_name("forking_python.py")
        self.process = subprocess.Popen(
            [sys.executable, program, str(theirs.fileno()), *modules],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def run(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGV...`; return what came of it."""
        umask = os.umask(0)
        os.umask(umask)
        request = {"argv": list(argv), "cwd": os.path.realpath(cwd), "env": dict(env), "umask": umask}
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = [os.pipe() for _ in range(2)]
        with answers:
            with theirs:
                writing = [pipe[1] for pipe in pipes]
                socket.send_fds(self.control, [json.dumps(request).encode()], [0, *writing, theirs.fileno()])
                for fd in writing:
                    os.close(fd)
            child = int(answers.recv(100) or b"0")
            assert child, "the Python that was to be forked has ended"
            try:
                out, err = _read([pipe[0] for pipe in pipes], timeout)
                assert select.select([answers], [], [], timeout)[0], "it has closed its output, and goes on"
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                raise
            status = os.waitstatus_to_exitcode(int(answers.recv(100)))
        return subprocess.CompletedProcess([sys.executable, *argv], status, out, err)

    def stop(self) -> None:
        """End it, once no run is left."""
        self.control.close()
        self.process.communicate()


def _read(fds: Sequence[int], timeout: float) -> list[str]:
    """Return what is written to pipes until all their writers are gone."""
    written = {fd: io.BytesIO() for fd in fds}
    until = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for fd in fds:
            stack.callback(os.close, fd)
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(until - time.monotonic())
            if not ready:
                raise subprocess.TimeoutExpired("doit", timeout)
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                written[key.fd].write(data)
                if not data:
                    selector.unregister(key.fd)
    return [io.TextIOWrapper(io.BytesIO(each.getvalue())).read() for each in written.values()]


def run(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, modules: Sequence[str] = DOIT, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGV...` as `subprocess.run` would, in a fork of a Python that has imported `modules`."""
    start = {name: value for name, value in env.items() if OF_THE_START.match(name)}
    key = (os.getpid(), tuple(modules), tuple(sorted(start.items())))
    with _mutex:
        if key not in _servers:
            _servers[key] = ForkServer(modules, start)
    return _servers[key].run(argv, cwd, env, timeout)


@atexit.register
def _stop() -> None:
    for key, server in _servers.items():
        if key[0] == os.getpid():
            server.stop()

"""A Python that has imported what every run imports, and becomes, in forks of itself, the Pythons that are asked for.

Run as `python forking_python.py FD MODULE...`: it imports the modules, none of them bootsmith's, then takes requests
from the socket FD, one datagram each: JSON, and with it stdin, stdout, stderr and a socket for the answers, which are
the fork's process id and, at its end, its status. A fork becomes `python -m MODULE WORDS...` or `python -c TEXT
WORDS...` in that folder, with that environment. What it shares with other forks, and a new process would not, is those
modules and the seed of its hashes; and where it ends well, no module is taken apart.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import site
import socket
import sys
import threading
import types
from typing import Any, NoReturn

LONGEST = 1 << 20  # bytes of a request


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return it in the fork, and None where there will be no more."""
    running: dict[int, tuple[int, socket.socket]] = {}  # a descriptor that tells of a fork's end -> the fork, who waits
    events = select.poll()
    events.register(control, select.POLLIN)
    while True:
        for fd, _ in events.poll():
            if fd in running:
                child, answers = running.pop(fd)
                events.unregister(fd)
                os.close(fd)
                _tell(answers, os.waitpid(child, 0)[1])
                answers.close()
                continue
            text, fds, _, _ = socket.recv_fds(control, LONGEST, 4)
            if not text:
                return None
            child = os.fork()
            if not child:
                for number in range(3):
                    os.dup2(fds[number], number)
                for each in (control, *(answers for _, answers in running.values())):
                    each.detach()
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                request: dict[str, Any] = json.loads(text)
                return request
            for each in fds[:3]:
                os.close(each)
            answers = socket.socket(fileno=fds[3])
            _tell(answers, child)
            end = os.pidfd_open(child)
            running[end] = child, answers
            events.register(end, select.POLLIN)


def _tell(answers: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked has ended
        answers.send(b"%d" % number)


def become(request: dict[str, Any], path: list[str]) -> None:
    """Run what is asked for, as the main program; `path` is where modules are found in any case."""
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["env"])
    kind, program, *words = request["argv"]
    added = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(":") if each]  # noqa: PTH100
    sys.path[:] = [*added, *(each for each in path if each not in added)]
    importlib.invalidate_caches()
    sys.modules.pop("sitecustomize", None)
    site.execsitecustomize()  # as Python does when it starts
    sys.path.insert(0, "" if kind == "-c" else request["cwd"])
    sys.argv = [kind, *words]
    sys.orig_argv = [sys.executable, *request["argv"]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if kind == "-c":
        exec(compile(program, "<string>", "exec"), main.__dict__)  # as Python itself does
    else:
        runpy._run_module_as_main(program)


def _start() -> None:
    path = sys.path[1:]  # without the folder of this file
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a fork's collections need not look at what was there before
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    try:
        become(request, path)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end(end.code or 0)
    _end(0)


def _end(status: int) -> NoReturn:
    """End as Python does, but leave all that was imported as it is: to take that apart takes as long as to start."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # Python has words for it
    os._exit(status & 0xFF)


if __name__ == "__main__":
    _start()

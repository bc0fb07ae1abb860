"""A machine in the background: a process of its own holds all that it needs, for as long as it runs.

What it is to run comes to that process through its stdin; what it says goes to its stdout, a line of JSON each, until
the machine has begun. SIGTERM asks it to end: the machine's power button is pressed, until the guest has heard it.
Killed, it takes QEMU with it, and its note counts no more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import pickle
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bootsmith
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import qmp, run, running
from bootsmith.tasks.machine.run import Background, Subject
from bootsmith.tasks.recipe.model.machine import Machine
from bootsmith.tasks.tools import popen

_OPENING = 60  # seconds in which QEMU has greeted, or does not work
_AGAIN = 3.0  # seconds after which a guest that still runs is asked to end once more: its firmware heard nothing
_PROGRAM = f"import sys; sys.path.insert(0, sys.argv[1]); from {__name__} import main; main()"
_ASKED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_HEEDED = {*_ASKED, signal.SIGCHLD}


class Job(NamedTuple):
    """What is to run, and where: as `run.run` takes it. The console goes to a file in `folder`, if to no other."""

    machine: Machine
    subject: Subject
    folder: Path
    register: Path
    name: str


def start(job: Job, say: Callable[[str], None]) -> running.Noted:
    """Start a machine that goes on running; return how it is noted. Raises BootsmithError where it did not begin."""
    package = Path(bootsmith.__file__).parents[1]
    words = [sys.executable, "-X", "utf8", "-P", "-c", _PROGRAM, str(package)]
    with popen.apart(words, env=os.environ, input=pickle.dumps(job)) as told:
        other: list[str] = []
        for line in told:
            try:
                said: dict[str, Any] = json.loads(line)
            except ValueError:
                other.append(line.decode(errors="replace"))
                continue
            if "said" in said:
                say(said["said"])
            elif "error" in said:
                raise BootsmithError(said["error"], said["hint"])
            else:
                return running.from_facts(said["started"])
        raise BootsmithError(f"the machine ended before it began: {''.join(other).strip() or 'it said nothing'}")


def main() -> None:
    """Run the machine that comes through stdin, to its end."""
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301  of `start`, and nobody else
    try:
        _run(job)
    except (BootsmithError, CacheError, OSError) as error:
        found = in_words(error, "the machine", job.folder) if isinstance(error, OSError) else error
        if isinstance(found, OSError):  # a bug of ours, shown whole
            raise
        _tell(error=found.message, hint=found.hint)


def _run(job: Job) -> None:
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as stack:
        stack.enter_context(ours)
        stack.enter_context(theirs)
        machine = dataclasses.replace(job.machine, monitor=False)  # it is ours
        job.folder.mkdir(parents=True, exist_ok=True)
        console = _own_file(job.folder, stack)
        if machine.serial == "stdio":
            machine = dataclasses.replace(machine, serial=str(console))

        def attend(argv: list[str], descriptors: Sequence[int], noted: running.Noted | None) -> int:
            assert noted is not None, "there is a register"
            messages = console.with_suffix(".qemu.log")
            with popen.start(argv, stderr=messages, pass_fds=descriptors) as child:
                theirs.close()
                _await_greeting(ours, child, messages)
                signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)  # before anybody knows whom to ask; not QEMU's
                _tell(started=running.facts(noted))
                _leave_terminal()
                return _attend(child, ours)

        run.run(
            machine, job.subject, folder=job.folder, register=job.register, say=lambda text: _tell(said=text),
            background=Background(job.name, theirs.fileno(), attend),
        )  # fmt: skip


def _own_file(folder: Path, stack: contextlib.ExitStack) -> Path:
    """Return a file for a console that no other machine's goes to."""
    for number in itertools.count(1):
        file = folder / ("console.log" if number == 1 else f"console-{number}.log")
        lock = FileLock(file)
        if lock.try_acquire():
            stack.enter_context(lock)
            return file
    raise AssertionError("numbers do not end")


def _await_greeting(monitor: socket.socket, child: popen.Running, messages: Path) -> None:
    """Wait until QEMU has opened all that it was given. Raises BootsmithError where it cannot."""
    if select.select([monitor], [], [], _OPENING)[0] and monitor.recv(1, socket.MSG_PEEK):
        return
    status = child.wait(1)
    said = messages.read_text(errors="replace").strip() or "it said nothing"
    if status is None:
        raise BootsmithError(f"QEMU did not begin within {_OPENING} s", "Is its disk on a file system that hangs?")
    raise BootsmithError(f"QEMU ended with status {status}: {said}")


def _attend(child: popen.Running, monitor: socket.socket) -> int:
    """Wait for QEMU to end, and have it end when asked to; return its exit status."""
    asked = False
    while (status := child.poll()) is None:
        caught = signal.sigtimedwait(_HEEDED, _AGAIN)
        asked = asked or (caught is not None and caught.si_signo in _ASKED)
        if asked and child.poll() is None:
            qmp.power_down(monitor)
        with contextlib.suppress(OSError):  # events: nobody asks for them
            while select.select([monitor], [], [], 0)[0] and monitor.recv(65536):
                pass
    return status


def _leave_terminal() -> None:
    """Let go of who started us: from now on nobody listens."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _tell(**said: object) -> None:
    """Tell who started us. Raises BrokenPipeError where that has ended: then nobody wants the machine."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()

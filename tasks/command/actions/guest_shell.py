"""ssh: a shell in a machine that runs, or a command run there."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.command.actions import machines
from bootsmith.tasks.errors import BootsmithError, Ended

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.running import Noted

_PATIENCE = 2.0  # seconds of silence before it is said what is waited for
_LONGEST = 300.0  # seconds that are waited for an ssh server
_TAIL = 4096  # bytes of a console's end
_MOMENT = 0.5  # seconds between two looks


def ssh(request: Request) -> None:
    """Enter a running machine, or run a command there: its exit status becomes ours."""
    from bootsmith.tasks.machine import running
    from bootsmith.tasks.machine import ssh as shell
    from bootsmith.tasks.tools import host, popen

    asked = request.options
    seconds = machines.patience(request, _LONGEST)
    request.session.file(request.recipe)  # one that there is
    machine = _awaited(request, seconds)
    began = time.monotonic()
    told = False

    def pause(moment: float) -> None:
        nonlocal told
        time.sleep(moment)
        if machine not in running.find(machines.register(request)):
            raise BootsmithError(f"the machine that ran {machine.what} has ended", "Start it again.")
        if not told and time.monotonic() - began > _PATIENCE:
            told = True
            last = _last_words(machine)
            says = f"; its console: {last}" if last else ""
            request.session.progress.remark(f"waiting for the ssh server of {machine.what} (port {machine.port}){says}")

    assert machine.port is not None, "it has a way in"
    assert machine.key is not None, "it has a way in"
    try:
        shell.wait_for_banner(machine.port, seconds, pause)
    except BootsmithError as error:
        last = _last_words(machine)
        if not last:
            raise
        raise BootsmithError(f"{error.message}; the last line of its console: {last}", error.hint) from None
    words = shell.command(machine.port, machine.key, user=asked["user"] or "root", program=host.find("ssh"))
    terminal = ["-t"] if sys.stdin.isatty() and not request.words else []
    status = popen.spawn_interactive([words[0], *terminal, *words[1:], *request.words])
    if status:
        raise Ended(status)


def _last_words(machine: Noted) -> str:
    """Return the last line of a machine's console, as far as that goes to a file: it tells how far a boot has come."""
    from bootsmith.tasks.machine.console import clean

    if machine.console is None:
        return ""
    try:
        with machine.console.open("rb") as file:
            file.seek(max(0, machine.console.stat().st_size - _TAIL))
            lines = clean(file.read(_TAIL)).splitlines()
    except OSError:
        return ""
    return shown(next((line.strip() for line in reversed(lines) if line.strip()), ""))


def _awaited(request: Request, seconds: float) -> Noted:
    """Return the machine that is meant, once it has started where it is about to. Raises BootsmithError."""
    from bootsmith.tasks.machine import running

    end, told = time.monotonic() + seconds, False
    while True:
        found = running.find(machines.register(request))
        chosen = _meant(request, [each for each in found if each.port])
        if chosen:
            return chosen[0]
        starting = [] if request.options["port"] else _meant(request, [each for each in found if not each.started])
        if not starting or time.monotonic() > end:
            raise _missing([each for each in found if each.port])
        if not told:
            told = True
            request.session.progress.remark(f"waiting for {starting[0].what} (process {starting[0].pid}) to start")
        time.sleep(_MOMENT)


def _meant(request: Request, found: list[Noted]) -> list[Noted]:
    """Return the machines that may be meant: by name or port, of the recipe named, else any, the default's first."""
    asked, session = request.options, request.session
    if asked["machine"]:
        return [each for each in found if each.name == asked["machine"]]
    if asked["port"]:
        return [each for each in found if str(each.port) == asked["port"]]
    chosen = [each for each in found if each.recipe == session.file(request.recipe)]
    return chosen or (found if request.recipe is None else [])


def _missing(found: list[Noted]) -> BootsmithError:
    others = ", ".join(f"{each.what} (--port {each.port})" for each in found)
    return BootsmithError(
        f"no such machine is running{f'; there are: {others}' if others else ''}",
        "Start one in another terminal with run-uefi, run-bios, run-direct, run-dir or run-tgz; its image needs an ssh "
        "server, and its `login` must be auto.",
    )

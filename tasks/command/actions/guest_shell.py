"""ssh: a shell in a machine that runs, or a command run there."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from bootsmith.tasks.command.actions import machines
from bootsmith.tasks.errors import BootsmithError, Ended, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.running import Noted


def ssh(request: Request) -> None:
    """Enter a running machine, or run a command there: its exit status becomes ours."""
    from bootsmith.tasks.machine import running
    from bootsmith.tasks.machine import ssh as shell
    from bootsmith.tasks.tools import host, popen

    asked = request.options
    try:
        seconds = float(asked["timeout"] or 300)
    except ValueError:
        raise UsageError(f"--timeout {asked['timeout']}: not a number of seconds", "Write one, like 60.") from None
    request.session.file(request.recipe)  # one that there is
    machine = _running(request, running.find(machines.register(request)))

    def pause(moment: float) -> None:
        time.sleep(moment)
        if machine not in running.find(machines.register(request)):
            raise BootsmithError(f"the machine that ran {machine.what} has ended", "Start it again.")

    shell.wait_for_banner(machine.port, seconds, pause)
    words = shell.command(machine.port, machine.key, user=asked["user"] or "root", program=host.find("ssh"))
    terminal = ["-t"] if sys.stdin.isatty() and not request.words else []
    status = popen.spawn_interactive([words[0], *terminal, *words[1:], *request.words])
    if status:
        raise Ended(status)


def _running(request: Request, found: list[Noted]) -> Noted:
    """Return the machine that is meant: by port, of the recipe named, else the newest, the default recipe's first."""
    asked, session = request.options, request.session
    if asked["port"]:
        chosen = [each for each in found if str(each.port) == asked["port"]]
    else:
        chosen = [each for each in found if each.recipe == session.file(request.recipe)]
        chosen = chosen or (found if request.recipe is None else [])
    if chosen:
        return chosen[0]
    others = ", ".join(f"{each.what} (--port {each.port})" for each in found)
    raise BootsmithError(
        f"no such machine is running{f'; there are: {others}' if others else ''}",
        "Start one in another terminal with run-uefi, run-bios, run-direct, run-dir or run-tgz; its image needs an ssh "
        "server, and its `login` must be auto.",
    )

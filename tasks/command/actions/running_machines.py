"""machines, stop: what runs here, and its end."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bootsmith.tasks.command.actions import machines as booted
from bootsmith.tasks.errors import BootsmithError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.running import Noted

_HEARD = 2.0  # seconds in which a guest that hears its power button has begun, or one on a terminal has ended
_PATIENCE = 60.0  # seconds: a guest under TCG on a busy host takes its time


def machines(request: Request) -> None:
    """Print what runs here."""
    from bootsmith.cache.display import ago
    from bootsmith.tasks.machine import running

    found, progress = running.find(booted.register(request)), request.session.progress
    if request.options["json"]:
        progress.answer(json.dumps({"version": 1, "machines": [running.facts(each) for each in found]}, indent=2))
        return
    if not found:
        progress.answer("no machine runs here")
        return
    now = time.time()
    rows = [
        (
            each.name,
            ago(now - each.since) if each.started else "starting",
            f"process {each.pid}{'' if each.detached else ', on a terminal'}",
            " ".join(f"{host}->{guest}" for host, guest in each.ports) or "no ports",
            str(each.recipe.name if each.recipe else each.what),
        )
        for each in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        progress.answer("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def stop(request: Request) -> None:
    """End machines, the guest first asked to. Raises BootsmithError for one that there is not."""
    from bootsmith.tasks.machine import ending, running

    asked, progress = request.options, request.session.progress
    seconds = booted.patience(request, _PATIENCE)
    register = booted.register(request)
    chosen = _chosen(request, running.find(register))
    if not chosen:
        progress.tell("no machine runs here")
    with ExitStack() as stack:  # all at once: they take as long as one
        asking = [ending.ask(register, each, now=asked["now"]) for each in chosen]
        left = [stack.enter_context(each) for each in asking if each]
        begun = time.monotonic()
        for each in left:
            if not each.wait(begun + _HEARD - time.monotonic()) and not asked["now"]:
                progress.remark(f"waiting for {each.machine.name} to power off, {seconds:g} s at most")
                stack.enter_context(each.asked_inside())
        for each in left:
            name = each.machine.name
            if each.wait(begun + seconds - time.monotonic()):
                progress.tell(f"{name} has ended")
            else:
                each.kill()
                progress.tell(f"{name} did not power off in {seconds:g} s: ended by force")


def _chosen(request: Request, found: list[Noted]) -> list[Noted]:
    """Return the machines that are meant. Raises BootsmithError."""
    names = ", ".join(each.name for each in found) or "none"
    if request.options["all"]:
        if request.words:
            raise UsageError("--all and a name exclude each other", "Leave one of them out.")
        return found
    if len(request.words) > 1:
        raise UsageError(f"one name, not {len(request.words)}", "Name one machine, or say --all.")
    if request.words or request.recipe:
        file = request.session.file(request.recipe) if request.recipe else None
        chosen = [each for each in found if (each.recipe == file if file else each.name == request.words[0])]
        if not chosen:
            wanted = request.words[0] if request.words else f"of {request.recipe}"
            raise BootsmithError(f"no machine {wanted} runs here", f"There are: {names}.")
        return chosen
    if len(found) > 1:
        raise UsageError(f"{len(found)} machines run here", f"Name one, or say --all: {names}.")
    return found

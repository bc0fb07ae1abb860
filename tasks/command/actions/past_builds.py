"""log, restore: the builds there were, and their files brought back."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import StageError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.history import Entry
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request


def log(request: Request) -> None:
    """Print the builds there were, the newest first."""
    from bootsmith.tasks.build import history

    number = request.options["number"]
    if number is not None and not number.isdecimal():
        raise UsageError(f"log: -n {number}: not a number", "Say how many builds to list, such as -n 5.")
    builds = history.History(request.session.builder(request.recipe).freshness)
    found = builds.entries()[: None if number is None else int(number)]
    as_json = request.options["json"]
    request.session.progress.answer(
        json.dumps(history.to_json(builds, found), indent=2) if as_json else history.to_text(builds, found)
    )


def restore(request: Request) -> None:
    """Bring back the files of a past build, beside the present ones."""
    from bootsmith.tasks.build.past import bring_back

    at = request.options["at"] or request.session.invocation.reserved.get("at")
    if not at:
        hint = f"`{request.typed('restore')} --at ID`; `{request.typed('log')}` lists the builds there were."
        raise UsageError("restore: which build?", hint)
    builder, entry = _past(request, at)
    for path in bring_back(builder.freshness, entry, request.session.progress.tell, request.typed("log")):
        request.session.progress.tell(str(path))


def past_plan(request: Request, at: str) -> Plan:
    """Return the recipe's plan with the files of a past build, brought back: its disk, and what boots without one.

    Of a build that kept no disk it is the CD.
    """
    from bootsmith.tasks.build import past
    from bootsmith.tasks.planning import products

    builder, entry = _past(request, at)
    needed = [stage.name for stage in products.direct(builder.plan)]
    say, log = request.session.progress.tell, request.typed("log")
    image = next((name for name in (products.DISK, products.CD) if name in entry.stages), None)
    if image:
        past.bring_back(builder.freshness, entry, say, log, [image])
    with suppress(StageError) if image else nullcontext():  # a disk mostly boots by itself
        past.bring_back(builder.freshness, entry, say, log, [name for name in needed if name in entry.stages])
    return builder.plan.moved(past.folder(builder.plan.build, entry))


def _past(request: Request, at: str) -> tuple[Builder, Entry]:
    from bootsmith.tasks.build.history import History

    builder = request.session.builder(request.recipe)
    return builder, _entry(History(builder.freshness).entries(), at, request)


def _entry(entries: list[Entry], prefix: str, request: Request) -> Entry:
    """Return the entry whose id begins so. Raises UsageError with what there is."""
    from bootsmith.tasks.build.history import SHORT, moment
    from bootsmith.tasks.command.invocation import meant

    found = [entry for entry in entries if entry.id.startswith(prefix.lower())] if prefix else []
    if len(found) == 1:
        return found[0]
    if found:
        among = ", ".join(f"{entry.short} of {moment(entry.last)}" for entry in found)
        raise UsageError(f"{prefix} may be any of {among}", "Give more of its digits.")
    if not entries:
        first = f"`{request.typed('image')}` makes the first."
        raise UsageError(f"there is no build {prefix}: none was noted yet", first)
    hint = meant(prefix, [entry.id[: max(len(prefix), SHORT)] for entry in entries])
    listed = f"`{request.typed('log')}` lists the builds there were."
    raise UsageError(f"there is no build {prefix}", hint if hint.startswith("Did") else listed)

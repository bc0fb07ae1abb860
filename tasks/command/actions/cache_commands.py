"""cache: what the cache holds, whether it is sound, and room in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.errors import Ended, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request


def cache(request: Request) -> None:
    """Look into the cache, or make room there: as `python -m bootsmith.cache` does."""
    from bootsmith.cache.report.commands import main

    given = {name.replace("_", "-"): value for name, value in request.options.items() if value}
    options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]
    try:
        status = main([*request.words, *options], request.session.progress.answer, "doit cache")
    except UsageError as error:
        hint = error.hint
        if hint.startswith("usage:"):  # of the other form of this command
            hint = "Write stat, verify, gc, explain KEY, or path."
        raise UsageError(error.message, hint) from None
    if status:
        raise Ended(status)

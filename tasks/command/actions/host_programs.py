"""tools: the programs of this host, and what to install."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import BootsmithError

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request


def tools(request: Request) -> None:
    """Print the host programs, and what to install."""
    from bootsmith.tasks.tools import host_table

    if not request.session.builders:  # then nothing is built: the recipe is looked at as it is, if it can be
        request.session.frozen = True
        with suppress(BootsmithError):
            request.session.builder(request.recipe)
    users: dict[str, list[str]] = {}
    for builder in request.session.builders:
        for stage in builder.plan.stages:
            for tool in stage.tools:
                users.setdefault(tool, []).append(stage.name)
    request.session.progress.answer(host_table.report(users))

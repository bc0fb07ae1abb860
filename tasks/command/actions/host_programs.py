"""tools: the programs of this host, and what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.command.request import Request


def tools(request: Request) -> None:
    """Print the host programs, and what to install."""
    from bootsmith.tasks.tools import host_table

    users: dict[str, list[str]] = {}
    for builder in request.session.builders:
        for stage in builder.plan.stages:
            for tool in stage.tools:
                users.setdefault(tool, []).append(stage.name)
    request.session.progress.answer(host_table.report(users))

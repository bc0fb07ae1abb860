"""Commands about builds: what one would do, what past ones did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request


def explain(request: Request) -> None:
    """Print what a build would do, and why."""
    from bootsmith.tasks import explain as explanations

    session = request.session
    builder = session.builder(request.recipe)
    found = explanations.explain(builder, always=bool(session.invocation.options.get("always")))
    as_json = request.options["json"]
    session.progress.tell(
        json.dumps(explanations.to_json(builder, found), indent=2) if as_json else explanations.to_text(found)
    )

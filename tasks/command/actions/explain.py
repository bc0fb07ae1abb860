"""explain: what a build would do, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import RecipeError

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.command.request import Request


def explain(request: Request) -> None:
    """Print what a build would do, and why."""
    from bootsmith.tasks.build.forecast import forecast, to_json, to_text

    session = request.session
    builder = session.builder(request.recipe)
    found = forecast(builder, always=bool(session.invocation.options.get("always")))
    refused = _refused(request)
    as_json = request.options["json"]
    session.progress.answer(
        json.dumps(to_json(builder, found, refused), indent=2) if as_json else to_text(found, refused)
    )


def _refused(request: Request) -> list[str]:
    """Return why a build would not begin: a secret is missing."""

    def reads(plan: Plan) -> list[Secret]:
        return [secret for stage in plan.needed() for secret in stage.secrets.values()]

    try:
        request.session.builder(request.recipe, reads)
    except RecipeError as error:
        return error.problems
    return []

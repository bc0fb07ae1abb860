"""One call of a command: all that its function is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bootsmith.tasks.command.session import Session


class Request(NamedTuple):
    """For which recipe (None: the default), with which options and positional words."""

    session: Session
    recipe: str | None
    options: Mapping[str, Any]
    words: tuple[str, ...]

    def typed(self, task: str) -> str:
        """Return how another task of the same recipe is typed, with the variables that chose and filled it."""
        from shlex import join

        asked = self.session.invocation
        chosen = {name: value for name, value in {**asked.reserved, **asked.variables}.items() if name != "at"}
        variables = [f"{name}={value}" for name, value in chosen.items()]
        return join(["doit", *variables, f"{task}:{self.recipe}" if self.recipe else task])

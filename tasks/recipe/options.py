"""A command's options as keys of the recipe: `--memory 2G` is `machine.memory=2G`, and is refused as that would be."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.recipe import overrides, resolve
from bootsmith.tasks.recipe.keys import RECIPE
from bootsmith.tasks.recipe.model import Machine
from bootsmith.tasks.recipe.nodes import COMMAND_LINE, Place, Table
from bootsmith.tasks.recipe.problems import Problems


def words(section: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Return command-line words that say what `options` say; options not given (None, False, []) say nothing."""
    given = {name: value for name, value in options.items() if value not in (None, False, [])}
    return {f"{section}.{name}": _text(name, value) for name, value in given.items()}


def machine(options: Mapping[str, Any]) -> Machine:
    """Return the default machine with `options` in place, for an image without a recipe. Raises RecipeError."""
    problems = Problems()
    here = Path.cwd()
    nothing = Table({}, Place(COMMAND_LINE, 0, 0, here))
    edits = overrides.edits(words("machine", options), [], nothing, here, problems)
    values = RECIPE.keys["machine"].type.read(edits.get("machine") or nothing, ("machine",), problems)
    problems.raise_if_any()
    return resolve.machine(values)


def _text(name: str, value: Any) -> str:
    if name == "qemu":
        try:
            return json.dumps(shlex.split(value), ensure_ascii=False)
        except ValueError as error:
            raise UsageError(f"--qemu: {error}: {value!r}", "Quote it as a shell would need it.") from None
    if value is True:
        return "true"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)

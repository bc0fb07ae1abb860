"""A command's options as keys of the recipe: `--memory 2G` is `machine.memory=2G`, and is refused as that would be."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.recipe.checks import machine as check_machine
from bootsmith.tasks.recipe.checks import outputs as check_outputs
from bootsmith.tasks.recipe.completion.all import complete_machine
from bootsmith.tasks.recipe.completion.all import output as complete_output
from bootsmith.tasks.recipe.inheritance import overrides
from bootsmith.tasks.recipe.keys.all import MACHINE as MACHINE_KEYS
from bootsmith.tasks.recipe.keys.all import OUTPUT
from bootsmith.tasks.recipe.model.machine import Machine
from bootsmith.tasks.recipe.model.outputs import OutputSpec
from bootsmith.tasks.recipe.text.nodes import COMMAND_LINE, Place, Raw, Table, node
from bootsmith.tasks.recipe.text.problems import Problems

MACHINE = frozenset(MACHINE_KEYS.keys)
"""The keys of `machine:`, each of which is an option of the run commands."""


def words(section: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Return command-line words that say what `options` say; options not given (None, False) say nothing."""
    given = {name: value for name, value in options.items() if value not in (None, False)}
    return {f"{section}.{name}": _text(name, value) for name, value in given.items()}


def machine(options: Mapping[str, Any]) -> Machine:
    """Return the default machine with `options` in place, for an image without a recipe. Raises RecipeError."""
    problems = Problems()
    here = Path.cwd()
    nothing = Table({}, Place(COMMAND_LINE, 0, 0, here))
    edits = overrides.edits(words("machine", options), [], nothing, here, problems)
    values = MACHINE_KEYS.read(edits.get("machine") or nothing, ("machine",), problems)
    problems.raise_if_any()
    found = complete_machine(values)
    for path, what in check_machine.findings(found):
        problems.add(nothing.place, path, what)
    problems.raise_if_any()
    return found


def output(kind: str, values: Mapping[str, Raw], size: int) -> OutputSpec:
    """Return an output of a disk of so many bytes that no recipe has, its keys as texts. Raises RecipeError."""
    problems = Problems()
    place = Place(COMMAND_LINE, 0, 0, Path.cwd())
    chosen = OUTPUT.read(node({kind: dict(values)}, place), ("outputs",), problems)
    problems.raise_if_any()
    found = complete_output(chosen, "disk", "other")
    for path, what in check_outputs.findings(found, size, ("outputs", kind)):
        problems.add(place, path, what)
    problems.raise_if_any()
    return found


def _text(name: str, value: Any) -> str:
    if name == "qemu":
        try:
            return json.dumps(shlex.split(value), ensure_ascii=False)
        except ValueError as error:
            raise UsageError(f"--qemu: {error}: {value!r}", "Quote it as a shell would need it.") from None
    if name in ("forward", "firmware"):
        return json.dumps(value.split(","), ensure_ascii=False)
    if name == "share":
        pairs = [each.partition("=") for each in re.split(r",(?=[\w.-]+=)", value)]  # folders may have commas too
        if not all(folder for _, _, folder in pairs):
            raise UsageError(f"--share={value}: no folder", "Write --share=TAG=FOLDER.")
        return json.dumps({tag: folder for tag, _, folder in pairs}, ensure_ascii=False)
    if value is True:
        return "true"
    return str(value)

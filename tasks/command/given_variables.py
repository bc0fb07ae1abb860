"""The variables that builds were told on the command line, for commands that look at what was built.

Kept below `build/`, by recipe. A lost note costs no more than that a variable is to be said again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bootsmith.cache.files import sealed

KIND = "variables 1"
PLACE = "build/.variables.json"


def note(top: Path, recipe: Path, variables: Mapping[str, str], shell: Path) -> None:
    """Note what a build of a recipe was told, in the folder `shell`."""
    found = _read(top)
    said = {"shell": str(shell), "values": dict(variables)}
    if found.get(os.path.realpath(recipe)) != said:
        with suppress(OSError):  # not ours to write
            sealed.write(top / PLACE, KIND, json.dumps(found | {os.path.realpath(recipe): said}).encode())


def recall(top: Path, recipe: Path, names: Iterable[str], shell: Path) -> dict[str, str]:
    """Return what the last build of a recipe was told of these variables; nothing where it was not told all of them.

    A path that was told in another folder leads to the same place.
    """
    said = _read(top).get(os.path.realpath(recipe))
    if said is None or not all(name in said["values"] for name in names):
        return {}
    values = {name: str(said["values"][name]) for name in names}
    there = Path(said["shell"])
    if there == shell:
        return values
    return {name: str(there / value) if (there / value).exists() else value for name, value in values.items()}


def _read(top: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sealed.read(top / PLACE, KIND) or b"{}")
    return found

"""A dodo.py remembered from a run of doit's: that it is plain there, and its recipe. Then it need not be run again.

It holds as long as nothing changed that it follows from: the texts of dodo.py and pyproject.toml, what is installed
where Python looks for modules, Python itself, and the code that tells what is plain.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.digest.code import joint_identity
from bootsmith.cache.digest.fingerprint import of_bytes
from bootsmith.cache.digest.key import key
from bootsmith.cache.files import sealed

if TYPE_CHECKING:
    from types import CodeType

    from bootsmith.cache.digest.memo import Memo

KIND = "dodo 1"
PLACE = "build/.dodo.json"
RULE = "bootsmith.tasks.command.plain_dodo"  # with what it imports: the names that are ours
CONFIGURING = ("DOIT_FILE", "DOIT_SEEK_FILE")  # variables of the environment that stand for options of doit


def recall(top: Path, memo: Memo) -> str | None:
    """Return the recipe of the plain dodo.py in a folder, where that is remembered and nothing else speaks to doit."""
    try:
        noted = json.loads(sealed.read(top / PLACE, KIND) or b"null")
        if any(name in os.environ for name in CONFIGURING) or (top / "doit.cfg").exists():
            return None
        dodo, project = (top / "dodo.py").read_bytes(), _project(top)
        here = _installed(top)
        if noted["key"] != _key(dodo, project, memo) or [each for each in noted["installed"] if each in here] != here:
            return None
        recipe: str = noted["recipe"]
        return None if _is_shadowed(top, noted["imports"]) else recipe
    except (OSError, ValueError, KeyError, TypeError, ModuleNotFoundError):
        return None  # nothing noted, or not ours to read: doit's run is always right


def remember(top: Path, ran: CodeType, taken: Collection[str], memo: Memo) -> None:
    """Note of a dodo.py whose code `ran` and was to doit's liking that it is plain, if it is.

    `taken` are the names that doit lets no task have.
    """
    if recall(top, memo) is not None:
        return  # it is noted, and nothing changed that it follows from
    from bootsmith.tasks.command import plain_dodo

    try:
        source, project = (top / "dodo.py").read_bytes(), _project(top)
        dodo = plain_dodo.read(source, taken)
        if dodo is None or _speaks(project) or _is_shadowed(top, dodo.imports):
            return
        if compile(source, ran.co_filename, "exec", dont_inherit=True) != ran:
            return  # edited since, or Python ran what it had compiled of an older one
        noted = {"key": _key(source, project, memo), "installed": _installed(top)} | dodo._asdict()
        body = json.dumps(noted).encode()
        if sealed.read(top / PLACE, KIND) != body:
            sealed.write(top / PLACE, KIND, body)
    except (OSError, ValueError):
        pass  # not ours to read or write: the next run is doit's again


def _key(dodo: bytes, project: bytes, memo: Memo) -> str:
    code = joint_identity([RULE], memo)
    return key({"dodo": of_bytes(dodo), "project": of_bytes(project), "python": sys.version, "code": code})


def _project(top: Path) -> bytes:
    """Return what pyproject.toml holds; one that is missing says as much as an empty one."""
    try:
        return (top / "pyproject.toml").read_bytes()
    except FileNotFoundError:
        return b""


def _speaks(project: bytes) -> bool:
    """Tell whether a pyproject.toml says something to doit. Raises ValueError for one that is no TOML."""
    import tomllib

    tool = tomllib.loads(project.decode()).get("tool", {})
    return not isinstance(tool, dict) or "doit" in tool


def _installed(top: Path) -> list[list[str | int]]:
    """Return the folders where Python looks for modules, the dodo.py's own aside, each with when it last changed."""
    found: list[list[str | int]] = []
    for name in sys.path:
        if name not in ("", str(top)):
            try:
                found.append([name, os.stat(name).st_mtime_ns])  # noqa: PTH116  # a Path for each takes as long as all else
            except OSError:
                found.append([name, 0])
    return found


def _is_shadowed(top: Path, imports: Iterable[str]) -> bool:
    """Tell whether something beside dodo.py would be taken for it, or for what it imports."""
    here = {*os.listdir(top)} - {"dodo.py"}  # noqa: PTH208  # likewise
    return any(f"{name}{suffix}" in here for name in ("dodo", *imports) for suffix in ("", *all_suffixes()))

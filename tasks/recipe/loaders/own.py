"""A bootloader of a user's own: what its Python file says of it, read without running the file.

The facts are constants written out at its top level; what makes the loader's files is its function `make`, which only
the stage runs. So a recipe is known before any code of the user's ran, and a mistake is told with its line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootsmith.cache.display import shown
from bootsmith.tasks.recipe.loaders.boot_places import BOOT_SECTOR, REMOVABLE
from bootsmith.tasks.recipe.loaders.builtin import USUAL, LoaderKind
from bootsmith.tasks.recipe.text.problems import Wrong, suggest
from bootsmith.tasks.tools.catalogue import TOOLS

OURS = (
    *("bootsmith.tasks.boot.loader", "bootsmith.tasks.boot.menu", "bootsmith.tasks.boot.pe"),
    *("bootsmith.tasks.disk.bootcode", "bootsmith.tasks.errors"),
)
"""What of bootsmith's own such a file may import: the stage's code, of which its key knows."""
TABLES = ("gpt", "mbr", "none")
PLACES = ("esp", "active", "root")
_USUAL: Mapping[str, tuple[str, ...]] = {"uefi": ("gpt", "mbr"), "bios": ("mbr",), "direct": TABLES}


@dataclass(frozen=True, slots=True)
class OwnLoader:
    """A loader's facts, under the names they have in its file."""

    kind: LoaderKind
    TOOLS: tuple[str, ...]
    HOST: tuple[str, ...]
    PACKAGES: tuple[str, ...]

    def packages(self, suite: str) -> tuple[str, ...]:  # noqa: ARG002  a loader's own file names one set
        """Return the packages that bring the loader's files into a tree."""
        return self.PACKAGES


def is_own(name: str) -> bool:
    """Tell whether a loader is named by a file."""
    return name.endswith(".py")


def read(file: Path) -> OwnLoader:
    """Return the facts in a loader's file. Raises Wrong with the file and the line."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise Wrong(f"{shown(file)} cannot be read: {error.strerror}", "name a loader's Python file") from error
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise Wrong(f"{shown(file)}{line}: this is no Python: {what}", "mend that line") from error
    _check_imports(file, tree)
    if not any(isinstance(each, ast.FunctionDef) and each.name == "make" for each in tree.body):
        raise Wrong(f"{shown(file)}: it has no function `make`", "write `def make(making):`")
    found = {name: check(value, f"{shown(file)}:{line}: {name}") for name, value, line, check in _facts(file, tree)}
    if "FIRMWARE" not in found:
        raise Wrong(f"{shown(file)}: it does not say what starts it", 'write FIRMWARE = "uefi", "bios" or "direct"')
    firmware = found["FIRMWARE"]
    places = {"uefi": (REMOVABLE,), "bios": (BOOT_SECTOR,)}.get(firmware, ())
    layouts = found.get("LAYOUTS", dict.fromkeys(_USUAL[firmware], USUAL[firmware]))
    kind = LoaderKind(
        firmware, layouts, found.get("READS", ()), found.get("PLACES", ()), places, config=found.get("CONFIG", ())
    )
    return OwnLoader(kind, *(found.get(name, ()) for name in ("TOOLS", "HOST", "PACKAGES")))


def _facts(file: Path, tree: ast.Module) -> list[tuple[str, Any, int, Callable[[Any, str], Any]]]:
    """Return name, value, line and check of each fact that is written."""
    found = []
    for each in tree.body:
        targets = (
            each.targets if isinstance(each, ast.Assign) else [each.target] if isinstance(each, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id in _CHECKS and each.value is not None:  # type: ignore[attr-defined]
                try:
                    value = ast.literal_eval(each.value)  # type: ignore[attr-defined]
                except (ValueError, TypeError, SyntaxError) as error:
                    what = f"{shown(file)}:{each.lineno}: {target.id} is computed, and facts are read without running"
                    raise Wrong(what, "write its value out") from error
                found.append((target.id, value, each.lineno, _CHECKS[target.id]))
    return found


def _check_imports(file: Path, tree: ast.Module) -> None:
    """Refuse what the stage's key would not know of: any code but Python's own and the stage's."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if not node.level else ["." * node.level]
        for name in names:
            ours = any(f"{name}.".startswith(f"{each}.") for each in OURS)
            if not ours and name.partition(".")[0] not in sys.stdlib_module_names:
                what = f"{shown(file)}:{node.lineno}: an edit of {name} would go unnoticed"  # type: ignore[attr-defined]
                raise Wrong(what, "write what it needs into this file")


def _firmware(value: Any, where: str) -> str:
    if value not in _USUAL:
        raise Wrong(f"{where} cannot be {value!r}", f"write one of {', '.join(_USUAL)}")
    return str(value)


def _words(*known: str) -> Callable[[Any, str], tuple[str, ...]]:
    """Return a check that takes a list of words, those that are `known` where there are any."""

    def check(value: Any, where: str) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            raise Wrong(f"{where} is no list of words", 'write ["one", "two"]')
        for each in value:
            if known and each not in known:
                raise Wrong(f"{where} cannot hold {each!r}", suggest(each, list(known)))
        return tuple(value)

    return check


def _layouts(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value or not all(isinstance(each, dict) for each in value.values()):
        raise Wrong(f"{where} does not map tables to partitions", 'write {"mbr": {"root": {"mount": "/"}}}')
    for table in value:
        if table not in TABLES:
            raise Wrong(f"{where} cannot hold {table!r}", f"write one of {', '.join(TABLES)}")
    return value


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "FIRMWARE": _firmware,
    "LAYOUTS": _layouts,
    "READS": _words("ext4", "ext3", "ext2", "vfat"),
    "PLACES": _words(*PLACES),
    "CONFIG": _words(),
    "TOOLS": _words(*TOOLS),
    "HOST": _words(*TOOLS),
    "PACKAGES": _words(),
}

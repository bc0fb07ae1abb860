"""The host programs as a table for `doit tools`: what is here, which version, what for, and what to install."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootsmith.tasks.errors import StageError, ToolMissing
from bootsmith.tasks.tools import host, process

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


def report(used_by: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the table; `used_by` maps a tool to the stages that run it. Runs every program for its version."""
    uses = used_by or {}
    rows = [("tool", "version", "where", "used by")]
    for name, tool in host.TOOLS.items():
        try:
            path = host.find(name)
        except ToolMissing:
            rows.append((name, "-", "missing", ", ".join(uses.get(name, ())) or tool.purpose))
            continue
        rows.append((name, version(tool, path), str(path), ", ".join(uses.get(name, ())) or tool.purpose))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[3]]) for row in rows]
    absent = host.missing()
    if absent:
        lines += ["", f"Missing: {', '.join(tool.name for tool in absent)}. Install them:"]
        lines += [f"  {host.install_command(absent)}"]
    lines += [f"\nNote: {caveat}." for caveat in process.caveats()]
    return "\n".join(line.rstrip() for line in lines)


def version(tool: host.Tool, path: Path) -> str:
    """Return the version a program prints, "-" where it prints none."""
    return printed_version(path, () if tool.files else tool.version) or "-"


def printed_version(path: Path, words: Sequence[str]) -> str:
    """Return the version a program prints when called with these words; empty where it prints none."""
    if not words:
        return ""
    environment = {"PATH": host.PATH, "LC_ALL": "C.UTF-8"}
    try:
        said = process.run([path, *words], env=environment, cwd=Path("/"), check=False)
    except StageError:  # what walls programs off is itself missing: the table says so
        return ""
    found = _VERSION.search((said.stdout + said.stderr).decode(errors="replace"))
    return found.group() if found else ""

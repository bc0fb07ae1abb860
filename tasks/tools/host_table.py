"""The host programs as a table for `doit tools`: what is here, which version, what for, and what to install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools import host, process, readers
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.package_manager import install_command
from bootsmith.tasks.tools.tool import Tool
from bootsmith.tasks.tools.version import printed_version


def report(used_by: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the table; `used_by` maps a tool to the stages that run it. Runs every program for its version."""
    uses = used_by or {}
    rows = [("tool", "version", "where", "used by")]
    for name, tool in TOOLS.items():
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
        lines += [f"  {install_command(absent)}"]
    with suppress(ToolMissing):
        readers.probe()
    lines += [f"\nNote: {caveat}." for caveat in process.caveats()]
    return "\n".join(line.rstrip() for line in lines)


def version(tool: Tool, path: Path) -> str:
    """Return the version a program prints, "-" where it prints none."""
    return printed_version(path, () if tool.files else tool.version) or "-"

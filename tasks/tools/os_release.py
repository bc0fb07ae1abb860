"""os-release(5), the file that says which system it stands in, this host or a tree: read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"""(\w+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^"'\s]*))\s*""", re.ASCII)
_QUOTED = r'["\\$`]'  # what a shell takes for itself within double quotes


def parse(text: str) -> dict[str, str]:
    """Return what an os-release says; lines that are no assignment are passed over."""
    found = [each for line in text.split("\n") if (each := _LINE.fullmatch(line.strip()))]
    return {
        name: re.sub(rf"\\({_QUOTED})", r"\1", quoted) if quoted is not None else single or bare or ""
        for name, quoted, single, bare in (each.groups() for each in found)
    }


def of_host(places: tuple[str, ...] = ("/etc/os-release", "/usr/lib/os-release")) -> dict[str, str]:
    """Return what this host's os-release says; nothing where it has none."""
    return next((parse(Path(each).read_text(errors="replace")) for each in places if Path(each).exists()), {})


def text(facts: Mapping[str, str]) -> str:
    """Return an os-release of the facts that are not empty."""
    return "".join(f"{name}={_value(value)}\n" for name, value in facts.items() if value)


def _value(value: str) -> str:
    return value if re.fullmatch(r"[\w.-]+", value, re.ASCII) else '"' + re.sub(f"({_QUOTED})", r"\\\1", value) + '"'

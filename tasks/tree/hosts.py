"""/etc/hosts: the lines that every system has, and the guest's own names among those of a file that is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

USUAL: Final = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def with_names(text: str | None, hostname: str, further: Iterable[Sequence[str]]) -> str:
    """Return /etc/hosts: what a layer brought, else the usual lines, with the guest's own name and further ones.

    `further` are pairs of name and address. A host name with dots is the full one; its first part goes by itself too.
    """
    own = f"127.0.1.1\t{hostname}" + (f" {hostname.partition('.')[0]}" if "." in hostname else "")
    lines = [line for line in (text or USUAL).splitlines() if line.split()[:1] != ["127.0.1.1"]]
    place = next((number for number, line in enumerate(lines, 1) if line.split()[:1] == ["127.0.0.1"]), 0)
    lines[place:place] = [own]
    return "\n".join([*lines, *(f"{address}\t{name}" for name, address in further)]) + "\n"

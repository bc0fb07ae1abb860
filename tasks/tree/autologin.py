"""Consoles that ask nobody: root is logged in on each."""

from __future__ import annotations

import re
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.units import ETC, VENDOR

GETTYS: Final = ("getty@.service", "serial-getty@.service")
_START: Final = re.compile(r"^ExecStart=(-?\S*agetty)(\s.*)$", re.MULTILINE)
_OPTIONS: Final = re.compile(r"\s(?:-o|--login-options)(?:\s+|=)(?:'[^']*'|\"[^\"]*\"|\S+)")
"""What agetty hands to login itself, instead of saying whom it need not ask."""


def path(getty: str) -> str:
    """Return where what changes a unit stands."""
    return f"{ETC}/{getty}.d/autologin.conf"


def declare(delta: Delta, *, wanted: bool) -> None:
    """Have root logged in on every console. Raises StageError where no unit of the tree asks by agetty."""
    if not wanted:
        return
    made = 0
    for getty in GETTYS:
        text = next(filter(None, (delta.tree.text(f"{folder}/{getty}") for folder in (ETC, *VENDOR))), "")
        found = _START.findall(text)
        if found:
            program, words = found[-1]
            line = f"ExecStart={program} --autologin root{_OPTIONS.sub('', words)}"
            delta.add_file(path(getty), f"[Service]\nExecStart=\n{line}\n".encode())
            made += 1
    if not made:
        raise StageError(
            "system.autologin: no unit of the tree asks for a login by agetty",
            "Add systemd and util-linux (Debian's agetty is among it), or leave system.autologin out.",
        )

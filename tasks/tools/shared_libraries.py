"""The shared libraries of a host program, as its own dynamic loader names them.

`ld.so --list` runs none of the program's code: search paths, caches and CPU variants are the loader's business, and no
second implementation agrees with it for long.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

from bootsmith.tasks.errors import ToolMissing

known: dict[str, list[str]] = {}
"""Program -> the libraries that its identity covers, where that was asked for in this process; see identity.py."""


def linked(path: Path) -> list[str]:
    """Return the shared libraries of a program, those its identity covers where it was asked for. Raises ToolMissing.

    Who runs a stage asked a moment ago, and asks again when the stage has run: an answer that is true no more is found.
    """
    found = known.get(str(path))
    return libraries(path) if found is None else found


def libraries(path: Path) -> list[str]:
    """Return the shared libraries that a program's loader would load for it. Raises ToolMissing where it cannot."""
    loader = interpreter(path)
    if loader is None:
        return []
    from bootsmith.tasks.tools import process

    listed = process.run([loader, "--list", path.resolve()], env={}, cwd=Path("/"), check=False)
    if listed.status:
        reason = listed.stderr.decode(errors="replace").strip() or f"its loader exited with status {listed.status}"
        raise ToolMissing(f"{path} cannot start: {reason}", "Install its package anew.")
    named = re.findall(r"(?:=> |^\s*)(/.*) \(0x", listed.stdout.decode(errors="surrogateescape"), re.MULTILINE)
    return [*named, *([str(loader)] if str(loader) not in named else [])]


def interpreter(path: Path) -> Path | None:
    """Return the dynamic loader that an ELF64 executable asks for (its PT_INTERP); None where it asks for none."""
    with path.open("rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
            return None
        (table,) = struct.unpack_from("<Q", header, 0x20)
        entry_size, count = struct.unpack_from("<HH", header, 0x36)
        for index in range(count):
            file.seek(table + index * entry_size)
            kind, _, offset, _, _, size = struct.unpack("<IIQQQQ", file.read(40))
            if kind == 3:
                file.seek(offset)
                return Path(os.fsdecode(file.read(size).rstrip(b"\0")))
    return None

"""A script of the recipe's that runs once, as the guest first starts; until it has succeeded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import own_unit
from bootsmith.tasks.tree.delta import Delta

SCRIPT: Final = f"{own_unit.FOLDER}/first-boot"
UNIT: Final = "first-boot.service"
_LARGEST: Final = 16 << 20
_DONE: Final = "/var/lib/bootsmith/first-boot.done"
# Nothing asks for network-online.target: that would have each boot wait for a cable.
_TEXT: Final = f"""\
[Unit]
Description=What is done once, as this machine first starts
ConditionPathExists=!{_DONE}
After=network.target network-online.target ssh-host-keys.service grow-root.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/{SCRIPT}
ExecStart=/bin/sh -c 'mkdir -p {_DONE.rpartition("/")[0]} && : >{_DONE}'
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""
_INTERPRETER: Final = re.compile(rb"#![ \t]*(/[^\s\0]+)")


def declare(delta: Delta, script: Path | None) -> None:
    """Have a script run. Raises StageError for one that the guest could not start."""
    if script is None:
        return
    if script.stat().st_size > _LARGEST:
        raise StageError(f"system.first_boot: {script} is larger than {_LARGEST >> 20} MiB", "Name a script.")
    data = script.read_bytes()
    line = data.partition(b"\n")[0]
    found = _INTERPRETER.match(line)
    if not found:
        raise StageError(f"system.first_boot: {script} begins with no #!", "Write #!/bin/sh, or what else runs it.")
    if line.endswith(b"\r"):
        what = f"system.first_boot: {script} ends its lines as on Windows (CR LF), so that nothing runs it"
        raise StageError(what, "Save it with LF.")
    interpreter = found[1].decode("utf-8", "surrogateescape")
    entry = delta.tree.find(interpreter)
    if entry is None or entry.type not in ("f", "h"):
        what = f"system.first_boot: {script} is run by {shown(interpreter)}, which is not in the tree"
        raise StageError(what, "Add the package that brings it, or have /bin/sh run it.")
    own_unit.start(delta, "system.first_boot", UNIT, _TEXT)
    delta.add_file(SCRIPT, data, 0o755)

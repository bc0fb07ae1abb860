"""ssh in the tree: host keys that no two machines share."""

from __future__ import annotations

import re
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.units import ETC, VENDOR

_UNIT: Final = "ssh-host-keys.service"
_MAKER: Final = """\
[Unit]
Description=Make the ssh host keys that this machine lacks
Before=ssh.service sshd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
_MAKER_FIRST: Final = f"""\
[Unit]
Wants={_UNIT}
After={_UNIT}
"""
# With socket activation only the unit of each connection waits for the keys, so it must ask for them itself.
_SERVERS: Final = ("ssh.service", "ssh@.service", "sshd.service", "sshd@.service")


def declare_host_keys(delta: Delta, wanted: str) -> None:
    """Remove host keys, and have new ones made on first boot where `wanted` is "first-boot".

    "keep" keeps what layers bring; those that the packages made never leave the rootfs stage. Raises StageError.
    """
    tree = delta.tree
    if wanted == "keep":
        return
    for name in tree.names("etc/ssh"):
        if re.fullmatch(r"ssh_host_\w+_key(\.pub)?", name):
            delta.remove(f"etc/ssh/{name}")
    if wanted == "none" or not tree.find("usr/sbin/sshd"):
        return
    if not tree.find("lib/systemd/systemd"):
        raise StageError(
            "system.ssh_host_keys: first-boot needs systemd, and the tree has none", "Choose keep or none, or add it."
        )
    delta.add_file(f"{ETC}/{_UNIT}", _MAKER.encode())
    delta.add_link(f"{ETC}/multi-user.target.wants/{_UNIT}", f"/{ETC}/{_UNIT}")
    for server in _SERVERS:
        entries = [tree.link(f"{folder}/{server}") for folder in (ETC, *VENDOR)]
        if any(entry and entry.type == "f" for entry in entries):
            delta.add_file(f"{ETC}/{server}.d/ssh-host-keys.conf", _MAKER_FIRST.encode())

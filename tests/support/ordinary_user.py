"""An ordinary user with subordinate ids, whoever runs the tests; the host itself is left as it is.

Run by root, the user exists only in a private mount namespace: there /etc/passwd, group, subuid and subgid have one
line more, and folders that only root may enter (its home with a Python in it, pytest's temporary folder) show no more
than what the tests hand over. Run by an ordinary user, it is that user, who needs lines in /etc/subuid and /etc/subgid.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import CHECKOUT

NAME = "bootsmith-test"
UID = 61_184  # of the range that Debian, Fedora and systemd leave to the administrator
SUBORDINATE = 1_879_048_192  # where systemd-nspawn's dynamic ranges have ended

_ENTER = """
set -eu
for file in passwd group subuid subgid; do
    [ -e /etc/$file ] || : > /etc/$file
    mount --bind "$FILES/$file" /etc/$file
done
mount -t tmpfs tmpfs /mnt
index=0
printf '%s' "$SHOWN" | while IFS= read -r path; do
    index=$((index + 1)); mkdir "/mnt/$index"; mount --bind "$path" "/mnt/$index"
done
printf '%s' "$HIDDEN" | while IFS= read -r path; do mount -t tmpfs -o mode=0755 tmpfs "$path"; done
index=0
printf '%s' "$SHOWN" | while IFS= read -r path; do
    index=$((index + 1)); mkdir -p "$path"; mount --bind "/mnt/$index" "$path"
done
umount -l /mnt
unset FILES SHOWN HIDDEN index file path
exec setpriv --reuid "$ID" --regid "$ID" --init-groups --inh-caps=-all -- env -u ID HOME="$HOME" "$@"
"""


_WITHOUT_IDS = """
mount --bind /dev/null /etc/subuid && mount --bind /dev/null /etc/subgid &&
exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"
"""
_OWN = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", _WITHOUT_IDS, "sh")


@dataclass(frozen=True)
class OrdinaryUser:
    """Who runs commands, and `home`, a folder of theirs."""

    home: Path
    words: tuple[str, ...]
    variables: dict[str, str]

    def command(self, *argv: str | Path) -> list[str]:
        """Return the words that run `argv` as this user, with HOME in `home`, and else the caller's environment."""
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        return ["env", "-u", "TMPDIR", *settings, *self.words, *map(str, argv)]  # it may be another user's


def ordinary_user(scratch: Path, *, readable: Iterable[Path] = (), subordinate: bool = True) -> OrdinaryUser:
    """Return an ordinary user with a home in `scratch`, who can read this checkout, its Python and what is named.

    `subordinate` False: one without subordinate ids.
    """
    home = scratch / "home"
    home.mkdir()
    if os.geteuid() != 0:
        return OrdinaryUser(home, () if subordinate else _OWN, {"HOME": str(home)})
    files = scratch / "enter"
    files.mkdir()
    line = f"{NAME}:x:{UID}:{UID}::{home}:/bin/sh\n"
    for name, added in {
        "passwd": line,
        "group": f"{NAME}:x:{UID}:\n",
        "subuid": f"{NAME}:{SUBORDINATE}:65536\n" if subordinate else "",
        "subgid": f"{NAME}:{SUBORDINATE}:65536\n" if subordinate else "",
    }.items():
        present = Path("/etc", name)
        (files / name).write_text((present.read_text() if present.exists() else "") + added)
        (files / name).chmod(0o644)
    os.chown(home, UID, UID)
    wanted = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix).resolve(), home, *readable}
    closed = {path: _closed_ancestor(path) for path in sorted(wanted)}
    variables = {
        "FILES": str(files),
        "SHOWN": "".join(f"{path}\n" for path, hidden in closed.items() if hidden),
        "HIDDEN": "".join(f"{path}\n" for path in sorted({hidden for hidden in closed.values() if hidden})),
        "ID": str(UID),
        "HOME": str(home),
    }
    return OrdinaryUser(home, ("unshare", "--mount", "sh", "-c", _ENTER, "sh"), variables)


def _closed_ancestor(path: Path) -> Path | None:
    """Return the topmost folder above `path` that others may not enter."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)

"""Why an ordinary user may not be root of a tree here, and what to do: subordinate ids, newuidmap, kernel settings."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from bootsmith.tasks.errors import StageError, ToolMissing
from bootsmith.tasks.tools import host

FIRST = 100_000
COUNT = 65_536


def refusal(said: str) -> StageError:
    """Return the error for a user namespace that could not be made; `said` is what unshare printed."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return StageError(
            f"user {os.getuid()} has no account on this machine, so it owns no subordinate ids",
            "Build as a user that stands in /etc/passwd.",
        )
    absent = host.missing(["newuidmap"])
    if absent:
        return ToolMissing(
            "newuidmap is not installed: without it an ordinary user cannot own the files of a tree",
            f"Install it: {host.install_command(absent)}",
        )
    lines = [
        f"{user}:{free(text)}:{COUNT} to {path}"
        for path in (Path("/etc/subuid"), Path("/etc/subgid"))
        if not granted(text := _read(path), user)
    ]
    if lines:
        return StageError(
            f"user {user} has no subordinate ids, so the files of a tree cannot have their owners",
            f"As root, add the line {' and the line '.join(lines)}.",
        )
    for setting, forbids, remedy in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
    ):
        if _read(Path("/proc/sys", setting)).strip() == forbids:
            return StageError(
                f"this kernel forbids user namespaces to ordinary users: {said}", f"As root: sysctl -w {remedy}"
            )
    return StageError(
        f"no user namespace can be made here: {said}",
        "In a container, allow it the system calls unshare and mount, or build outside of it.",
    )


def granted(text: str, user: str) -> bool:
    """Tell whether a line of /etc/subuid (or subgid) grants ids to the user, by name or by number."""
    try:
        names = {user, str(pwd.getpwnam(user).pw_uid)}
    except KeyError:
        names = {user}
    return any(line.partition(":")[0] in names for line in text.splitlines())


def free(text: str) -> int:
    """Return the first id that is free behind all ranges of /etc/subuid (or subgid)."""
    end = FIRST
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 3 and fields[1].isdigit() and fields[2].strip().isdigit():
            end = max(end, int(fields[1]) + int(fields[2]))
    return end


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

"""Ids mapped into a user namespace: how an ordinary user becomes root of a tree, and why it may not, with a remedy."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bootsmith.tasks.errors import StageError, ToolMissing
from bootsmith.tasks.tools import programs
from bootsmith.tasks.tools.package_manager import install_command
from bootsmith.tasks.tools.subordinate_ids import COUNT, Range, free, granted, read
from bootsmith.tasks.tools.tool import NEWGIDMAP, NEWUIDMAP


def map_ids(pid: int) -> None:
    """Map the ids of a process's new, still empty user namespace: 0 is us, 1 and up are our subordinate ids.

    User 0 must be the caller: were it a subordinate id, the kernel would not let us kill what runs there. unshare's own
    `--map-auto` is not used: killed at the wrong moment, it leaves a helper that waits for ever. Who is root already
    keeps all ids as they are. Raises StageError, ToolMissing.
    """
    if os.geteuid() == 0:
        _map_all(pid)
        return
    user = _user()
    for kind, program, own in (("subuid", NEWUIDMAP, os.geteuid()), ("subgid", NEWGIDMAP, os.getegid())):
        ranges = granted(read(Path("/etc", kind)), user, os.geteuid())
        if not ranges:
            raise _without_ids(user)
        words = [str(programs.find(program)), str(pid), *mapping(own, ranges)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise StageError(
                f"{program.name} does not let user {user} use the ids of /etc/{kind}: {done.stderr.decode().strip()}",
                f"It must be set-uid root, and the line in /etc/{kind} must name ids that nobody else has.",
            )


def _map_all(pid: int) -> None:
    """Map every id that we have to itself, as only root may."""
    try:
        for kind in ("uid", "gid"):
            ours = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
            lines = "".join(f"{inside} {inside} {count}\n" for inside, _, count in ours)
            Path(f"/proc/{pid}/{kind}_map").write_text(lines)
    except OSError as error:
        raise StageError(
            f"no user namespace can be given its ids here: {error.strerror}",
            "In a container, allow it to make mount namespaces (CAP_SYS_ADMIN), or build outside of it.",
        ) from error


def mapping(own: int, ranges: Sequence[Range]) -> list[str]:
    """Return the words that newuidmap takes: triples of first id inside, first id outside, count."""
    words = ["0", str(own), "1"]
    inside = 1
    for first, count in ranges:
        words += [str(inside), str(first), str(count)]
        inside += count
    return words


def refusal(said: str) -> StageError:
    """Return the error for a user namespace that could not be made; `said` is what unshare printed."""
    for setting, forbids, remedy in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
    ):
        may = os.geteuid() == 0 and "user/" not in setting  # what is forbidden to others only is not why
        if not may and read(Path("/proc/sys", setting)).strip() == forbids:
            return StageError(
                f"this kernel forbids user namespaces to ordinary users: {said}", f"As root: sysctl -w {remedy}"
            )
    return StageError(
        f"no user namespace can be made here: {said}",
        "In a container, allow it the system calls unshare and mount; in a chroot no kernel allows it: build outside.",
    )


def _without_ids(user: str) -> StageError:
    lines = [
        f"{user}:{free(text)}:{COUNT} to {path}"
        for path in (Path("/etc/subuid"), Path("/etc/subgid"))
        if not granted(text := read(path), user, os.geteuid())
    ]
    absent = programs.place(NEWUIDMAP) is None
    also = f" And install newuidmap: {install_command([NEWUIDMAP])}" if absent else ""
    problem = f"user {user} has no subordinate ids, so the files of a tree cannot have their owners"
    remedy = f"As root, add the line {' and the line '.join(lines)}.{also}"
    return ToolMissing(f"{problem}, nor is newuidmap installed", remedy) if absent else StageError(problem, remedy)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StageError(
            f"user {os.geteuid()} has no account on this machine, so it owns no subordinate ids",
            "Build as a user that stands in /etc/passwd.",
        ) from None

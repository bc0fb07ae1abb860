"""Users who may do as root what sudo is asked: a file of sudoers.d for each (sudoers(5))."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.delta import Delta

FOLDER: Final = "etc/sudoers.d"
_MAIN: Final = "etc/sudoers"


def path(user: str) -> str:
    """Return the file that says what a user may do."""
    return f"{FOLDER}/declared-{user}"


def declare(delta: Delta, users: Iterable[tuple[str, bool]]) -> None:
    """Let users do all, each with a password where they have one. Raises StageError where the tree has no sudo."""
    wanted = list(users)
    if not wanted:
        return
    names = ", ".join(name for name, _ in wanted)
    if not (delta.tree.find("usr/bin/sudo") or delta.tree.find("bin/sudo")):
        raise StageError(f"system.users: {names} is to use sudo, which is not in the tree", "Add the package sudo.")
    main = delta.tree.text(_MAIN)
    if main is not None and f"includedir /{FOLDER}" not in main:
        what = f"system.users: /{_MAIN} does not read /{FOLDER}, so that {names} could not use sudo"
        raise StageError(what, f"Add `@includedir /{FOLDER}` to it in a layer.")
    for name, has_password in wanted:
        rule = "ALL=(ALL:ALL)" if has_password else "ALL=(ALL:ALL) NOPASSWD:"
        delta.add_file(path(name), f"{name} {rule} ALL\n".encode(), 0o440)

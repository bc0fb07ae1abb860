"""The program that Linux starts first from a disk: whether a tree has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tree.merged import Tree

USUAL: Final = ("sbin/init", "etc/init", "bin/init")
SHELL: Final = "bin/sh"
"""What Linux starts where there is none of them."""


def check(ctx: Context, tree: Tree, inits: Iterable[str]) -> None:
    """Refuse a tree that has nothing for Linux to start; `inits` is what each entry asks for by init=, "" if nothing.

    Raises StageError. A shell alone is enough for Linux, and is said.
    """
    for path in dict.fromkeys(inits):
        if path:
            if not _runs(tree, path):
                raise StageError(f"init={path} is no program in the tree", "Mend the command line, or add it.")
        elif not any(_runs(tree, each) for each in USUAL):
            names = ", ".join(f"/{each}" for each in USUAL)
            if not _runs(tree, SHELL):
                raise StageError(
                    f"there is nothing in the tree that Linux would start ({names}, /{SHELL})",
                    "Install an init (Debian's is in systemd-sysv), name a program by init= in boot.cmdline, or "
                    "write boot.root: none where the initrd is the whole system.",
                )
            ctx.tell(f"the tree has no init ({names}): Linux will start /{SHELL}")


def _runs(tree: Tree, path: str) -> bool:
    entry = tree.find(path)
    if entry is not None and entry.type == "h":
        entry = tree.entries[entry.link][1]
    return entry is not None and entry.type == "f" and bool(entry.mode & 0o111)

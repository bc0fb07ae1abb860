"""The stage `layers/container`: a tree that may have been a container's, as a system on a disk needs it.

An engine mounts over some files of a container, and others tell who runs in it that it is one; what is exported has
their empty places. systemd, for one, then leaves out what only a machine needs, such as udev.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import hosts
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import tree_below

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

MARKS: Final = (".dockerenv", ".dockerinit", "run/.containerenv", "run/.toolboxenv")
"""Files by which a container is told."""
MOUNTED_OVER: Final = ("etc/hostname", "etc/hosts", "etc/resolv.conf")
"""Files that an engine has its own over: empty where they are exported."""
FOLDERS: Final[Mapping[str, int]] = {"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777}
"""Directories that a system is started into, and their modes."""


@dataclass(frozen=True)
class ContainerParams(Params):
    """When it is made."""

    epoch: int


def run(ctx: Context) -> None:
    """Write the layer, and say what is in it."""
    tree = tree_below(ctx)
    removed = left_over(tree)
    missing = [path for path in FOLDERS if tree.link(path) is None]
    with Delta(ctx, tree, "container", ContainerParams.of(ctx).epoch) as delta:
        for path in removed:
            if path == "etc/hosts":
                delta.add_file(path, hosts.USUAL.encode())
            else:
                delta.remove(path)
        for path in missing:
            delta.set_directory(path, FOLDERS[path], 0, 0)
    if removed:
        ctx.tell(f"a container left {_named(removed)}: not in the image, or as a system has it")
    if missing:
        ctx.tell(f"the tree has no {_named(missing)}: made")


def left_over(tree: Tree) -> list[str]:
    """Return the files that a container left in a tree, sorted."""
    files = {path for path in (*MARKS, *MOUNTED_OVER) if _is_file(tree, path)}
    found = {path for path in files if path in MARKS or _is_empty(tree, path)}
    # No file in /dev is a device: where the kernel's own file system does not hide it, the console would go there.
    nodes = {f"dev/{name}" for name in tree.names("dev") if _is_file(tree, f"dev/{name}")}
    return sorted(found | {path for path in nodes if _is_empty(tree, path)})


def _named(paths: list[str]) -> str:
    return ", ".join(f"/{path}" for path in paths)


def _is_file(tree: Tree, path: str) -> bool:
    entry = tree.link(path)
    return entry is not None and entry.type == "f"


def _is_empty(tree: Tree, path: str) -> bool:
    entry = tree.link(path)
    return entry is not None and not entry.size

"""Modules that the guest's kernel loads as it starts, and its settings (modules-load.d(5), sysctl.d(5))."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from bootsmith.tasks.errors import StageError, Together
from bootsmith.tasks.tree.accounts import near
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import Tree

MODULES: Final = "etc/modules-load.d/declared.conf"
SETTINGS: Final = "etc/sysctl.d/99-system.conf"
"""Behind 99-sysctl.conf, which leads to /etc/sysctl.conf: of two files the later counts."""
_FOLDER: Final = "lib/modules"
_LISTS: Final = ("modules.dep", "modules.builtin")
_SUFFIX: Final = re.compile(r"\.ko(\.\w+)?$")


def declare_modules(delta: Delta, wanted: Sequence[str]) -> None:
    """Have modules loaded. Raises StageError for those that no kernel of the tree has."""
    if not wanted:
        return
    together = Together()
    names = known(delta.tree)
    for name in wanted if names else ():
        with together:
            if name.replace("-", "_") not in names:
                raise StageError(
                    f"system.modules: no kernel in the tree has a module {name}{near(name, sorted(names))}",
                    "Name one that it has, or another kernel: those for virtual machines have few.",
                )
    together.settle()
    delta.add_file(MODULES, "".join(f"{name}\n" for name in wanted).encode())


def known(tree: Tree) -> set[str]:
    """Return the modules of all kernels in a tree, those built in among them; none where there is no list."""
    found = set()
    for version in tree.names(_FOLDER):
        for name in _LISTS:
            for line in (tree.text(f"{_FOLDER}/{version}/{name}") or "").splitlines():
                file = posixpath.basename(line.partition(":")[0])
                found.add(_SUFFIX.sub("", file).replace("-", "_"))
    return found


def declare_settings(delta: Delta, wanted: Sequence[tuple[str, str]]) -> None:
    """Have settings made."""
    if wanted:
        delta.add_file(SETTINGS, "".join(f"{name} = {value}\n" for name, value in wanted).encode())

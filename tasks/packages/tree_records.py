"""What of a tree decides which packages go on top of it, read: whose it is, and what its dpkg says is installed.

The tree's own apt sources, preferences and marks are not asked: packages come from where the recipe or this host says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages.tree_status import TreeStatus
from bootsmith.tasks.tools import os_release
from bootsmith.tasks.tree import installed_kernel

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

STATUS: Final = "var/lib/dpkg/status"
_LARGEST: Final = 64 << 20
"""Bytes of a status file that is still read: that of 10,000 packages has a tenth of it."""
_FIELDS: Final = (
    *("Package", "Status", "Priority", "Essential", "Protected", "Important", "Architecture", "Multi-Arch", "Version"),
    *("Replaces", "Provides", "Depends", "Pre-Depends", "Recommends", "Breaks", "Conflicts", "Installed-Size"),
)
"""What apt goes by as it chooses; all else of a record (files, descriptions) may change.

By its size apt tells whether a package is the one that a list has: without, all would seem to be others.
"""
_SOUND: Final = ("installed", "config-files", "not-installed")
"""States of a package in which nothing is left to be done. Only the first counts."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{0,199}")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MANAGERS: Final = {"apk": "sbin/apk", "dnf": "usr/bin/dnf", "pacman": "usr/bin/pacman", "zypper": "usr/bin/zypper"}


def run(ctx: Context) -> None:
    """Write down the status of the tree."""
    from bootsmith.tasks.packages import tree_status
    from bootsmith.tasks.tree.merged import tree_below

    tree_status.write(ctx.outputs["status"], of(tree_below(ctx)))


def of(tree: Tree) -> TreeStatus:
    """Return the status of a tree."""
    release = os_release.parse(tree.text("etc/os-release") or tree.text("usr/lib/os-release") or "")
    distribution, suite = (_word(release.get(each, "")) for each in ("ID", "VERSION_CODENAME"))
    kernel = bool(installed_kernel.kernels(tree))
    found = TreeStatus(distribution, suite, "", kernel, {})
    try:
        packages = dict(_packages(tree))
    except StageError as error:
        return TreeStatus(**{**asdict(found), "refusal": error.message})
    arch = _field("Architecture", packages.get("dpkg", ""))
    return TreeStatus(distribution, suite, arch, kernel, packages)


def _packages(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield name and record of each package that is installed, sorted. Raises StageError for what cannot be driven."""
    found = _records(_status(tree))
    native = next((arch for name, arch in found if name == "dpkg"), "")
    if not native:
        raise StageError("the tree has dpkg, and no record of the package it came in")
    for (name, arch), kept in sorted(found.items()):
        yield (name if arch in (native, "all") else f"{name}:{arch}"), kept


def _status(tree: Tree) -> str:
    for program in ("usr/bin/apt-get", "usr/bin/dpkg"):
        if not tree.find(program):
            other = next((name for name, path in _MANAGERS.items() if tree.find(path)), None)
            also = f": it is {other}'s, which is not driven from here" if other else ""
            raise StageError(f"the tree has no {program.rpartition('/')[2]}, by which packages are installed{also}")
    entry = tree.find(STATUS)
    if entry is None or entry.type not in ("f", "h") or entry.size > _LARGEST:
        raise StageError(f"the tree has no /{STATUS} that could be read, by which apt tells what is installed")
    return tree.text(STATUS) or ""


def _records(status: str) -> dict[tuple[str, str], str]:
    """Return the records of what is installed, by name and architecture."""
    found = {}
    for record in re.split(r"\n[ \t]*\n", status):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", record, re.MULTILINE))
        if not fields:
            continue
        name, state = fields.get("Package", ""), fields.get("Status", "").rpartition(" ")[2]
        if not _NAME.fullmatch(name):
            raise StageError(f"/{STATUS} of the tree is damaged: {name[:60]!r} is no package")
        if state not in _SOUND:
            raise StageError(f"{name} is {state or 'in no state'} in the tree: its dpkg was interrupted")
        if state == "installed":
            kept = "".join(f"{key}: {' '.join(fields[key].split())}\n" for key in _FIELDS if key in fields)
            found[name, _field("Architecture", kept)] = kept
    return found


def _field(name: str, record: str) -> str:
    said = re.search(rf"^{name}: (.+)$", record, re.MULTILINE)
    return _word(said[1]) if said else ""


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else ""

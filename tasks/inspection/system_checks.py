"""Checks of the system on a disk: names, passwords, keys and services, as the recipe declares them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bootsmith.cache.display import shown
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.system_tree import SystemTree
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.recipe.model.system import System
from bootsmith.tasks.tree import units
from bootsmith.tasks.tree.accounts import Table

_UNITS = b"etc/systemd/system"
_MASKED = b"/dev/null"
_LOCKED = ("*", "!")


def _system(subject: Subject) -> tuple[SystemTree, System]:
    if subject.tree is None:
        raise NotMade("no system on it that can be read")
    if subject.recipe is None or subject.recipe.system == "none":
        raise NotMade("no recipe to declare it" if subject.recipe is None else "the recipe leaves the tree alone")
    return subject.tree, subject.recipe.system


def _exists(tree: SystemTree, path: bytes, *, follow: bool = True) -> bool:
    try:
        tree.find(path, follow=follow)
    except UsageError:
        return False
    return True


def hostname(subject: Subject) -> Iterator[str]:
    """Look at the guest's own name."""
    tree, system = _system(subject)
    found = tree.text(b"etc/hostname").decode("utf-8", "replace").strip()
    yield shown(found)
    if found != system.hostname.partition(".")[0]:
        yield f"!/etc/hostname says {shown(found) or 'nothing'}, the recipe {system.hostname}"


def machine_id(subject: Subject) -> Iterator[str]:
    """Look whether machines would be told apart."""
    tree, system = _system(subject)
    there = _exists(tree, b"etc/machine-id")
    found = tree.text(b"etc/machine-id").decode("utf-8", "replace").strip()
    yield ("empty" if there else "none") if not found else shown(found)
    wanted = "" if system.machine_id in ("empty", "none") else system.machine_id
    if found != wanted or there is (system.machine_id == "none"):
        yield f"!/etc/machine-id is {shown(found) or ('empty' if there else 'not there')}, not {system.machine_id}"


def passwords(subject: Subject) -> Iterator[str]:
    """Look whether users are there, and can log in as they are declared to; root is locked, unless it is declared."""
    tree, system = _system(subject)
    rows = {row[0]: row for row in Table("shadow", tree.text(b"etc/shadow").decode("utf-8", "surrogateescape")).rows}
    if not rows and not system.users:
        raise NotMade("the tree has no /etc/shadow")
    wanted = {"root": "locked", **{name: user.password for name, user in system.users.items()}}
    for name, password in wanted.items():
        if name not in rows:
            if name in system.users:
                yield f"!{name} is not in /etc/shadow"
            continue
        found = _kind(rows[name][1])
        yield f"{name} {found}"
        expected = password if not isinstance(password, Secret) else _kind(password.hash) if password.hash else "set"
        if found != expected:
            yield f"!the password of {name} is {found}, the recipe's {expected}"
    for name, row in rows.items():
        if not row[1] and name not in wanted:
            yield f"!{shown(name)} can log in without a password, and no recipe says so"


def _kind(field: str) -> str:
    """Return what a password's field in /etc/shadow lets its user do."""
    return "empty" if not field else "locked" if field.startswith(_LOCKED) else "set"


def ssh_host_keys(subject: Subject) -> Iterator[str]:
    """Look whether every machine would make host keys of its own."""
    tree, system = _system(subject)
    if system.ssh_host_keys == "keep":
        raise NotMade("the recipe keeps them")
    try:
        names = [name for name, _ in tree.children(tree.find(b"etc/ssh"))]
    except UsageError:
        raise NotMade("no ssh server in it") from None
    yield "made on first boot" if system.ssh_host_keys == "first-boot" else "none"
    for name in names:
        if name.startswith(b"ssh_host_") and name.endswith(b"_key"):
            yield f"!/etc/ssh/{shown(name)} is on the image: every machine would have it"


def services(subject: Subject) -> Iterator[str]:
    """Look whether what is enabled is there, and what the recipe disables and masks is so."""
    if subject.tree is None:
        raise NotMade("no system on it that can be read")
    links = dict(_links(subject.tree))
    declared = subject.recipe is not None and subject.recipe.system != "none"
    if not links and not declared:
        raise NotMade("no unit of systemd is enabled")
    yield f"{len(links)} links of units"
    for path, target in links.items():
        if target != _MASKED and not _exists(subject.tree, path):
            yield f"!/{shown(path)} leads to {shown(target)}, which is not there"
    if subject.recipe is None or subject.recipe.system == "none":
        return
    targets = {os.fsdecode(path.rpartition(b"/")[2]): target for path, target in links.items()}
    asked = subject.recipe.system.services
    yield from (f"!{unit} is not masked" for unit in asked.mask if targets.get(units.full_name(unit)) != _MASKED)
    for unit in asked.disable:
        if targets.get(units.full_name(unit), _MASKED) != _MASKED:
            yield f"!{unit} is enabled, and the recipe disables it"


def _links(tree: SystemTree) -> Iterator[tuple[bytes, bytes]]:
    """Yield the links by which units are enabled, masked or named otherwise, and where they lead."""
    try:
        folder = tree.find(_UNITS)
    except UsageError:
        return
    for name, place in tree.children(folder):
        if place.node.kind == "l":
            yield place.path, place.node.target
        elif place.node.kind == "d" and name.endswith((b".wants", b".requires")):
            yield from ((each.path, each.node.target) for _, each in tree.children(place) if each.node.kind == "l")


CHECKS: dict[str, Check] = {
    "hostname": hostname,
    "machine-id": machine_id,
    "passwords": passwords,
    "ssh-host-keys": ssh_host_keys,
    "services": services,
}

"""Checks of the system on a disk: names, passwords, keys and services, as the recipe declares them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.expectation import ExpectedSystem
from bootsmith.tasks.inspection.system_tree import SystemTree
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.tree import units
from bootsmith.tasks.tree.accounts import Table

_UNITS = b"etc/systemd/system"
_MASKED = b"/dev/null"
_BELOW = (b".wants", b".requires")
_LOCKED = ("*", "!")


def declared(subject: Subject) -> tuple[SystemTree, ExpectedSystem]:
    """Return the system on an image, and what it is declared to be. Raises NotMade where one of them is not there."""
    if subject.tree is None:
        raise NotMade("no system on it that can be read")
    if subject.expected is None or subject.expected.system is None:
        raise NotMade("no recipe to declare it" if subject.expected is None else "the recipe leaves the tree alone")
    return subject.tree, subject.expected.system


def _exists(tree: SystemTree, path: bytes, *, follow: bool = True) -> bool:
    try:
        tree.find(path, follow=follow)
    except UsageError:
        return False
    return True


def hostname(subject: Subject) -> Iterator[str]:
    """Look at the guest's own name."""
    tree, system = declared(subject)
    found = tree.text(b"etc/hostname").decode("utf-8", "replace").strip()
    yield shown(found)
    if found != system.hostname:
        yield f"!/etc/hostname says {shown(found) or 'nothing'}, the recipe {system.hostname}"
    named = [line.split()[1:] for line in tree.text(b"etc/hosts").decode("utf-8", "replace").splitlines()]
    if system.fqdn != system.hostname and not any(system.fqdn in names for names in named):
        yield f"!/etc/hosts does not name {system.fqdn}"


def machine_id(subject: Subject) -> Iterator[str]:
    """Look whether machines would be told apart."""
    tree, system = declared(subject)
    there = _exists(tree, b"etc/machine-id")
    found = tree.text(b"etc/machine-id").decode("utf-8", "replace").strip()
    yield ("empty" if there else "none") if not found else shown(found)
    wanted = "" if system.machine_id in ("empty", "none") else system.machine_id
    if found != wanted or there is (system.machine_id == "none"):
        yield f"!/etc/machine-id is {shown(found) or ('empty' if there else 'not there')}, not {system.machine_id}"


def passwords(subject: Subject) -> Iterator[str]:
    """Look whether users are there, and can log in as they are declared to; root is locked, unless it is declared."""
    tree, system = declared(subject)
    rows = {row[0]: row for row in Table("shadow", tree.text(b"etc/shadow").decode("utf-8", "surrogateescape")).rows}
    if not rows and not system.passwords:
        raise NotMade("the tree has no /etc/shadow")
    wanted = {"root": "locked", **system.passwords}
    for name, expected in wanted.items():
        if name not in rows:
            if name in system.passwords:
                yield f"!{name} is not in /etc/shadow"
            continue
        found = _kind(rows[name][1])
        yield f"{name} {found}"
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
    tree, system = declared(subject)
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
    asked = subject.expected.system if subject.expected else None
    if not links and asked is None:
        raise NotMade("no unit of systemd is enabled")
    yield f"{len(links)} links of units"
    for path, target in links.items():
        if target != _MASKED and not _exists(subject.tree, path) and not _harmless(subject.tree, path, alone=not asked):
            yield f"!/{shown(path)} leads to {shown(target)}, which is not there"
    if asked is None:
        return
    targets = {os.fsdecode(path.rpartition(b"/")[2]): target for path, target in links.items()}
    yield from (f"!{unit} is not masked" for unit in asked.mask if targets.get(units.full_name(unit)) != _MASKED)
    for unit in asked.disable:
        if targets.get(units.full_name(unit), _MASKED) != _MASKED:
            yield f"!{unit} is enabled, and the recipe disables it"


def _harmless(tree: SystemTree, path: bytes, *, alone: bool) -> bool:
    """Tell whether a link of a unit that leads nowhere does no harm.

    Of a link below a target only its name counts, so the unit may be anywhere. What a target merely wants it does
    without: in a foreign image that is nobody's mistake.
    """
    above, _, name = path.rpartition(b"/")
    template, _ = units.template_of(os.fsdecode(name))
    folders = (units.ETC, *units.VENDOR) if above.endswith(_BELOW) else ()
    names = {os.fsencode(f"{folder}/{each}") for folder in folders for each in (os.fsdecode(name), template)}
    return any(_exists(tree, each) for each in names) or (alone and not above.endswith(b".requires"))


def _links(tree: SystemTree) -> Iterator[tuple[bytes, bytes]]:
    """Yield the links by which units are enabled, masked or named otherwise, and where they lead."""
    try:
        folder = tree.find(_UNITS)
    except UsageError:
        return
    for name, place in tree.children(folder):
        if place.node.kind == "l":
            yield place.path, place.node.target
        elif place.node.kind == "d" and name.endswith(_BELOW):
            yield from ((each.path, each.node.target) for _, each in tree.children(place) if each.node.kind == "l")


CHECKS: dict[str, Check] = {
    "hostname": hostname,
    "machine-id": machine_id,
    "passwords": passwords,
    "ssh-host-keys": ssh_host_keys,
    "services": services,
}

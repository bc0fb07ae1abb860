"""Checks of what else is declared of a system: its settings, its accounts, what it does as it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.expectation import ExpectedSystem
from bootsmith.tasks.inspection.system_checks import declared
from bootsmith.tasks.inspection.system_tree import Place, SystemTree
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.tree import (
    autologin,
    first_boot,
    kernel_settings,
    keymaps,
    locales,
    resolver,
    root_growth,
    sudo,
    timezones,
)
from bootsmith.tasks.tree.accounts import Table
from bootsmith.tasks.tree.units import ETC

_STARTS = ("multi-user.target", "local-fs.target")


def _place(tree: SystemTree, path: str, *, follow: bool = True) -> Place | None:
    try:
        return tree.find(os.fsencode(path), follow=follow)
    except UsageError:
        return None


def _text(tree: SystemTree, path: str) -> str:
    return tree.text(os.fsencode(path)).decode("utf-8", "surrogateescape")


def settings(subject: Subject) -> Iterator[str]:
    """Look at the language, time, keyboard, name servers, and what the kernel is told."""
    tree, system = declared(subject)
    found = [line for look in (_locale, _timezone, _keymap, _dns, _kernel) for line in look(tree, system)]
    if not found:
        raise NotMade("the recipe leaves them to the tree")
    yield from found


def _locale(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    if system.locale is not None:
        yield system.locale
        if f"LANG={system.locale}" not in _text(tree, locales.FILE).splitlines():
            yield f"!/{locales.FILE} does not say LANG={system.locale}"


def _timezone(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    if system.timezone is not None:
        yield system.timezone
        link = _place(tree, timezones.LINK, follow=False)
        target = os.fsdecode(link.node.target) if link and link.node.kind == "l" else ""
        by_itself = link is None and system.timezone in timezones.BY_ITSELF
        if target != f"/{timezones.FOLDER}/{system.timezone}" and not by_itself:
            yield f"!/{timezones.LINK} leads to {shown(target) or 'nothing'}, the recipe says {system.timezone}"


def _keymap(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    if system.keymap is not None and system.keymap != keymaps.USUAL:
        yield f"keyboard {system.keymap}"
        words = {f'XKBLAYOUT="{system.keymap}"', f"KEYMAP={system.keymap}"}
        lines = {line for path in (keymaps.DEBIANS, keymaps.SYSTEMDS) for line in _text(tree, path).splitlines()}
        if not words & lines:
            yield f"!neither /{keymaps.DEBIANS} nor /{keymaps.SYSTEMDS} says {system.keymap}"


def _dns(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    if system.dns:
        yield f"name servers {', '.join(system.dns)}"
        said = (_text(tree, resolver.FILE) + _text(tree, resolver.RESOLVED)).replace("=", " ").split()
        yield from (f"!nothing says to ask {server} for names" for server in system.dns if server not in said)


def _kernel(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    yield from (f"module {name}" for name in system.modules)
    listed = _text(tree, kernel_settings.MODULES).split()
    yield from (f"!the module {name} is not to be loaded" for name in system.modules if name not in listed)
    lines = _text(tree, kernel_settings.SETTINGS).splitlines()
    yield from system.sysctl
    for name, value in system.sysctl.items():
        if f"{name} = {value}" not in lines:
            yield f"!{name} is not set to {shown(value)}"


def accounts(subject: Subject) -> Iterator[str]:
    """Look at groups, who is of them, and who may use sudo."""
    tree, system = declared(subject)
    if not (system.groups or system.members or system.sudo):
        raise NotMade("the recipe declares no group, and nobody who may use sudo")
    rows = {row[0]: row for row in Table("group", _text(tree, "etc/group")).rows}
    for name, gid in system.groups.items():
        yield f"group {name}"
        if name not in rows:
            yield f"!there is no group {name}"
        elif gid is not None and rows[name][2] != str(gid):
            yield f"!the group {name} has the number {shown(rows[name][2])}, the recipe's {gid}"
    for user, groups in system.members.items():
        yield f"{user} of {', '.join(groups)}"
        outside = [group for group in groups if group not in rows or user not in rows[group][3].split(",")]
        yield from (f"!{user} is not of the group {group}" for group in outside)
    yield from _sudo(tree, system)


def _sudo(tree: SystemTree, system: ExpectedSystem) -> Iterator[str]:
    for user in system.sudo:
        yield f"{user} by sudo"
        place = _place(tree, sudo.path(user))
        if place is None or not _text(tree, sudo.path(user)).startswith(f"{user} ALL=(ALL:ALL) "):
            yield f"!/{sudo.path(user)} does not let {user} do all"
        elif place.node.mode & 0o022 or place.node.uid:
            yield f"!/{sudo.path(user)} may be written by others, so that sudo passes it over"


def starts(subject: Subject) -> Iterator[str]:
    """Look at what is done as the system starts: a script, logins without a question, a root that grows."""
    tree, system = declared(subject)
    if not (system.first_boot or system.autologin or system.grow):
        raise NotMade("the recipe declares nothing of the kind")
    for wanted, unit, script in (
        (system.first_boot, first_boot.UNIT, first_boot.SCRIPT),
        (system.grow, root_growth.UNIT, root_growth.SCRIPT),
    ):
        if wanted:
            yield unit
            place = _place(tree, script)
            if place is None or not place.node.mode & 0o100:
                yield f"!/{script} is not there, or cannot be executed"
            if not any(_place(tree, f"{ETC}/{target}.wants/{unit}") for target in _STARTS):
                yield f"!{unit} is not started"
    if system.autologin:
        yield "root logged in on consoles"
        if not any("--autologin root" in _text(tree, autologin.path(getty)) for getty in autologin.GETTYS):
            yield "!no console logs root in"


CHECKS: dict[str, Check] = {"settings": settings, "accounts": accounts, "starts": starts}

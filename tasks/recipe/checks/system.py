"""What must hold of `system` as a whole, and with the disk that it lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bootsmith.tasks.recipe.checks.disk import in_order
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

_SERVERS = 3
_READ_ONLY = ("squashfs", "erofs", "vfat", "none")


def _groups(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system == "none":
        return
    numbers = {0: "root"}
    for name, group in recipe.system.groups.items():
        if group.gid is None:
            continue
        if name == "root" and group.gid != 0:
            yield ("system", "groups", name, "gid"), f"root's number is 0, not {group.gid}; remove this line"
        elif numbers.setdefault(group.gid, name) != name:
            what = f"{group.gid} is {numbers[group.gid]}'s number; take another one"
            yield ("system", "groups", name, "gid"), what


def _sudo(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system != "none" and recipe.system.users["root"].sudo:
        yield ("system", "users", "root", "sudo"), "root is root already; remove this line"


def _dns(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system == "none":
        return
    dns = recipe.system.dns
    if len(dns.servers) > _SERVERS:
        yield ("system", "dns", "servers"), f"only the first {_SERVERS} of {len(dns.servers)} are asked; leave out some"
    if dns.search and not dns.servers:
        yield ("system", "dns", "search"), "there is nobody to ask; write system.dns.servers too"


def _grow(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system == "none" or not recipe.system.grow:
        return
    parts = list(recipe.disk.partitions.values())
    root = next((part for part in parts if part.mount == "/"), None)
    if root is None:
        yield ("system", "grow"), "there is no partition mounted at / that could grow; remove this line"
    elif root.fs in _READ_ONLY or "ro" in root.options.split(","):
        yield ("system", "grow"), "a root that is read only cannot grow; remove this line"
    elif root.fs == "btrfs":
        yield ("system", "grow"), "a btrfs is not grown here; remove this line, or have first_boot do it"
    elif recipe.disk.table != "none" and (last := in_order(recipe.disk)[-1][2]) != root.name:
        what = f"only the last partition can grow, and {last} stands behind {root.name}"
        yield ("system", "grow"), f"{what}; write {root.name} behind it, or remove this line"


RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("system", "groups"),), _groups),
    ((("system", "users"),), _sudo),
    ((("system", "dns"),), _dns),
    ((("system", "grow"), ("disk",)), _grow),
)

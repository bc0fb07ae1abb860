"""The stage `layers/system`: what the recipe declares the guest to be, as the last and cheapest layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.recipe.model.disk import NAMELESS, UNLABELLED
from bootsmith.tasks.tree.system_layer import SystemParams
from bootsmith.tasks.tree.users import DeclaredUser

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Layer, Site
    from bootsmith.tasks.recipe.model.disk import Partition
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.system import User


def stage(recipe: Recipe, site: Site, below: Sequence[Layer]) -> Stage:
    """Return the stage that makes the system layer on top of the layers `below`."""
    system, target = recipe.system, site.layer(layer_stack.SYSTEM)
    assert system != "none", "then there is no such layer"
    inputs = layer_stack.inputs(below, tars=True)
    secrets = {}
    for name, user in system.users.items():
        inputs |= {f"{name} key {number}": key for number, key in enumerate(user.ssh_keys) if isinstance(key, Path)}
        if isinstance(user.password, Secret):
            secrets[f"password of {name}"] = user.password
    if system.first_boot is not None:
        inputs["first_boot"] = system.first_boot
    partitions = list(recipe.disk.partitions.values())
    return Stage(
        f"layers/{layer_stack.SYSTEM}",
        "bootsmith.tasks.tree.system_layer:run",
        inputs,
        {"tar": target.tar, "index": target.index},
        SystemParams(
            epoch=site.epoch,
            seed=recipe.seed,
            hostname=system.hostname,
            hosts=tuple(system.hosts.items()),
            dns=(system.dns.servers, system.dns.search),
            locale=system.locale,
            timezone=system.timezone,
            keymap=system.keymap,
            users=tuple((name, _declared(user)) for name, user in system.users.items()),
            groups=tuple((name, group.gid) for name, group in system.groups.items()),
            enable=system.services.enable,
            disable=system.services.disable,
            mask=system.services.mask,
            network=system.network,
            machine_id=system.machine_id,
            ssh_host_keys=system.ssh_host_keys,
            crypttab=crypttab(partitions),
            modules=system.modules,
            sysctl=tuple(system.sysctl.items()),
            first_boot=system.first_boot is not None,
            autologin=system.autologin,
            grow=recipe.disk.table if system.grow else None,
            fstab=None if system.fstab == "none" else fstab(partitions, system.fstab),
            resume="" if system.fstab == "none" else _resume(partitions),
            mounts=tuple(sorted(part.mount for part in partitions if part.mount)),
        ).to_json(),
        secrets=secrets,
        doc="hostname, users, services, network, fstab and what else is declared",
    )


def _declared(user: User) -> DeclaredUser:
    password = user.password
    return DeclaredUser(
        password=password if isinstance(password, str) else "hash" if password.hash else "secret",
        ssh_keys=tuple(key if isinstance(key, str) else None for key in user.ssh_keys),
        uid=user.uid,
        groups=user.groups,
        shell=user.shell,
        home=user.home,
        sudo=user.sudo,
    )


def fstab(partitions: Iterable[Partition], by: str) -> str:
    """Return /etc/fstab for the partitions that are mounted, named by `by`: uuid, partuuid or label."""
    rows = [["# device", "mount", "type", "options", "dump", "pass"]]
    listed = [*partitions]
    mounted = [part for part in listed if part.mount and part.fs != "none"]
    ordered = sorted(mounted, key=lambda part: str(part.mount).strip("/").split("/"))
    ordered += [part for part in listed if part.fs == "swap"]
    rows += ([_escaped(field) for field in _row(part, by)] for part in ordered)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(field.ljust(width) for field, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def crypttab(partitions: Iterable[Partition]) -> str:
    """Return /etc/crypttab for the partitions that are encrypted; nothing where none is.

    One that the system comes up without does not hold its boot up.
    """
    lines = []
    for part in partitions:
        if part.encrypt:
            late = ",nofail" if "nofail" in part.options.split(",") else ""
            root = ",initramfs" if part.mount == "/" else ""
            lines.append(f"{part.mapper} UUID={part.encrypt.uuid} none luks{root}{late}\n")
    return "".join(lines)


def _resume(partitions: Iterable[Partition]) -> str:
    """Return where a system that hibernated is kept: the largest swap in clear, known when nothing is unlocked yet."""
    found = [part for part in partitions if part.fs == "swap" and not part.encrypt]
    largest = max(found, key=lambda part: part.size if isinstance(part.size, int) else 0, default=None)
    return f"UUID={largest.uuid}" if largest else ""


def _row(part: Partition, by: str) -> list[str]:
    """Return the fields of a line. What is under a layer in memory was mounted when that was laid over it."""
    if part.overlay == "memory":
        return ["overlay", str(part.mount), "overlay", "defaults", "0", "0"]
    where = part.mount or "none"
    if part.mapped:
        return [part.mapped, where, part.fs, part.options, "0", str(part.fsck_pass)]
    by = "partuuid" if part.fs in NAMELESS else "uuid" if by == "label" and part.fs in UNLABELLED else by
    name = {"uuid": part.uuid, "partuuid": part.partuuid, "label": part.label}[by]
    return [f"{by.upper()}={name}", where, part.fs, part.options, "0", str(part.fsck_pass)]


def _escaped(field: str) -> str:
    """Return a field as fstab(5) wants it: white space in octal."""
    return "".join(f"\\{ord(sign):03o}" if sign in " \t\n\\" else sign for sign in field)

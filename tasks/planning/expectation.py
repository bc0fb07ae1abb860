"""What of a recipe can be read back from its image. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot import grub, syslinux
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.disk.partition_types import MBR_TYPES, TYPES
from bootsmith.tasks.inspection.expectation import Expected, ExpectedMenu, ExpectedPartition, ExpectedSystem
from bootsmith.tasks.planning import placement
from bootsmith.tasks.recipe.loaders.kinds import KINDS, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsmith.tasks.recipe.model.disk import Partition
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.system import System

_LOCKS = ("*", "!")


def expected(recipe: Recipe) -> Expected:
    """Return what a recipe's image is to be."""
    disk, boot, verify = recipe.disk, recipe.boot, recipe.verify
    least = None if verify == "off" else verify.min_free
    found = boot.loader if boot.removable != "no" else ()
    return Expected(
        table=disk.table,
        id=disk.id if disk.table != "none" else "",
        sector=disk.sector if disk.table == "gpt" else 512,
        partitions=tuple(_partition(each, disk.table, least) for each in disk.partitions.values() if each.in_table),
        loaders=tuple((name, KINDS[name].firmware) for name in found if KINDS[name].firmware != "direct"),
        direct=served(boot.loader) == ["direct"],
        menu=set(boot.loader) <= KINDS.keys(),
        menus=tuple(dict.fromkeys(each for name in boot.loader for each in _menus(recipe, name))),
        inits={name: entry.initrd in ("auto", "none") for name, entry in boot.entries.items()},
        system=None if recipe.system == "none" else _system(recipe.system),
        skip=() if verify == "off" else verify.skip,
    )


def _menus(recipe: Recipe, loader: str) -> Iterator[ExpectedMenu]:
    """Yield where a loader looks for entries; of a user's own nobody knows."""
    mounts, esp, active = placement.mounted(recipe.disk), placement.esp(recipe.disk), placement.active(recipe.disk)
    kernels = placement.placement(recipe).partition
    if loader == "systemd-boot":
        for partition in filter(None, (esp, kernels)):
            yield ExpectedMenu("systemd-boot", partition, "loader/entries")
            yield ExpectedMenu("efistub", partition, "EFI/Linux")
    elif loader == "efistub":
        yield from (ExpectedMenu("efistub", esp, folder) for folder in ("EFI/Linux", "EFI/BOOT"))
    elif loader in ("grub-efi", "grub-bios"):
        yield ExpectedMenu("grub", kernels, grub.folder(mounts.get(kernels, "")))
    elif loader == "syslinux":
        yield ExpectedMenu("syslinux", active, syslinux.folder(mounts.get(active, "")))


def _partition(part: Partition, table: str, least: int | None) -> ExpectedPartition:
    names = {guid: name for name, guid in TYPES.items()}
    number = f"0x{int(MBR_TYPES.get(part.type, part.type), 16):02x}" if table == "mbr" else ""
    return ExpectedPartition(
        name=part.name,
        fs=f"LUKS{part.encrypt.luks}" if part.encrypt else part.fs,
        size=part.size if isinstance(part.size, int) and table != "none" else None,
        start=part.start if table != "none" else None,
        type=number or names.get(part.type, part.type),
        gpt_name=part.gpt_name,
        partuuid=part.partuuid,
        uuid=part.encrypt.uuid if part.encrypt else part.uuid,
        inner=(part.fs, part.uuid) if part.encrypt else None,
        active=part.active,
        mount=part.mount,
        free=_free(part, least),
    )


def _free(part: Partition, least: int | None) -> int | None:
    """Return what is to be left in a partition: more than `extra` promises is asked of a root alone."""
    if part.mount != "/" or least is not None:
        return max(part.extra, least or 0) if part.mount == "/" else part.extra
    return part.extra if part.extra or part.size == "auto" else None


def _system(system: System) -> ExpectedSystem:
    return ExpectedSystem(
        hostname=system.hostname.partition(".")[0],
        fqdn=system.hostname,
        machine_id=system.machine_id,
        passwords={name: _password(user.password) for name, user in system.users.items()},
        sudo=tuple(name for name, user in system.users.items() if user.sudo),
        groups={name: group.gid for name, group in system.groups.items()},
        members={name: user.groups for name, user in system.users.items() if user.groups},
        ssh_host_keys=system.ssh_host_keys,
        disable=system.services.disable,
        mask=system.services.mask,
        dns=system.dns.servers,
        locale=system.locale,
        timezone=system.timezone,
        keymap=system.keymap,
        modules=system.modules,
        sysctl=system.sysctl,
        first_boot=system.first_boot is not None,
        autologin=system.autologin,
        grow=system.grow,
    )


def _password(said: str | Secret) -> str:
    """Return what a password lets its user do: a hash that nothing matches locks."""
    if isinstance(said, str):
        return said
    return "locked" if (said.hash or "").startswith(_LOCKS) else "set"

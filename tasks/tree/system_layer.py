"""The system: what the recipe declares the guest to be, as the last and cheapest layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import Together
from bootsmith.tasks.tree import hosts
from bootsmith.tasks.tree.users import DeclaredUser

if TYPE_CHECKING:
    from bootsmith.tasks.tree.delta import Delta
    from bootsmith.tasks.tree.units import Units


INITRAMFS_TOOLS: Final = "etc/initramfs-tools"


@dataclass(frozen=True)
class SystemParams(Params):
    """What is declared, None where the tree's own stays.

    `hosts` are names with their addresses, `dns` servers and domains, `mounts` the directories that partitions need;
    `grow` is the table of a disk whose root is to grow, `resume` the device with a hibernated system, or "".
    """

    epoch: int
    seed: str
    hostname: str
    hosts: tuple[tuple[str, str], ...]
    dns: tuple[tuple[str, ...], tuple[str, ...]]
    locale: str | None
    timezone: str | None
    keymap: str | None
    users: tuple[tuple[str, DeclaredUser], ...]
    groups: tuple[tuple[str, int | None], ...]
    enable: tuple[str, ...]
    disable: tuple[str, ...]
    mask: tuple[str, ...]
    network: str
    machine_id: str
    ssh_host_keys: str
    crypttab: str
    modules: tuple[str, ...]
    sysctl: tuple[tuple[str, str], ...]
    first_boot: bool
    autologin: bool
    grow: str | None
    fstab: str | None
    resume: str
    mounts: tuple[str, ...]


def run(ctx: Context) -> None:
    """Write the layer. Raises StageError that names all the tree lacks."""
    from bootsmith.tasks.tree import (
        autologin,
        first_boot,
        installed_identities,
        kernel_settings,
        keymaps,
        locales,
        root_growth,
        ssh_host_keys,
        timezones,
        users,
    )
    from bootsmith.tasks.tree.delta import Delta
    from bootsmith.tasks.tree.merged import tree_below

    params = SystemParams.of(ctx)
    with Delta(ctx, tree_below(ctx), "system", params.epoch) as delta:
        _name(params, delta)
        _machine_id(params.machine_id, delta)
        installed_identities.declare(delta)
        kernel_settings.declare_settings(delta, params.sysctl)
        together = Together()
        with together:
            users.declare(ctx, delta, params.users, params.groups, epoch=params.epoch, seed=params.seed)
        with together:
            ssh_host_keys.declare_host_keys(delta, params.ssh_host_keys)
        with together:
            locales.declare(delta, params.locale)
        with together:
            timezones.declare(delta, params.timezone)
        with together:
            keymaps.declare(delta, params.keymap)
        with together:
            kernel_settings.declare_modules(delta, params.modules)
        with together:
            first_boot.declare(delta, ctx.inputs["first_boot"] if params.first_boot else None)
        with together:
            autologin.declare(delta, wanted=params.autologin)
        with together:
            root_growth.declare(delta, params.grow)
        with together:
            _services(params, delta)
        together.settle()
        if params.fstab is not None:
            delta.add_file("etc/fstab", params.fstab.encode())
        if params.crypttab:
            delta.add_file("etc/crypttab", params.crypttab.encode(), 0o600)
        if params.resume and delta.tree.find(INITRAMFS_TOOLS):
            delta.add_file(f"{INITRAMFS_TOOLS}/conf.d/resume", f"RESUME={params.resume}\n".encode())
        for mount in params.mounts:
            delta.make_directory(mount)


# -- names


def _name(params: SystemParams, delta: Delta) -> None:
    name = params.hostname
    delta.add_file("etc/hostname", f"{name.partition('.')[0]}\n".encode())
    text = hosts.with_names(delta.tree.text("etc/hosts"), name, params.hosts)
    delta.add_file("etc/hosts", text.encode("utf-8", "surrogateescape"))


def _machine_id(wanted: str, delta: Delta) -> None:
    if wanted == "none":
        delta.remove("etc/machine-id")
    else:
        delta.add_file("etc/machine-id", b"" if wanted == "empty" else f"{wanted}\n".encode(), 0o444)


# -- services


def _services(params: SystemParams, delta: Delta) -> None:
    from bootsmith.tasks.tree.network import Network, network
    from bootsmith.tasks.tree.resolver import name_servers
    from bootsmith.tasks.tree.units import ETC, Units

    units = Units(delta.tree)
    wanted = Network()
    together = Together()
    with together:
        wanted = network(delta.tree, params.network)
        name_servers(delta.tree, wanted, params.network, *params.dns)
    with together:
        _refuse(params, units)
    together.settle()
    for path, text in wanted.files.items():
        delta.add_file(path, text.encode("utf-8", "surrogateescape"), wanted.modes.get(path, 0o644))
    links = dict(wanted.links)
    for name in [*wanted.enable, *params.enable]:
        links |= units.enable(name)
    for name in [*params.disable, *params.mask]:
        for path in units.disable(name):
            links.pop(path, None)
            delta.remove(path)
    links |= {units.mask(name): "/dev/null" for name in params.mask}
    for path, target in links.items():
        delta.add_link(path, target)
    if params.machine_id == "none" and params.disable:
        # Without that file systemd takes the boot for the first one, and enables all that no preset speaks of.
        lines = [f"disable {units.find(name).name}\n" for name in params.disable]
        delta.add_file(f"{ETC}-preset/00-declared.preset", "".join(lines).encode())


def _refuse(params: SystemParams, units: Units) -> None:
    """Refuse all units that cannot be had as they are declared, at once. Raises StageError."""
    together = Together()
    acts = ((units.enable, params.enable), (units.disable, params.disable), (units.mask, params.mask))
    for act, name in ((act, name) for act, names in acts for name in names):
        with together:
            act(name)
    together.settle()


# -- fstab

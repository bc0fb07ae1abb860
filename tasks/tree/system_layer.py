"""The system: what the recipe declares the guest to be, as the last and cheapest layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bootsmith.tasks.build.stage import Context

if TYPE_CHECKING:
    from bootsmith.tasks.tree.delta import Delta


_HOSTS: Final = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def run(ctx: Context) -> None:
    """Write the layer."""
    from bootsmith.tasks.tree import ssh_host_keys, users
    from bootsmith.tasks.tree.delta import Delta
    from bootsmith.tasks.tree.merged import tree_below

    with Delta(ctx, tree_below(ctx), "system") as delta:
        _name(ctx, delta)
        _machine_id(ctx, delta)
        users.declare(ctx, delta)
        ssh_host_keys.declare_host_keys(delta, str(ctx.params["ssh_host_keys"]))
        _services(ctx, delta)
        if ctx.params["fstab"] is not None:
            delta.add_file("etc/fstab", str(ctx.params["fstab"]).encode())
        for mount in _list(ctx, "mounts"):
            delta.make_directory(mount)


def _list(ctx: Context, name: str) -> list[Any]:
    found = ctx.params[name]
    assert isinstance(found, list), "stage() wrote it"
    return found


# -- names


def _name(ctx: Context, delta: Delta) -> None:
    name = str(ctx.params["hostname"])
    delta.add_file("etc/hostname", f"{name.partition('.')[0]}\n".encode())
    text = hosts(delta.tree.text("etc/hosts"), name, _list(ctx, "hosts"))
    delta.add_file("etc/hosts", text.encode("utf-8", "surrogateescape"))


def hosts(text: str | None, hostname: str, further: Iterable[Sequence[str]]) -> str:
    """Return /etc/hosts: what a layer brought, else the usual lines, with the guest's own name and further ones.

    `further` are pairs of name and address. A host name with dots is the full one; its first part goes by itself too.
    """
    own = f"127.0.1.1\t{hostname}" + (f" {hostname.partition('.')[0]}" if "." in hostname else "")
    lines = [line for line in (text or _HOSTS).splitlines() if line.split()[:1] != ["127.0.1.1"]]
    place = next((number for number, line in enumerate(lines, 1) if line.split()[:1] == ["127.0.0.1"]), 0)
    lines[place:place] = [own]
    return "\n".join([*lines, *(f"{address}\t{name}" for name, address in further)]) + "\n"


def _machine_id(ctx: Context, delta: Delta) -> None:
    wanted = str(ctx.params["machine_id"])
    if wanted == "none":
        delta.remove("etc/machine-id")
    else:
        delta.add_file("etc/machine-id", b"" if wanted == "empty" else f"{wanted}\n".encode(), 0o444)


# -- services


def _services(ctx: Context, delta: Delta) -> None:
    from bootsmith.tasks.tree.network import network
    from bootsmith.tasks.tree.units import ETC, Units

    units = Units(delta.tree)
    wanted = network(delta.tree, str(ctx.params["network"]))
    for path, text in wanted.files.items():
        delta.add_file(path, text.encode())
    links = dict(wanted.links)
    for name in [*wanted.enable, *_list(ctx, "enable")]:
        links |= units.enable(name)
    disabled, masked = _list(ctx, "disable"), _list(ctx, "mask")
    for name in [*disabled, *masked]:
        for path in units.disable(name):
            links.pop(path, None)
            delta.remove(path)
    links |= {units.mask(name): "/dev/null" for name in masked}
    for path, target in links.items():
        delta.add_link(path, target)
    if ctx.params["machine_id"] == "none" and disabled:
        # Without that file systemd takes the boot for the first one, and enables all that no preset speaks of.
        lines = [f"disable {units.find(name).name}\n" for name in disabled]
        delta.add_file(f"{ETC}-preset/00-declared.preset", "".join(lines).encode())


# -- fstab

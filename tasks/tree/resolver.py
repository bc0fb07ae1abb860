"""Name servers that the recipe names: whoever asks for addresses is told to leave them alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.network import Network, present
from bootsmith.tasks.tree.units import ETC

FILE: Final = "etc/resolv.conf"
RESOLVED: Final = "etc/systemd/resolved.conf.d/declared.conf"
_WIRED: Final = "etc/systemd/network/89-wired.network"
_MANAGER: Final = "etc/NetworkManager/conf.d/90-declared-dns.conf"
_DHCLIENT: Final = "etc/dhcp/dhclient-enter-hooks.d/declared-dns"
_DHCPCD: Final = "etc/dhcpcd.conf"
_WRITERS: Final = ("resolv-conf.service", "resolv-conf.path")
_CLIENTS: Final = {"dhclient": ("sbin/dhclient",), "dhcpcd": ("sbin/dhcpcd", "usr/sbin/dhcpcd")}
_KEPT: Final = "[DHCPv4]\nUseDNS=no\n\n[DHCPv6]\nUseDNS=no\n\n[IPv6AcceptRA]\nUseDNS=no\n"


def name_servers(tree: Tree, found: Network, wanted: str, servers: Sequence[str], search: Sequence[str]) -> None:
    """Add to a network what makes names be resolved as declared. Raises StageError where somebody would undo it."""
    if not servers:
        if search:
            raise StageError("system.dns: domains to search, and nobody to ask", "Write system.dns.servers, too.")
        return
    chosen = present(tree, wanted)
    if "systemd-resolved.service" in found.enable or tree.resolve(FILE).startswith("run/systemd/resolve/"):
        lines = ["[Resolve]", f"DNS={' '.join(servers)}", f"Domains={' '.join([*search, '~.'])}"]
        found.files[RESOLVED] = "".join(f"{line}\n" for line in lines)
    else:
        _by_file(found, servers, search)
    if _WIRED in found.files:
        found.files[_WIRED] += f"\n{_KEPT}"
    if chosen == "ifupdown":
        _tell_clients(tree, found)
    if tree.find("usr/sbin/NetworkManager") or tree.find("usr/bin/NetworkManager"):
        found.files[_MANAGER] = "[main]\ndns=none\nrc-manager=unmanaged\n"


def _by_file(found: Network, servers: Sequence[str], search: Sequence[str]) -> None:
    """Write the file, in the place of a link, and leave out the units that would write it."""
    found.links.pop(FILE, None)
    for unit in _WRITERS:
        found.files.pop(f"{ETC}/{unit}", None)
        found.links.pop(f"{ETC}/multi-user.target.wants/{unit}", None)
    lines = [*(f"nameserver {server}" for server in servers), *([f"search {' '.join(search)}"] if search else [])]
    found.files[FILE] = "".join(f"{line}\n" for line in lines)


def _tell_clients(tree: Tree, found: Network) -> None:
    """Tell DHCP clients to leave the file alone, each in its own words."""
    there = [name for name, paths in _CLIENTS.items() if any(map(tree.find, paths))]
    if not there:
        raise StageError(
            "system.dns: the tree's DHCP client writes /etc/resolv.conf by itself, and cannot be told not to",
            "Add the package dhcpcd-base or isc-dhcp-client, or choose another system.network.",
        )
    if "dhclient" in there:
        found.files[_DHCLIENT] = "make_resolv_conf() { :; }\n"
    if "dhcpcd" in there:
        found.files[_DHCPCD] = (tree.text(_DHCPCD) or "") + "nohook resolv.conf\n"

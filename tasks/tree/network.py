"""How the guest gets its addresses: by DHCP on every wired link, through what its tree has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.units import ETC

# Through /lib and /sbin, which are links where /usr is merged and directories where it is not.
_NETWORKD: Final = "lib/systemd/systemd-networkd"
_RESOLVED: Final = "lib/systemd/systemd-resolved"
_IFUP: Final = "sbin/ifup"
_NETWORK_MANAGER: Final = ("usr/sbin/NetworkManager", "usr/bin/NetworkManager")
_NETPLAN: Final = ("usr/sbin/netplan", "usr/bin/netplan")
_DHCP_CLIENTS: Final = ("sbin/dhclient", "sbin/dhcpcd", "usr/sbin/dhcpcd", "sbin/udhcpc", "bin/busybox")

_WIRED: Final = """\
[Match]
Type=ether
Name=en* eth*

[Network]
DHCP=yes
"""
# Without systemd-resolved nobody writes down the name servers that networkd was told of. ($$: systemd's own $.)
_WRITER: Final = """\
[Unit]
Description=Write the name servers that systemd-networkd was told of to /etc/resolv.conf
After=systemd-networkd.service
ConditionPathExists=/run/systemd/netif/state

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'while IFS== read -r key value; do \
    case $$key in \
    DNS) for server in $$value; do echo "nameserver $$server"; done ;; \
    DOMAINS) echo "search $$value" ;; \
    esac; \
    done </run/systemd/netif/state >/run/resolv.conf.new && mv /run/resolv.conf.new /run/resolv.conf'

[Install]
WantedBy=multi-user.target
"""
_WATCHER: Final = """\
[Unit]
Description=Watch for name servers that systemd-networkd is told of

[Path]
PathChanged=/run/systemd/netif/state

[Install]
WantedBy=multi-user.target
"""
_PLANNED: Final = "etc/netplan/90-wired.yaml"
_PLAN: Final = """\
network:
  version: 2
  renderer: {renderer}
  ethernets:
    wired:
      match: {{name: "e*"}}
      dhcp4: true
      dhcp6: true
"""
_INTERFACES: Final = """\
auto lo
iface lo inet loopback

source /etc/network/interfaces.d/*
"""
_IFUPDOWN: Final = """\
auto /en*=wired
auto /eth*=wired
iface wired inet dhcp
"""


@dataclass(slots=True)
class Network:
    """What to add to the tree: files and links by path, units to enable that the tree has."""

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    enable: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    """Of files that not everybody may read."""


def network(tree: Tree, wanted: str) -> Network:
    """Return what makes the guest ask for addresses; `wanted` is the recipe's system.network. Raises StageError.

    Asked to choose, we take ifupdown where it is installed with a DHCP client (nobody gets it unasked), leave the tree
    to netplan or NetworkManager where one is, and else take systemd-networkd. What layers brought for it stays.
    """
    known = {
        "networkd": _by_networkd,
        "networkmanager": _by_network_manager,
        "ifupdown": _by_ifupdown,
        "netplan": _by_netplan,
    }
    chosen = present(tree, wanted)
    return known[chosen](tree) if chosen in known else Network()


def present(tree: Tree, wanted: str) -> str:
    """Return who asks for addresses: what is wanted, or of "auto" what the tree has; "none" for nobody of ours."""
    if wanted != "auto":
        return wanted
    if tree.find(_IFUP) and any(tree.find(client) for client in _DHCP_CLIENTS):
        return "ifupdown"
    if has_one(tree, _NETPLAN) and _renderer(tree):
        return "netplan"
    if has_one(tree, _NETWORK_MANAGER) or not tree.find(_NETWORKD):
        return "none"
    return "networkd"


def has_one(tree: Tree, paths: tuple[str, ...]) -> bool:
    """Tell whether one of some programs is in a tree."""
    return any(tree.find(path) for path in paths)


def _by_network_manager(tree: Tree) -> Network:
    """Have NetworkManager started: a wired link without a profile it asks an address for by itself."""
    if not has_one(tree, _NETWORK_MANAGER):
        raise StageError(
            "system.network: NetworkManager is not in the tree",
            "Add the package network-manager, or choose another network.",
        )
    return Network(enable=["NetworkManager.service"])


def _renderer(tree: Tree) -> str:
    """Return who does what netplan says, "" for nobody."""
    return "networkd" if tree.find(_NETWORKD) else "NetworkManager" if has_one(tree, _NETWORK_MANAGER) else ""


def _by_netplan(tree: Tree) -> Network:
    if not has_one(tree, _NETPLAN):
        raise StageError(
            "system.network: netplan is not in the tree", "Add the package netplan.io, or choose another network."
        )
    renderer = _renderer(tree)
    if not renderer:
        raise StageError(
            "system.network: netplan needs systemd-networkd or NetworkManager, and the tree has neither",
            "Add the package systemd or network-manager, or choose another network.",
        )
    found = _by_networkd(tree) if renderer == "networkd" else _by_network_manager(tree)
    found.files = {path: text for path, text in found.files.items() if not path.startswith("etc/systemd/network/")}
    if not any(name.endswith(".yaml") for name in tree.names("etc/netplan")):
        found.files[_PLANNED] = _PLAN.format(renderer=renderer)
        found.modes[_PLANNED] = 0o600  # netplan complains of any other
    return found


def _by_networkd(tree: Tree) -> Network:
    if not tree.find(_NETWORKD):
        raise StageError(
            "system.network: networkd is not in the tree", "Add the package systemd, or choose another network."
        )
    found = Network(enable=["systemd-networkd.service"])
    # The first file that matches counts: 89 is behind what layers bring, by the numbers people use.
    found.files["etc/systemd/network/89-wired.network"] = _WIRED
    if tree.link("etc/resolv.conf"):  # a layer's, or a link that systemd-resolved's package made
        return found
    if tree.find(_RESOLVED):
        found.links["etc/resolv.conf"] = "../run/systemd/resolve/stub-resolv.conf"
        found.enable.append("systemd-resolved.service")
        return found
    found.links["etc/resolv.conf"] = "../run/resolv.conf"
    for unit, text in (("resolv-conf.service", _WRITER), ("resolv-conf.path", _WATCHER)):
        found.files[f"{ETC}/{unit}"] = text
        found.links[f"{ETC}/multi-user.target.wants/{unit}"] = f"/{ETC}/{unit}"
    return found


def _by_ifupdown(tree: Tree) -> Network:
    if not tree.find(_IFUP):
        raise StageError("system.network: ifupdown is not in the tree", "Add the package ifupdown, or choose another.")
    if not any(tree.find(client) for client in _DHCP_CLIENTS):
        raise StageError(
            "system.network: ifupdown needs a DHCP client, and the tree has none",
            "Add the package dhcpcd-base or isc-dhcp-client, or set system.network to networkd or none.",
        )
    found = Network()
    interfaces = tree.text("etc/network/interfaces")
    if interfaces is None:
        found.files["etc/network/interfaces"] = _INTERFACES
    if not tree.names("etc/network/interfaces.d") and not _names_an_interface(interfaces or ""):
        found.files["etc/network/interfaces.d/wired"] = _IFUPDOWN
    return found


def _names_an_interface(text: str) -> bool:
    lines = (line.split() for line in text.splitlines())
    return any(words[:1] == ["iface"] and words[1:2] != ["lo"] for words in lines)

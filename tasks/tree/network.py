"""How the guest gets its addresses and name servers: by DHCP on every wired link, through what its tree has."""

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


def network(tree: Tree, wanted: str) -> Network:
    """Return what makes the guest ask for addresses; `wanted` is the recipe's system.network. Raises StageError.

    Asked to choose, we take ifupdown where it is installed with a DHCP client (nobody gets it unasked), leave the tree
    to NetworkManager where that is, and else take systemd-networkd. What layers brought for it stays as it is.
    """
    chosen = _present(tree) if wanted == "auto" else wanted
    if chosen == "networkd":
        return _by_networkd(tree)
    if chosen == "ifupdown":
        return _by_ifupdown(tree)
    return Network()


def _present(tree: Tree) -> str:
    if tree.find(_IFUP) and any(tree.find(client) for client in _DHCP_CLIENTS):
        return "ifupdown"
    if tree.find("usr/sbin/NetworkManager") or not tree.find(_NETWORKD):
        return "none"
    return "networkd"


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

"""How the guest gets its addresses, by what its tree has."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError

from tests.support.tar_members import Member, member
from tests.support.tree_build import TreeBuild, text

UNIT = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
NETWORKD: Mapping[str, bytes | Member] = {
    "./usr/lib/systemd/systemd-networkd": b"elf",
    f"./{UNIT}/systemd-networkd.service": b"[Install]\nWantedBy=multi-user.target\n",
}
RESOLVED: Mapping[str, bytes | Member] = {
    "./usr/lib/systemd/systemd-resolved": b"elf",
    f"./{UNIT}/systemd-resolved.service": b"[Install]\nWantedBy=sysinit.target\n",
}
IFUPDOWN: Mapping[str, bytes | Member] = {"./usr/sbin/ifup": b"elf", "./usr/sbin/dhcpcd": b"elf"}
INTERFACES = "etc/network/interfaces"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    return TreeBuild(tmp_path, monkeypatch)


def test_networkd_asks_on_every_wired_link(build: TreeBuild) -> None:
    """With systemd-networkd, a file matches wired links only, and the service is enabled."""
    build.base(NETWORKD)
    tree = build.tree("")
    assert text(tree, "etc/systemd/network/89-wired.network").split() == [
        "[Match]", "Type=ether", "Name=en*", "eth*", "[Network]", "DHCP=yes",
    ]  # fmt: skip
    assert tree.link(f"{ETC}/multi-user.target.wants/systemd-networkd.service")


def test_name_servers_are_written_down_without_resolved(build: TreeBuild) -> None:
    """Without systemd-resolved, units of ours write /etc/resolv.conf from what networkd was told."""
    build.base(NETWORKD)
    tree = build.tree("")
    link = tree.link("etc/resolv.conf")
    assert link is not None
    assert link.link == "../run/resolv.conf"
    for unit in ("resolv-conf.path", "resolv-conf.service"):
        assert tree.resolve(f"{ETC}/multi-user.target.wants/{unit}") == f"{ETC}/{unit}"
        assert tree.find(f"{ETC}/{unit}")


def test_the_writer_of_name_servers_writes(build: TreeBuild, tmp_path: Path) -> None:
    """The unit's own command turns networkd's state into nameserver and search lines."""
    build.base(NETWORKD)
    unit = text(build.tree(""), f"{ETC}/resolv-conf.service").replace("\\\n", " ")
    (line,) = (each for each in unit.splitlines() if each.startswith("ExecStart="))
    command = line.split("'")[1].replace("$$", "$").replace("/run/", f"{tmp_path}/")
    state = tmp_path / "systemd/netif/state"
    state.parent.mkdir(parents=True)
    state.write_text("# private\nOPER_STATE=routable\nDNS=192.0.2.1 2001:db8::1\nDOMAINS=example.org lan\n")
    subprocess.run(["sh", "-c", command], check=True)
    expected = "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch example.org lan\n"
    assert (tmp_path / "resolv.conf").read_text() == expected


def test_resolved_is_used_where_it_is(build: TreeBuild) -> None:
    """With systemd-resolved in the tree, resolv.conf leads to its stub and it is enabled."""
    build.base({**NETWORKD, **RESOLVED})
    tree = build.tree("")
    link = tree.link("etc/resolv.conf")
    assert link is not None
    assert link.link == "../run/systemd/resolve/stub-resolv.conf"
    assert tree.link(f"{ETC}/sysinit.target.wants/systemd-resolved.service")
    assert tree.find(f"{ETC}/resolv-conf.service") is None


def test_a_layers_resolv_conf_stays(build: TreeBuild) -> None:
    """Name servers that a layer brought are nobody else's business."""
    build.base(NETWORKD)
    tree = build.tree("layers: [files: {/etc/resolv.conf: {content: mine}}]")
    assert text(tree, "etc/resolv.conf") == "mine"
    assert tree.find(f"{ETC}/resolv-conf.service") is None


def test_ifupdown_is_used_where_it_is_installed(build: TreeBuild) -> None:
    """ifupdown with a DHCP client goes before networkd, which every Debian has: somebody asked for it."""
    build.base({**NETWORKD, **IFUPDOWN})
    tree = build.tree("")
    assert text(tree, INTERFACES).endswith("source /etc/network/interfaces.d/*\n")
    assert "iface wired inet dhcp" in text(tree, f"{INTERFACES}.d/wired")
    assert tree.find("etc/systemd/network/89-wired.network") is None


@pytest.mark.parametrize(
    "more", [{f"./{INTERFACES}": b"auto eth0\niface eth0 inet static\n"}, {f"./{INTERFACES}.d/x": b"y"}]
)
def test_interfaces_of_somebodys_own_stay(more: Mapping[str, bytes], build: TreeBuild) -> None:
    """Interfaces that a layer configures are not configured a second time."""
    build.base({**IFUPDOWN, **more})
    assert build.tree("").find(f"{INTERFACES}.d/wired") is None


def test_ifupdown_without_a_client_is_not_chosen(build: TreeBuild) -> None:
    """ifupdown that could not ask for an address is passed over where networkd can."""
    build.base({**NETWORKD, "./usr/sbin/ifup": b"elf"})
    assert build.tree("").find("etc/systemd/network/89-wired.network")


@pytest.mark.parametrize(
    "more", [{}, {"./usr/sbin/NetworkManager": b"elf", **NETWORKD}], ids=["nothing", "NetworkManager"]
)
def test_a_tree_is_left_alone(more: Mapping[str, bytes | Member], build: TreeBuild) -> None:
    """A tree without a network program, or with NetworkManager, which asks by itself, gets nothing."""
    build.base(more)
    build.tree("")
    assert not any(
        path.startswith(("etc/systemd/network", "etc/network", "etc/resolv")) for path in build.added("system")
    )


def test_none_is_none(build: TreeBuild) -> None:
    """`network: none` adds nothing even where it could."""
    build.base(NETWORKD)
    assert build.tree("system: {network: none}").link("etc/resolv.conf") is None


@pytest.mark.parametrize(
    ("wanted", "more", "what"),
    [
        ("networkd", {}, "networkd is not in the tree"),
        ("ifupdown", {}, "ifupdown is not in the tree"),
        ("ifupdown", {"./usr/sbin/ifup": b"elf"}, "ifupdown needs a DHCP client"),
    ],
)
def test_what_the_tree_lacks_is_refused(wanted: str, more: Mapping[str, bytes], what: str, build: TreeBuild) -> None:
    """A network the recipe names and the tree cannot have is an error that names the package."""
    build.base(more)
    with pytest.raises(StageError, match=what):
        build.tree(f"system: {{network: {wanted}}}")


def test_unmerged_trees_are_known(build: TreeBuild) -> None:
    """Where /lib and /sbin are directories of their own, programs are found there."""
    tree_of_old = {
        "./etc/group": b"root:x:0:\n",
        "./etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
        "./lib/systemd/system/systemd-networkd.service": b"[Install]\nWantedBy=x.target\n",
        "./lib/systemd/systemd-networkd": b"elf",
        "./sbin/": member("d"),
    }
    build.base(tree_of_old, only=True)
    tree = build.tree("")
    link = tree.link(f"{ETC}/x.target.wants/systemd-networkd.service")
    assert link is not None
    assert link.link == "/lib/systemd/system/systemd-networkd.service"

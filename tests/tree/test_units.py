"""systemd's units as links: the same that systemctl makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError

from tests.support.tar_members import Member, member
from tests.support.tree_build import TreeBuild

UNIT = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
UNITS: Mapping[str, bytes | Member] = {
    f"./{UNIT}/ssh.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n",
    f"./{UNIT}/net.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n"
    b"RequiredBy=a.target b.target\nAlso=net.socket absent.service\n",
    f"./{UNIT}/net.socket": b"[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\n",
    f"./{UNIT}/tty@.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
    f"./{UNIT}/per@.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=per-%i.target\nAlias=also@%i.service\n",
    f"./{UNIT}/static.service": b"[Service]\nExecStart=/x\n",
    f"./{UNIT}/reset.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=no.target\nWantedBy=\n"
    b"; WantedBy=comment.target\nWantedBy=one.target \\\n two.target\n",
    f"./{ETC}/sshd.service": member("l", linkname=f"/{UNIT}/ssh.service"),
    f"./{ETC}/multi-user.target.wants/ssh.service": member("l", linkname=f"/{UNIT}/ssh.service"),
    f"./{ETC}/multi-user.target.wants/net.service": member("l", linkname="/lib/systemd/system/gone.service"),
    f"./{ETC}/own.service": b"[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n",
    f"./{ETC}/off.service": member("l", linkname="/dev/null"),
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    made.base(UNITS)
    return made


def links(build: TreeBuild, services: str) -> dict[str, str]:
    """Return the links below /etc/systemd/system once these services are declared."""
    tree = build.tree(f"system: {{services: {services}, network: none}}")
    return {
        path.removeprefix(f"{ETC}/"): entry.link
        for path, (_, entry) in tree.entries.items()
        if entry.type == "l" and path.startswith(f"{ETC}/")
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ssh", {"sshd.service": "ssh.service", "multi-user.target.wants/ssh.service": "ssh.service"}),
        (
            "net.service",
            {
                "multi-user.target.wants/net.service": "net.service",
                "a.target.requires/net.service": "net.service",
                "b.target.requires/net.service": "net.service",
                "sockets.target.wants/net.socket": "net.socket",
            },
        ),
        ("net.socket", {"sockets.target.wants/net.socket": "net.socket"}),
        ("tty@.service", {"getty.target.wants/tty@tty1.service": "tty@.service"}),
        ("tty@ttyS0.service", {"getty.target.wants/tty@ttyS0.service": "tty@.service"}),
        ("per@x", {"also@x.service": "per@.service", "per-x.target.wants/per@x.service": "per@.service"}),
        (
            "reset",
            {"one.target.wants/reset.service": "reset.service", "two.target.wants/reset.service": "reset.service"},
        ),
    ],
)
def test_enabling_is_what_systemctl_does(name: str, expected: dict[str, str], build: TreeBuild) -> None:
    """The links are those that `systemctl enable` makes: wants, requires, aliases, instances, what is enabled along."""
    before = links(build, "{}")
    after = links(build, f"{{enable: [{name}]}}")
    assert after == before | {path: f"/{UNIT}/{target}" for path, target in expected.items()}


def test_a_unit_below_etc_is_enabled_there(build: TreeBuild) -> None:
    """A unit of the administrator's own is linked to where it is."""
    assert links(build, "{enable: [own]}")["multi-user.target.wants/own.service"] == f"/{ETC}/own.service"


def test_a_dangling_link_is_replaced(build: TreeBuild) -> None:
    """V12: a link that leads nowhere is replaced by one to the unit that is enabled."""
    assert links(build, "{enable: [net]}")["multi-user.target.wants/net.service"] == f"/{UNIT}/net.service"


def test_disabling_removes_the_links(build: TreeBuild) -> None:
    """A disabled unit is wanted by nothing and has no alias any more; by an alias it can be named too."""
    for name in ("ssh", "sshd.service"):
        found = links(build, f"{{disable: [{name}]}}")
        assert "multi-user.target.wants/ssh.service" not in found
        assert "sshd.service" not in found


def test_masking(build: TreeBuild) -> None:
    """A masked unit leads to /dev/null, and is not enabled either."""
    found = links(build, "{mask: [ssh, static]}")
    assert (found["ssh.service"], found["static.service"]) == ("/dev/null", "/dev/null")
    assert "multi-user.target.wants/ssh.service" not in found


def test_an_alias_to_come_is_known(build: TreeBuild) -> None:
    """A unit may be named by the alias it gets when it is enabled."""
    build.base({**UNITS, f"./{ETC}/sshd.service": member("l", linkname="nowhere")})
    assert links(build, "{enable: [sshd]}")["multi-user.target.wants/ssh.service"] == f"/{UNIT}/ssh.service"


@pytest.mark.parametrize(
    ("services", "what"),
    [
        ("{enable: [shh]}", r"no unit shh\.service: did you mean ssh\.service"),
        ("{disable: [nett]}", r"no unit nett\.service: did you mean net\.service"),
        ("{enable: [static]}", "static.service cannot be enabled"),
        ("{enable: [per@.service]}", "per@.service is a template"),
        ("{enable: [off]}", "off.service is masked in the tree"),
        ("{mask: [own]}", "own.service cannot be masked: its own file is /etc"),
    ],
)
def test_what_cannot_be_done_is_refused(services: str, what: str, build: TreeBuild) -> None:
    """Unknown units get near names; static, masked and template units say why they cannot be enabled."""
    with pytest.raises(StageError, match=what):
        links(build, services)


def test_all_that_cannot_be_done_is_said_at_once(build: TreeBuild) -> None:
    """Not one unit a run, each after a build of what is below."""
    with pytest.raises(StageError) as refused:
        links(build, "{enable: [xyz, ssh, static], disable: [uvw], mask: [own]}")
    said = refused.value.message.splitlines()
    assert [line.partition(":")[2].split()[:6] for line in said] == [
        ["the", "tree", "has", "no", "unit", "xyz.service:"],
        ["static.service", "cannot", "be", "enabled:", "it", "says"],
        ["the", "tree", "has", "no", "unit", "uvw.service:"],
        ["own.service", "cannot", "be", "masked:", "its", "own"],
    ]


def test_a_layer_may_bring_a_unit(build: TreeBuild) -> None:
    """A unit that an overlay brings can be enabled by the recipe."""
    tree = build.tree("""
layers: [files: {/lib/systemd/system/mine.service: {content: "[Install]\\nWantedBy=multi-user.target\\n"}}]
system: {services: {enable: [mine]}}
""")
    link = tree.link(f"{ETC}/multi-user.target.wants/mine.service")
    assert link is not None
    assert link.link == f"/{UNIT}/mine.service"


def test_disabled_stays_disabled_on_a_first_boot(build: TreeBuild) -> None:
    """Without a machine-id file systemd enables by presets on first boot: what is disabled is preset so."""
    tree = build.tree("system: {services: {disable: [ssh]}, machine_id: none, network: none}")
    assert tree.text("etc/systemd/system-preset/00-declared.preset") == "disable ssh.service\n"
    assert tree.find("etc/machine-id") is None

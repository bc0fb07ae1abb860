"""Mirrors: chosen from a recipe or from a host's apt sources, with what reaching them needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import mirrors
from bootsmith.tasks.packages.mirrors import Source

ONE_LINE = """\
# a comment
deb http://mirror.example/debian bookworm main contrib # end
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian bookworm-updates main
deb http://security.example/debian-security bookworm-security main
deb cdrom:[Debian 12]/ bookworm main
"""
DEB822 = """\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main
"""
STRANGERS = """\
deb https://apt.example.com bookworm main
deb https://download.example.com/linux/debian bookworm stable
deb https://packages.example.com/apt cloud-sdk-bookworm main
deb https://deb.example.com/node_20.x nodistro main
"""


def host(etc: Path, one_line: str = "", deb822: str = "") -> Path:
    """Write a host's apt sources."""
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "sources.list").write_text(one_line)
    (etc / "sources.list.d/debian.sources").write_text(deb822)
    return etc


@pytest.mark.parametrize(
    ("one_line", "deb822", "security"),
    [
        (ONE_LINE, "", "http://security.example/debian-security"),
        ("", DEB822, "http://mirror.example/debian-security"),
        (STRANGERS, DEB822, "http://mirror.example/debian-security"),
    ],
    ids=["one-line", "deb822", "among strangers"],
)
def test_the_hosts_own_mirror_is_found(one_line: str, deb822: str, security: str, tmp_path: Path) -> None:
    """Both styles of source files name the mirrors; third parties' sources, source packages and CDs are passed over."""
    found = mirrors.find(None, etc=host(tmp_path / "apt", one_line, deb822), settings={})
    assert found.uris == {
        "main": ("http://mirror.example/debian",),
        "updates": ("http://mirror.example/debian",),
        "security": (security,),
    }


def test_a_mirror_by_another_path_is_known_by_its_updates(tmp_path: Path) -> None:
    """A mirror whose path does not say debian counts when it has an `-updates` suite, as only Debian's have."""
    lines = "deb http://local.example/apt trixie main\n"
    with pytest.raises(StageError):
        mirrors.find(None, etc=host(tmp_path / "one", lines), settings={})
    lines += "deb http://local.example/apt trixie-updates main\n"
    found = mirrors.find(None, etc=host(tmp_path / "two", lines), settings={})
    assert found.uris["main"] == ("http://local.example/apt",)


def test_the_recipes_mirror_comes_first(tmp_path: Path) -> None:
    """A recipe's mirror is the only one for main; its sibling is asked for security before the host's."""
    etc = host(tmp_path / "apt", ONE_LINE)
    found = mirrors.find("http://own.example/debian/", ["http://x.example"], etc=etc, settings={})
    assert found.uris["main"] == ("http://own.example/debian/",)
    assert found.uris["security"] == (
        "http://own.example/debian-security",
        "http://security.example/debian-security",
    )
    assert found.uris["extra1"] == ("http://x.example",)


def test_without_any_mirror_the_key_is_named(tmp_path: Path) -> None:
    """A host that is no Debian must be told which key to set."""
    with pytest.raises(StageError) as caught:
        mirrors.find(None, etc=host(tmp_path / "apt", STRANGERS), settings={})
    assert "source.debian.mirror" in caught.value.hint


def test_a_missing_source_file_is_no_error(tmp_path: Path) -> None:
    """Hosts have either file, both, or none."""
    assert list(mirrors.host_sources(tmp_path / "nothing")) == []


def test_options_of_one_line_entries_are_passed_over() -> None:
    """Bracketed options, comments and odd spacing do not confuse an entry."""
    assert list(mirrors.one_line("deb   [ trusted=yes ]   file:///m/debian   sid   main  non-free-firmware#x\n")) == [
        Source("file:///m/debian", "sid", ("main", "non-free-firmware"))
    ]


@pytest.mark.parametrize(
    ("suite", "security", "expected"),
    [
        ("trixie", True, {"main": "trixie", "updates": "trixie-updates", "security": "trixie-security"}),
        ("trixie", False, {"main": "trixie", "updates": "trixie-updates"}),
        ("buster", True, {"main": "buster", "updates": "buster-updates", "security": "buster/updates"}),
        ("sid", True, {"main": "sid"}),
    ],
)
def test_suites_have_their_repositories(suite: str, security: bool, expected: dict[str, str]) -> None:
    """Releases have updates and security archives, by the names of their time; unstable has neither."""
    assert mirrors.roles(suite, security=security) == expected


DUMP = """\
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::near.example "DIRECT";
Acquire::https::CAInfo "/etc/ca.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages "";
Acquire::Languages:: "none";
APT::Install-Recommends "1";
"""


def test_only_what_reaches_a_mirror_is_taken_from_apt() -> None:
    """Of the host's apt settings, proxies and certificates count, and leniency only for the host's own mirror."""
    settings = mirrors.parse_settings(DUMP)
    theirs = mirrors.reach(settings, own_mirror=False)
    assert set(theirs) == {
        "Acquire::http::Proxy", "Acquire::http::Proxy::near.example", "Acquire::https::CAInfo",
    }  # fmt: skip
    assert set(mirrors.reach(settings, own_mirror=True)) - set(theirs) == {"Acquire::Check-Valid-Until"}


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("http://far.example/x", {}, "http://proxy.example:3128"),
        ("https://far.example/x", {}, "http://proxy.example:3128"),
        ("http://near.example/x", {}, None),
        ("http://far.example/x", {"http_proxy": "http://other"}, "http://proxy.example:3128"),
    ],
)
def test_apts_proxy_is_taken(url: str, environ: dict[str, str], expected: str | None) -> None:
    """apt's own proxy goes before the environment's, and its exception for one host before that."""
    assert mirrors.proxies(mirrors.parse_settings(DUMP), environ)(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://far.example/x", "http://env"),
        ("https://far.example/x", None),
        ("http://a.spared.example/x", None),
        ("http://notspared.example/x", "http://env"),
    ],
)
def test_the_environments_proxy_is_taken(url: str, expected: str | None) -> None:
    """Without apt's, the environment's proxy counts, but for the hosts it spares."""
    environ = {"http_proxy": "http://env", "no_proxy": "localhost, .spared.example"}
    assert mirrors.proxies({}, environ)(url) == expected

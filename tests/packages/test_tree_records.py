"""What of a tree decides which packages go on top of it, read from trees that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.packages import tree_records
from bootsmith.tasks.packages.tree_status import TreeStatus
from bootsmith.tasks.tree import foreign_tar
from bootsmith.tasks.tree.merged import Tree

from tests.support.tar_members import Member, member, write_tar

RELEASE = b"ID=debian\nVERSION_CODENAME=trixie\n"
DPKG = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22\n"
APT = """\
Package: apt
Status: install ok installed
Installed-Size: 4000
Architecture: amd64
Version: 3.0
Depends: libapt (>= 3),
 gpgv
Conffiles:
 /etc/apt/apt.conf 0123
Description: a manager
 of packages
"""
GONE = "Package: old\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
FOREIGN = "Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2\n"
PROGRAMS: Mapping[str, bytes | Member] = {
    "./usr/bin/apt-get": member(data=b"x", mode=0o755),
    "./usr/bin/dpkg": member(data=b"x", mode=0o755),
}


def status(folder: Path, text: str, more: Mapping[str, bytes | Member] = PROGRAMS) -> TreeStatus:
    tree = {"./etc/os-release": RELEASE, "./var/lib/dpkg/status": text.encode("utf-8", "surrogateescape"), **more}
    write_tar(folder / "x.tar", tree)
    foreign_tar.index(folder / "x.tar", folder / "x.index")
    return tree_records.of(Tree([folder / "x.index"], [folder / "x.tar"]))


def test_what_apt_goes_by_is_kept(tmp_path: Path) -> None:
    """Fields that apt reads, of what is installed; a package of another architecture is told apart."""
    found = status(tmp_path, f"{APT}\n{GONE}\n{DPKG}\n{FOREIGN}")
    assert (found.distribution, found.suite, found.arch, found.kernel, found.refusal) == (
        "debian", "trixie", "amd64", False, "",
    )  # fmt: skip
    assert list(found.packages) == ["apt", "dpkg", "libc6:i386"]
    assert found.packages["apt"] == (
        "Package: apt\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0\nDepends: libapt (>= 3), gpgv\n"
        "Installed-Size: 4000\n"
    )
    assert "Status: hold ok installed\n" in found.packages["libc6:i386"]


def test_what_cannot_alter_a_choice_is_not_there(tmp_path: Path) -> None:
    """V2: order, settings files and descriptions may change, and other files of the tree."""
    first = status(tmp_path, f"{APT}\n{DPKG}")
    other = f"{DPKG}\n\n{APT.replace('0123', '4567').replace('of packages', 'of debs')}\n{GONE}"
    assert status(tmp_path, other, {**PROGRAMS, "./etc/apt/sources.list": b"deb x y z\n"}) == first


@pytest.mark.parametrize("text", [f"{APT}\n{DPKG}".replace("3.0", "3.1"), f"{APT}\n{DPKG}\n{FOREIGN}", DPKG])
def test_what_can_is(text: str, tmp_path: Path) -> None:
    """V2: a version, a package more, a package less."""
    assert status(tmp_path, text) != status(tmp_path, f"{APT}\n{DPKG}")


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        (DPKG, {}, "the tree has no apt-get, by which packages are installed"),
        (DPKG, {"./sbin/apk": b"x"}, "it is apk's, which is not driven from here"),
        ("", PROGRAMS, "the tree has dpkg, and no record of the package it came in"),
        (APT.replace("ok installed", "ok half-configured"), PROGRAMS, "apt is half-configured in the tree"),
        (APT.replace("apt", "../etc"), PROGRAMS, "'../etc' is no package"),
        ("Package: a\udcff\n", PROGRAMS, "is no package"),
        (
            DPKG,
            {**PROGRAMS, "./var/lib/dpkg/status": member("l", linkname="/nowhere")},
            "the tree has no /var/lib/dpkg",
        ),
    ],
)
def test_a_tree_that_cannot_take_packages(
    text: str, more: Mapping[str, bytes | Member], why: str, tmp_path: Path
) -> None:
    """V14: no package manager, one that is not driven, or was interrupted, records that are none: with the reason."""
    found = status(tmp_path, text, more)
    assert why in found.refusal
    assert found.packages == {}

"""What packages make for one machine is in no image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.tree import installed_identities
from bootsmith.tasks.tree.installed_identities import IDENTITIES, Identity

from tests.support.tar_members import member
from tests.support.tree_build import TreeBuild

PEM = "-----BEGIN {}PRIVATE KEY-----\nMIIE\n-----END\n"


def write(top: Path, path: str, text: str = "x\n") -> Path:
    """Write a file of a toy tree."""
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def cleaned(top: Path) -> list[str]:
    """Take the identities out of a tree; return what is said."""
    removed, named = top.parent / "removed 'it's", top.parent / "named"
    script = installed_identities.removal(removed, named)
    done = subprocess.run(["sh", "-c", script, "sh", top], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return installed_identities.told(removed.read_text(), named.read_text())


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda each: each.package)
def test_what_a_package_makes_is_removed_by_its_path(identity: Identity, tmp_path: Path) -> None:
    """Each file of it, whatever it says; a file beside it stays, and the package is named."""
    top = tmp_path / "tree"
    files = [write(top, pattern.replace("*", "rsa")) for pattern in identity.files]
    beside = write(top, f"{files[0].parent.relative_to(top)}/another")
    (said,) = cleaned(top)
    assert not [file for file in files if file.exists()]
    assert beside.exists()
    for file in files:
        assert f"/{file.relative_to(top)} ({identity.package})" in said
    assert said.endswith(": made as it was installed, for one machine: not in the image")


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_found_by_what_it_says(kind: str, tmp_path: Path) -> None:
    """In /etc and /var/lib; one that a package brings as a file is the same everywhere anyhow, and stays."""
    top = tmp_path / "tree"
    made = [write(top, f"{path}", "# a key\n" + PEM.format(kind)) for path in ("etc/a/odd name.key", "var/lib/x/k")]
    shipped = write(top, "etc/a/example.key", PEM.format(kind))
    public = write(top, "etc/a/public.pem", "-----BEGIN PUBLIC KEY-----\n")
    write(top, "var/lib/dpkg/info/a:amd64.list", "/etc\n/etc/a\n/etc/a/example.key\n")
    large = write(top, "var/lib/x/data", PEM.format(kind) + "x" * (2 << 20))
    (said,) = cleaned(top)
    assert not [file for file in made if file.exists()]
    assert all(file.exists() for file in (shipped, public, large))
    assert said.startswith("/etc/a/odd name.key, /var/lib/x/k: ")


def test_links_stay_for_what_is_made_anew(tmp_path: Path) -> None:
    """But for the one that is called by a hash of what it leads to; a machine-id that is a link is nobody's own."""
    top = tmp_path / "tree"
    key = write(top, "etc/ssl/private/ssl-cert-snakeoil.key")
    write(top, "etc/ssl/certs/ssl-cert-snakeoil.pem")
    hashed = top / "etc/ssl/certs/0a1b2c3d.0"
    hashed.symlink_to("ssl-cert-snakeoil.pem")
    links = [top / "etc/xrdp/key.pem", top / "var/lib/dbus/machine-id"]
    for link, target in zip(links, ("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/machine-id"), strict=True):
        link.parent.mkdir(parents=True)
        link.symlink_to(target)
    cleaned(top)
    assert not key.exists()
    assert not hashed.is_symlink()
    assert all(link.is_symlink() for link in links)


def test_what_holds_data_is_named(tmp_path: Path) -> None:
    """A data base has an identity too, which goes with all that is in it: it is said, and left."""
    file = write(tmp_path / "tree", "var/lib/postgresql/15/main/global/pg_control")
    (said,) = cleaned(tmp_path / "tree")
    assert said.startswith("/var/lib/postgresql/15/main/global/pg_control (postgresql): ")
    assert "the same on every machine of this image" in said
    assert file.exists()


def test_a_tree_without_any_is_as_it_was(tmp_path: Path) -> None:
    """And nothing is said, of an empty tree too."""
    (tmp_path / "tree").mkdir()
    assert cleaned(tmp_path / "tree") == []
    write(tmp_path / "tree", "etc/motd", "PRIVATE KEY\n")
    assert cleaned(tmp_path / "tree") == []


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    return TreeBuild(tmp_path, monkeypatch)


MAKERS = [each for each in IDENTITIES if each.program]
PROGRAM = member(data=b"#!/bin/sh\n", mode=0o755)


@pytest.mark.parametrize("identity", MAKERS, ids=lambda each: each.package)
def test_it_is_made_on_first_boot(identity: Identity, build: TreeBuild, tmp_path: Path) -> None:
    """By the package's own program, once, before any service; systemd finds nothing wrong with the unit."""
    build.base({f"./{identity.program}": PROGRAM})
    tree = build.tree("")
    name = f"make-{identity.package}-identity.service"
    unit = tree.text(f"etc/systemd/system/{name}") or ""
    assert f"ConditionPathExists=!/{identity.files[0]}\n" in unit
    assert tree.find(f"etc/systemd/system/basic.target.wants/{name}") is not None
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    command = line.removeprefix("ExecStart=/bin/sh -c '").removesuffix("'").replace("$$", "$")
    assert "'" not in command
    subprocess.run(["sh", "-n", "-c", command], check=True)
    if shutil.which("systemd-analyze"):
        (tmp_path / name).write_text(unit.replace("User=munge\n", ""))
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert [row for row in done.stderr.splitlines() if name in row] == []


def test_one_is_made_after_the_other(build: TreeBuild) -> None:
    """Two that ask debconf at once failed: it takes one at a time."""
    build.base({f"./{each.program}": PROGRAM for each in MAKERS})
    tree, before = build.tree(""), "sysinit.target"
    for each in MAKERS:
        name = f"make-{each.package}-identity.service"
        assert f"After={before}\n" in (tree.text(f"etc/systemd/system/{name}") or "")
        before += f" {name}"


def test_what_is_there_is_not_made(build: TreeBuild) -> None:
    """A key that a layer brings is meant; where there is no program for it, or no systemd, there is no unit."""
    build.base({"./usr/sbin/mungekey": PROGRAM, "./etc/munge/munge.key": b"mine"})
    tree = build.tree("")
    assert [name for name in tree.names("etc/systemd/system") if name.startswith("make-")] == []

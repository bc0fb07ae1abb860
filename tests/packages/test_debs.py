"""Debian package files: read, unpacked beforehand, and put up as a repository; compared with dpkg-deb."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import debs
from bootsmith.tasks.packages.lockfile import Package

from tests.support.debian_archive import deb, full

FIELDS = {"Package": "tool", "Version": "1:1.0", "Depends": "lib"}
FILES = {"usr/share/tool/big": b"0123456789" * 300_000, "usr/share/tool/odd": b"odd"}


def unknown(_: Path) -> bytes:
    raise AssertionError("Python can unpack it")


@pytest.mark.parametrize("pack", ["none", "gz", "xz"])
def test_the_control_file_is_read(pack: str, tmp_path: Path) -> None:
    """The fields of a package are read however its control part is packed."""
    path = tmp_path / "tool.deb"
    path.write_bytes(deb(FIELDS, pack=pack))
    assert debs.control(path) == "".join(f"{name}: {value}\n" for name, value in full(FIELDS).items()).encode()


def test_what_python_cannot_unpack_is_left_to_others(tmp_path: Path) -> None:
    """A control part packed by zstd is no error here: the caller asks dpkg-deb."""
    path = tmp_path / "tool.deb"
    path.write_bytes(deb(FIELDS, pack="xz").replace(b"control.tar.xz ", b"control.tar.zst"))
    assert debs.control(path) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a package",
        deb(FIELDS)[:100],
        deb(FIELDS)[:300],
        deb(FIELDS).replace(b"control.tar.xz", b"kontrol.tar.xz"),
        deb(FIELDS)[:8] + b"debian-binary".ljust(48) + b"-60".ljust(10) + b"`\n" + deb(FIELDS)[68:],
    ],
    ids=["empty", "noise", "cut in a header", "cut in the control part", "no control part", "a size below nothing"],
)
def test_what_is_no_package_is_refused(data: bytes, tmp_path: Path) -> None:
    """Damage is an error naming the file, never a traceback."""
    path = tmp_path / "broken.deb"
    path.write_bytes(data)
    with pytest.raises(StageError, match=r"broken\.deb is not a Debian package"):
        debs.control(path)


@pytest.mark.parametrize("pack", ["gz", "xz"])
def test_a_control_part_is_not_unpacked_without_end(pack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may unpack to any number: more than any package's control part is refused."""
    path = tmp_path / "broken.deb"
    path.write_bytes(deb(FIELDS, pack=pack))
    monkeypatch.setattr(debs, "_LARGEST", 1000)
    with pytest.raises(StageError, match="larger than any"):
        debs.control(path)


@pytest.mark.parametrize("pack", ["none", "gz", "xz"])
def test_a_loosened_package_is_the_same_package(pack: str, tmp_path: Path) -> None:
    """Unpacked beforehand, a package has the same fields and the same files, by dpkg's own reading."""
    tight, loose = tmp_path / "tight.deb", tmp_path / "loose.deb"
    tight.write_bytes(deb(FIELDS, pack=pack, data=FILES))
    debs.loosen(tight, loose)
    for option in ("--field", "--contents", "--fsys-tarfile", "--ctrl-tarfile"):
        one, other = (
            subprocess.run(["dpkg-deb", option, each], capture_output=True, check=True) for each in (tight, loose)
        )
        assert one.stdout == other.stdout
        assert other.stderr == b""
    if pack == "xz":
        assert b"data.tar.xz" not in loose.read_bytes()


def test_a_cut_package_is_not_loosened(tmp_path: Path) -> None:
    """A package that ends early is an error."""
    path = tmp_path / "broken.deb"
    path.write_bytes(deb(FIELDS, data=FILES)[:-400])
    with pytest.raises(StageError, match=r"broken\.deb is not a Debian package"):
        debs.loosen(path, tmp_path / "loose.deb")


def locked(data: bytes, fields: dict[str, str]) -> Package:
    arch = full(fields)["Architecture"]
    return Package(
        fields["Package"], fields["Version"], arch, "main", True, len(data), hashlib.sha256(data).hexdigest(), "x"
    )


def test_a_repository_has_exactly_what_it_is_given(tmp_path: Path) -> None:
    """The lists name every package with the size and hash of the file beside them, in the order given."""
    given = []
    for name in ("zebra", "ant"):
        fields = {"Package": name, "Version": "1"}
        data = deb(fields, data=FILES)
        path = tmp_path / f"{name}.deb"
        path.write_bytes(data)
        given.append((locked(data, fields), path))
    folder = tmp_path / "repository"
    debs.write_repository(folder, "trixie", given, unknown)
    stanzas = (folder / "Packages").read_text().split("\n\n")
    assert [stanza.split("\n")[2] for stanza in stanzas] == ["Package: zebra", "Package: ant"]
    for stanza in stanzas:
        about = dict(line.split(": ", 1) for line in stanza.strip().splitlines())
        file = folder / about["Filename"]
        assert file.stat().st_size == int(about["Size"])
        assert hashlib.sha256(file.read_bytes()).hexdigest() == about["SHA256"]
    assert "Codename: trixie" in (folder / "Release").read_text()


def test_an_unreadable_control_part_is_asked_for(tmp_path: Path) -> None:
    """Where Python cannot unpack the fields, those that the caller finds are listed."""
    data = deb(FIELDS).replace(b"control.tar.xz ", b"control.tar.zst")
    path = tmp_path / "tool.deb"
    path.write_bytes(data)
    debs.write_repository(tmp_path / "r", "trixie", [(locked(data, FIELDS), path)], lambda _: b"Package: tool\n")
    assert (tmp_path / "r/Packages").read_text().startswith("Package: tool\nFilename: ./")

"""A Containerfile becomes a disk that boots: built offline, and again only for what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.host_tree import programs
from tests.support.project import dodo, doit
from tests.support.tar_members import member, write_tar

RECIPE = """\
source: {container: {file: app/Containerfile, images: {"base:1": base.tar}}}
system: {hostname: box, network: none}
boot: {loader: syslinux, cmdline: a=b}
disk: {partitions: {boot: {fs: vfat, size: 64M, mount: /boot/syslinux, active: true}, root: {mount: /, extra: 8M}}}
outputs: [raw]
"""
FILE = """\
FROM base:1
COPY vmlinuz-1 initrd.img-1 /boot/
RUN echo "built $(cat /boot/initrd.img-1 | wc -c)" >/etc/motd; ln -s ../bin/sh /usr/sbin/init
"""


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A project with a Containerfile, and a tree that it begins with."""
    (tmp_path / "app").mkdir()
    for name, data in {
        "dodo.py": dodo("box.yaml").encode(),
        "box.yaml": RECIPE.encode(),
        "app/Containerfile": FILE.encode(),
        "app/.containerignore": b"*.o\nContainerfile\n",
        "app/vmlinuz-1": tiny_kernel.kernel(),
        "app/initrd.img-1": tiny_kernel.INITRD,
    }.items():
        (tmp_path / name).write_bytes(data)
    folders = {f"{name}/": member("d") for name in ("boot", "etc", "usr", "usr/sbin", "usr/bin", "usr/lib")}
    links = {name: member("l", linkname=f"usr/{name}") for name in ("bin", "sbin", "lib")}
    accounts = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "etc/group": b"root:x:0:\n"}
    accounts["etc/shadow"] = b"root:*:20000:0:99999:7:::\n"
    write_tar(tmp_path / "base.tar", {**folders, **links, **accounts, **programs("sh", "cat", "wc", "ln")})
    return tmp_path


def built(said: str) -> set[str]:
    """Return the stages that a build made."""
    rows = [line.split() for line in said.splitlines()]
    return {row[1] for row in rows if row and row[0] == "built"}


@pytest.mark.boot
def test_a_containerfile_becomes_a_disk_that_boots(top: Path) -> None:
    """A1, A5, A22: SYSLINUX starts the container's kernel; an edit makes what depends on it, and no more."""
    assert {"rootfs/context", "rootfs", "layers/container", "assemble"} <= built(doit(top, "image"))
    disk = top / "build/box/box.raw"
    heard = tiny_kernel.serial_of(disk, top / "serial.log")
    assert " a=b" in heard
    assert f"; initrd: {tiny_kernel.shown(tiny_kernel.INITRD)}" in heard
    assert f"built {len(tiny_kernel.INITRD)}" in doit(top, "cat", "/etc/motd")
    before = disk.read_bytes()
    (top / "app/ignored.o").write_text("x")
    assert built(doit(top, "image")) == {"rootfs/context"}, "what is ignored made something again"
    (top / "app/Containerfile").write_text(FILE.replace("built", "made"))
    assert "rootfs" in built(doit(top, "image"))
    assert "made" in doit(top, "cat", "/etc/motd")
    (top / "app/Containerfile").write_text(FILE)
    doit(top, "image")
    assert disk.read_bytes() == before


def test_an_image_that_nobody_named_is_told(top: Path) -> None:
    """In words, with what makes such a file."""
    (top / "app/Containerfile").write_text("FROM debian:12\n")
    said = doit(top, "image", status=1)
    assert "begins with debian:12, and which bytes that is nobody said" in said
    assert "podman save" in said
    assert "Traceback" not in said


def test_a_containerfile_at_the_projects_top(top: Path) -> None:
    """What is built there is no part of what it is built of: it is fresh, until what it takes is edited (A1)."""
    for file in (top / "app").iterdir():
        file.rename(top / file.name)
    (top / ".containerignore").write_text("box.yaml\ndodo.py\n*.o\nbase.tar\nContainerfile\n")
    source = RECIPE.splitlines()[0].replace("app/", "")
    (top / "box.yaml").write_text(f"{source}\nsystem: none\nboot: {{kernel: none}}\noutputs: [tar]\n")
    cache = str(top.parent / "cache")
    assert {"rootfs/context", "rootfs", "convert/tar"} <= built(doit(top, "image", BOOTSMITH_CACHE=cache))
    assert not built(doit(top, "image", BOOTSMITH_CACHE=cache))
    (top / "more").write_text("more")
    assert built(doit(top, "image", BOOTSMITH_CACHE=cache)) >= {"rootfs/context"}

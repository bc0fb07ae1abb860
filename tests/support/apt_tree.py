"""A tree with this host's own apt and dpkg, in which packages can be installed."""

from __future__ import annotations

from pathlib import Path

from tests.support.host_tree import programs
from tests.support.tar_members import Member, member

PROGRAMS = (
    *("sh", "cat", "chmod", "cp", "diff", "grep", "ls", "mkdir", "rm", "tar", "touch", "ldconfig", "start-stop-daemon"),
    *("apt-get", "apt-mark", "dpkg", *(f"dpkg-{each}" for each in ("deb", "divert", "query", "split", "trigger"))),
    *(f"/usr/lib/apt/methods/{each}" for each in ("copy", "file", "store")),
)


def host_files(*patterns: str) -> dict[str, bytes | Member]:
    """Return files of this host that its programs need beside libraries."""
    paths = [path for pattern in patterns for path in Path("/").glob(pattern) if path.is_file()]
    return {f".{path}": member(data=path.read_bytes(), mode=0o755) for path in sorted(paths)}


def installed(name: str) -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0\n"
        f"Maintainer: Nobody <nobody@example.org>\nDescription: {name}\n\n"
    )


def debian() -> dict[str, bytes | Member]:
    """Return a tree with apt and dpkg of this host, and two packages installed."""
    needed = {f"./{path}/": member("d") for path in (
        "boot", "run", "tmp", "var/lib/apt", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/dpkg/parts",
        "var/log/apt", "var/cache/apt", "etc/dpkg/dpkg.cfg.d", "usr/share/doc", "usr/lib/old",
    )}  # fmt: skip
    return {
        **programs(*PROGRAMS),
        **host_files("usr/share/dpkg/*table"),
        **needed,
        "./var/lib/dpkg/status": (installed("old") + installed("conf")).encode(),
        "./var/lib/dpkg/info/format": b"1\n",
        "./var/lib/dpkg/info/old.list": b"/.\n/usr\n/usr/lib\n/usr/lib/old\n/usr/lib/old/file\n",
        "./var/lib/dpkg/info/conf.list": b"/.\n/etc\n/etc/motd\n",
        "./var/lib/dpkg/available": b"",
        "./var/lib/dpkg/diversions": b"",
        "./var/lib/dpkg/statoverride": b"",
        "./usr/lib/old/file": b"x",
        "./etc/tool.conf": b"mine\n",
    }

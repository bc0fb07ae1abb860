"""A mirror of Arch's with a handful of tiny packages, each signed: what pacman installs becomes a tree that runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.host_tree import programs
from tests.support.openpgp_key import OpenPgpKey
from tests.support.tar_members import Member, member

BUILT = 1_755_331_200
"""When the newest package was built, in seconds UTC."""
PASSWD = b"root:x:0:0::/root:/bin/sh\n"
SCRIPT = """\
post_install() {
    echo "installed $1" >/etc/tool-state
    mkdir -p /etc/pacman.d/gnupg && echo secret >/etc/pacman.d/gnupg/key
    echo 0123456789abcdef >/etc/machine-id
    [ -c /dev/null ] && [ -r /proc/self/status ] && [ ! -s /proc/cpuinfo ] && echo "$TMPDIR" >/etc/tool-view
    [ ! -e /sys/class ] || false
}
"""
HOOK = """\
[Trigger]
Operation = Install
Type = Path
Target = usr/lib/modules/*/vmlinuz
[Action]
When = PostTransaction
Exec = /bin/sh -c 'cat /usr/lib/modules/6.12-arch1/vmlinuz >/boot/vmlinuz-linux'
"""

Files = Mapping[str, bytes | Member]


def folder(path: str, mode: int = 0o755) -> dict[str, Member]:
    return {f"./{path}/": member("d", mode=mode)}


PACKAGES: dict[str, tuple[dict[str, str | Sequence[str]], Files, str]] = {
    "base": ({"depend": ["filesystem", "shell"]}, {}, ""),
    "filesystem": (
        {},
        {
            **folder("etc"), **folder("usr"), **folder("usr/bin"), **folder("usr/lib"), **folder("boot"),
            **folder("root", 0o750), **folder("var"), **folder("proc", 0o555), **folder("tmp", 0o1777), **folder("dev"),
            "./bin": member("l", linkname="usr/bin"), "./lib": member("l", linkname="usr/lib"),
            "./sbin": member("l", linkname="usr/bin"), "./usr/sbin": member("l", linkname="bin"),
            "./etc/passwd": PASSWD, "./etc/group": b"root:x:0:root\n",
            "./usr/lib/os-release": b'ID=arch\nPRETTY_NAME="Arch Linux"\n',
        },
        "",
    ),
    "shell": ({"depend": ["filesystem"]}, {}, ""),
    "tool": (
        {"pkgver": "1:2.0-3", "depend": ["base", "lib"]},
        {
            "./usr/bin/tool": member(data=b"#!/bin/sh\n", mode=0o4755),
            "./usr/bin/tool2": member("h", linkname="usr/bin/tool"),
        },
        SCRIPT,
    ),
    "lib": ({"group": ["libs"]}, {"./usr/lib/libtool.so": b"lib"}, ""),
    "linux": (
        {"depend": ["base"]},
        {
            "./usr/lib/modules/6.12-arch1/vmlinuz": b"MZ kernel",
            "./usr/share/libalpm/hooks/90-linux.hook": HOOK.encode(),
        },
        "",
    ),
}  # fmt: skip
"""Of each package: what its .PKGINFO says, its files, its script."""
CORE = ("base", "filesystem", "shell")


def package(name: str, about: Mapping[str, str | Sequence[str]], files: Files, script: str) -> bytes:
    """Return a package as makepkg makes one."""
    fields = {"pkgname": name, "pkgbase": name, "pkgver": "1-1", "pkgdesc": name, "builddate": str(BUILT - 60),
              "packager": "Nobody", "size": "1", "arch": "x86_64", **about}  # fmt: skip
    rows = [(key, each) for key, value in fields.items() for each in ([value] if isinstance(value, str) else value)]
    info = "".join(f"{key} = {value}\n" for key, value in rows)
    members: dict[str, bytes | Member] = {"./.PKGINFO": info.encode()}
    if script:
        members["./.INSTALL"] = script.encode()
    return zstd(tar({**members, **files}))


def tar(members: Files) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, each in members.items():
            found = each if isinstance(each, Member) else member(data=each)
            found.name = path.removeprefix("./").rstrip("/")
            found.size, found.mtime = len(found.data), BUILT - 120
            archive.addfile(found, io.BytesIO(found.data))
    return made.getvalue()


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc1"], input=data, capture_output=True, check=True).stdout


class ArchRepository:
    """A mirror at `top`, whose `core` has base, filesystem and shell, and whose `extra` all else."""

    def __init__(self, top: Path, key: OpenPgpKey) -> None:
        self.top = top
        self._key = key
        self.keyring = top.with_name("keys.gpg")
        top.mkdir(parents=True)
        self.keyring.write_bytes(key.public)
        self.files: dict[str, Path] = {}
        for repository in ("core", "extra"):
            self.write(repository, [name for name in PACKAGES if (name in CORE) == (repository == "core")])

    def write(self, repository: str, names: Sequence[str], *, inline: Sequence[str] = ("lib",)) -> None:
        """Write a repository of these packages; the signatures of those `inline` are in its database."""
        place = self.top / repository / "os/x86_64"
        place.mkdir(parents=True, exist_ok=True)
        rows: dict[str, bytes | Member] = {}
        for name in names:
            about, files, script = PACKAGES[name]
            data = package(name, about, files if name != "shell" else shell(), script)
            version = str(about.get("pkgver", "1-1"))
            file = place / f"{name}-{version}-x86_64.pkg.tar.zst"
            file.write_bytes(data)
            signature = self._key.sign(data)
            self.files[name] = file
            if name not in inline:
                file.with_name(f"{file.name}.sig").write_bytes(signature)
            desc = {
                "FILENAME": file.name, "NAME": name, "VERSION": version, "CSIZE": len(data), "ISIZE": 1,
                "SHA256SUM": hashlib.sha256(data).hexdigest(), "ARCH": "x86_64", "BUILDDATE": BUILT - (name != "linux"),
                **({"PGPSIG": base64.b64encode(signature).decode()} if name in inline else {}),
                **({"DEPENDS": "\n".join(about["depend"])} if "depend" in about else {}),
            }  # fmt: skip
            text = "".join(f"%{key}%\n{value}\n\n" for key, value in desc.items())
            rows[f"./{name}-{version}/desc"] = text.encode()
        (place / f"{repository}.db").write_bytes(gzip.compress(tar(rows), mtime=0))


def shell() -> dict[str, bytes | Member]:
    """Return programs in which scripts run, as Arch has them: all in /usr/bin."""
    found = programs("sh", "cat", "mkdir")
    return {path.replace("/usr/sbin/", "/usr/bin/"): each for path, each in found.items()}

"""The rootfs: a distribution's packages, exactly those of the lock file, installed into a tree without the network.

What it leaves out, for two builds anywhere to be the same: the host's name, hardware, name servers and apt sources (the
tree's own sources.list is empty: which mirror a guest asks is for an overlay to say), logs, machine-id, ssh host keys,
and what else packages made for one machine.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import installed_identities, scratch

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile

TOOLS: Final = (
    "mmdebstrap",
    "apt-get",
    "dpkg",
    "dpkg-deb",
    "tar",
    "umount",
    *installed_identities.TOOLS,
    *scratch.TOOLS,
)

GROWTH: Final = 8
"""Bytes of a tree in the making (files, unpacked packages) per byte of package: 5 was measured."""

# mmdebstrap would filter what it unpacks first in Python, in ten times the time: so dpkg is told after that, and what
# is there already goes. Copyright files stay.
_LEAVE_OUT_DOCS: Final = r"""
set -eu
cd "$1"
printf 'path-exclude=/usr/share/%s/*\n' doc man info groff lintian linda >etc/dpkg/dpkg.cfg.d/90documentation
echo 'path-include=/usr/share/doc/*/copyright' >>etc/dpkg/dpkg.cfg.d/90documentation
for folder in doc man info groff lintian linda; do
    [ -d "usr/share/$folder" ] || continue
    find "usr/share/$folder" -mindepth 1 ! -type d ! -path 'usr/share/doc/*/copyright' -delete
    find "usr/share/$folder" -mindepth 1 -depth -type d -empty -delete
done
"""

_TIDY: Final = r"""
set -eu
cd "$1"
rm -f etc/dpkg/dpkg.cfg.d/90documentation etc/dpkg/dpkg.cfg.d/99mmdebstrap etc/apt/apt.conf.d/99mmdebstrap
rm -f etc/hostname etc/ssh/ssh_host_*_key etc/ssh/ssh_host_*_key.pub
[ -h etc/resolv.conf ] || rm -f etc/resolv.conf
rm -f var/cache/debconf/*-old var/lib/dpkg/*-old
rm -f etc/apt/sources.list.d/*
echo '# Which mirror to ask is for the image to say: see sources.list(5).' >etc/apt/sources.list
cp {marks} var/lib/apt/extended_states
"""


# The /proc that mmdebstrap mounts is a new one.
_MASK: Final = r"""
for file in {names}; do
    [ ! -e "$1/proc/$file" ] || mount --bind {empty} "$1/proc/$file"
done
"""
_UNMASK: Final = r"""
for file in {names}; do
    [ ! -e "$1/proc/$file" ] || umount "$1/proc/$file"
done
"""


@dataclass(frozen=True)
class DebianParams(Params):
    """When all of it was made, by SOURCE_DATE_EPOCH, and whether documentation is part of it."""

    epoch: int
    docs: bool


def run(ctx: Context) -> None:
    """Fetch the packages, then install them."""
    from bootsmith.tasks.packages import debs, lockfile
    from bootsmith.tasks.tree import foreign_tar

    lock = lockfile.read(ctx.inputs["lock"])
    found = ctx.fetch([package.download for package in lock.packages])
    ctx.say("unpacking the packages")
    repository = ctx.work / "repository"
    suite = lock.request["suite"]
    debs.write_repository(
        repository,
        suite,
        [(package, found[package.sha256]) for package in lock.packages],
        lambda deb: ctx.run("dpkg-deb", "--field", deb).stdout,
    )
    size = sum(package.size for package in lock.packages)
    (ctx.work / "marks").write_text(_marks(lock))
    removed, named = ctx.work / "removed", ctx.work / "named"
    names, empty = " ".join(scratch.HIDDEN), ctx.work / "empty"
    empty.touch()
    scratch.run_as_root(
        ctx,
        "mmdebstrap",
        GROWTH * size,
        ctx.tool("mmdebstrap"),
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={lock.request['arch']}",
        "--skip=check/signed-by",
        "--skip=chroot/mount/sys",  # it tells of the host alone
        "--dpkgopt=force-unsafe-io",
        '--aptopt=APT::Sandbox::User "root"',
        f"--include={','.join(package.name for package in lock.packages)}",
        f"--extract-hook={_MASK.format(names=names, empty=shlex.quote(str(empty)))}",
        *([] if DebianParams.of(ctx).docs else [f"--extract-hook={_LEAVE_OUT_DOCS}"]),
        f"--customize-hook={_TIDY.format(marks=shlex.quote(str(ctx.work / 'marks')))}",
        f"--customize-hook={installed_identities.removal(removed, named)}",
        f"--customize-hook={_UNMASK.format(names=names)}",
        suite,
        ctx.outputs["tar"],
        f"deb [trusted=yes] copy://{quote(str(repository))} ./",
        env={
            "INITRD": "No",  # the initramfs is a stage of its own: without this, it is made here, twice
            "HOME": "/nonexistent",
            "DEBIAN_FRONTEND": "noninteractive",
        },
    )
    for line in installed_identities.told(removed.read_text(errors="replace"), named.read_text(errors="replace")):
        ctx.tell(line)
    foreign_tar.index(ctx.outputs["tar"], ctx.outputs["index"])


def _marks(lock: LockFile) -> str:
    """Return apt's record of which packages came only because others needed them."""
    return "".join(
        f"Package: {package.name}\nArchitecture: {lock.request['arch']}\nAuto-Installed: 1\n\n"
        for package in lock.packages
        if not package.asked
    )

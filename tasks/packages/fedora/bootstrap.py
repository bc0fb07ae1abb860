"""A Fedora tree: exactly the packages of the lock file, installed by this host's rpm, without the network.

What is left out, for two builds anywhere to be the same: machine-id, ssh host keys, and the files by which rpm's data
base is shared between running programs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import outside

if TYPE_CHECKING:
    from pathlib import Path

TOOLS: Final = (*outside.TOOLS, "rpm")
GROWTH: Final = 8
"""Bytes of a tree in the making per byte of package."""
DATABASE: Final = "usr/lib/sysimage/rpm"
ANY_MACHINE: Final = """\
# An image is not for the machine that built it: its initramfs leaves out nothing that this one does not have.
hostonly="no"
"""
_PREPARE: Final = f"""
mkdir -p etc/dracut.conf.d
cat >etc/dracut.conf.d/any-machine.conf <<'END'
{ANY_MACHINE}END
"""
_TIDY: Final = f"""
[ ! -s {DATABASE}/rpmdb.sqlite-wal ]
rm -f {DATABASE}/rpmdb.sqlite-wal {DATABASE}/rpmdb.sqlite-shm {DATABASE}/.rpm.lock
"""
_FAILED: Final = re.compile(r"^warning: (%\w+\(\S+\) scriptlet failed, .*)$", re.MULTILINE)


@dataclass(frozen=True)
class FedoraParams(Params):
    """When all of it was made, by SOURCE_DATE_EPOCH."""

    epoch: int


def run(ctx: Context) -> None:
    """Fetch the packages, then install them."""
    from bootsmith.tasks.packages import lockfile

    params, lock = FedoraParams.of(ctx), lockfile.read(ctx.inputs["lock"])
    found = ctx.fetch([package.download for package in lock.packages])
    files = ctx.work / "packages"
    files.mkdir()
    for package in lock.packages:
        (files / f"{package.sha256}.rpm").symlink_to(found[package.sha256])
    fixed: list[str | Path] = [
        ctx.tool("rpm"),
        "--rcfile",
        "/usr/lib/rpm/rpmrc",
        "--macros",
        "/usr/lib/rpm/macros",
    ]  # none of /etc
    fixed += ["--define", "_netsharedpath /dev:/proc:/sys"]  # whose owner no ordinary user is, while they are mounted
    fixed += ["--root", outside.tree(ctx), "--dbpath", f"/{DATABASE}"]
    # They are what the lock says, to the bit, and were signed when it was made.
    install = [*fixed, "--install", "--nosignature", "--ignoresize", "--", *(
        files / f"{package.sha256}.rpm" for package in lock.packages
    )]  # fmt: skip
    ctx.say("installing the packages")
    dracut = any(package.name == "dracut" for package in lock.packages)
    made = outside.make(
        ctx,
        outside.Work(
            "rpm",
            [install],
            params.epoch,
            GROWTH * sum(package.size for package in lock.packages),
            prepare=_PREPARE if dracut else ":",
            tidy=_TIDY,
            env={"HOME": "/nonexistent"},
        ),
    )
    if not any(entry.path == f"{DATABASE}/rpmdb.sqlite" for entry in made.entries):
        raise StageError("rpm installed nothing", "See the log, and run `doit update` to resolve the packages again.")
    for line in _FAILED.findall(made.printed):  # rpm makes nothing more of it
        ctx.tell(f"rpm: {line}")

"""An Arch tree: exactly the packages of the lock file, installed by this host's pacman, without the network.

What is left out, for two builds anywhere to be the same: the day of the installation, machine-id, ssh host keys, and
pacman's own keyring, whose secret key is made for one machine: `pacman-key --init` and `--populate` make it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages.arch.configuration import ANY_MACHINE, PACMAN
from bootsmith.tasks.tree import outside

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.tree.tar import Entry

TOOLS: Final = (*outside.TOOLS, "pacman", "sed")
GROWTH: Final = 8
"""Bytes of a tree in the making per byte of package."""
_PREPARE: Final = f"""
mkdir -p etc/mkinitcpio.conf.d
cat >etc/mkinitcpio.conf.d/any-machine.conf <<'END'
{ANY_MACHINE}END
"""
_TIDY: Final = r"""
rm -rf etc/pacman.d/gnupg
find var/lib/pacman/local -name desc -exec sed -i '/^%INSTALLDATE%$/{n;s/.*/EPOCH/}' {} +
"""
_RECORDS: Final = "var/lib/pacman/local/"


@dataclass(frozen=True)
class ArchParams(Params):
    """When all of it was made, by SOURCE_DATE_EPOCH."""

    epoch: int


def run(ctx: Context) -> None:
    """Fetch the packages, then install them."""
    from bootsmith.tasks.packages import lockfile

    params, lock = ArchParams.of(ctx), lockfile.read(ctx.inputs["lock"])
    found = ctx.fetch([package.download for package in lock.packages])
    files = ctx.work / "packages"
    files.mkdir()
    for package in lock.packages:
        (files / Path(package.filename).name).symlink_to(found[package.sha256])
    configuration = ctx.work / "pacman.conf"
    configuration.write_text(PACMAN)
    tree = outside.tree(ctx)
    fixed: list[str | Path] = [
        "--noconfirm",
        "--config",
        configuration,
        "--root",
        tree,
        "--dbpath",
        tree / "var/lib/pacman",
    ]
    fixed += ["--cachedir", tree / "var/cache/pacman/pkg", "--hookdir", tree / "etc/pacman.d/hooks"]
    fixed += ["--gpgdir", tree / "etc/pacman.d/gnupg", "--logfile", ctx.work / "log", "--"]
    pacman = ctx.tool("pacman")
    install: list[str | Path] = [
        pacman,
        "-U",
        "--asdeps",
        *fixed,
        *(files / package.filename for package in lock.packages),
    ]
    mark: list[str | Path] = [
        pacman,
        "-D",
        "--asexplicit",
        *fixed,
        *(package.name for package in lock.packages if package.asked),
    ]
    ctx.say("installing the packages")
    initramfs = any(package.name == "mkinitcpio" for package in lock.packages)
    work = outside.Work(
        "pacman",
        [install, mark],
        params.epoch,
        GROWTH * sum(package.size for package in lock.packages),
        prepare="mkdir -p var/lib/pacman" + (_PREPARE if initramfs else ""),
        tidy=_TIDY.replace("EPOCH", str(params.epoch)),
    )
    _verify(outside.make(ctx, work).entries, lock)
    for line in (ctx.work / "log").read_text(errors="replace").splitlines():
        if "error: " in line:  # of what packages run pacman itself makes nothing more
            ctx.tell(f"pacman: {line.partition('error: ')[2]}")


def _verify(entries: list[Entry], lock: LockFile) -> None:
    """Refuse a tree that has not become what was locked. Raises StageError."""
    there = {entry.path.removeprefix(_RECORDS).removesuffix("/desc") for entry in entries
             if entry.path.startswith(_RECORDS) and entry.path.endswith("/desc")}  # fmt: skip
    wanted = {f"{package.name}-{package.version}" for package in lock.packages}
    if there != wanted:
        wrong = ", ".join(sorted(there ^ wanted))
        raise StageError(f"the packages are not as they were locked: {wrong}", "Run `doit update` to resolve them.")

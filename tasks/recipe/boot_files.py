"""Whose kernel and initrd each entry of the menu starts. Pure.

Most entries start what `boot.kernel` and `boot.initrd` say. What another entry says instead is made once, for the first
entry that says it: by that entry's name it is known in stages, build directories and on disks, as `BOOT` stands for
what `boot` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.boot import Boot, BootEntry, Kernel
    from bootsmith.tasks.recipe.model.files import File

BOOT: Final = ""


class Initrd(NamedTuple):
    """An initrd to be had: "auto" goes by the kernel of `kernel`."""

    source: File | str
    kernel: str


def kernel_of(boot: Boot, entry: BootEntry) -> str:
    """Return whose kernel an entry starts."""
    wanted = _source(entry)
    if wanted == _source(boot):
        return BOOT
    return next(name for name, other in boot.entries.items() if _source(other) == wanted)


def initrd_of(boot: Boot, entry: BootEntry) -> str | None:
    """Return whose initrd an entry starts with, None where it has none."""
    if entry.initrd == "none":
        return None
    wanted = _initrd(boot, entry)
    started = [kernel_of(boot, other) for other in boot.entries.values() if other.kernel != "none"]
    if wanted == Initrd(boot.initrd, BOOT if boot.initrd == "auto" else "") and (BOOT in started or not started):
        return BOOT
    return next(name for name, other in boot.entries.items() if _initrd(boot, other) == wanted)


def kernels(boot: Boot) -> dict[str, Kernel | str]:
    """Return the kernels that entries start, by whose they are, those of `boot` first: "auto", or one's own."""
    found = {kernel_of(boot, entry): _source(entry) for entry in boot.entries.values() if entry.kernel != "none"}
    return dict(sorted(found.items(), key=lambda each: each[0] != BOOT))


def initrds(boot: Boot) -> dict[str, Initrd]:
    """Return the initrds that entries start with, by whose they are, those of `boot` first."""
    found = {
        owner: _initrd(boot, entry) for entry in boot.entries.values() if (owner := initrd_of(boot, entry)) is not None
    }
    return dict(sorted(found.items(), key=lambda each: each[0] != BOOT))


def default(boot: Boot) -> BootEntry | None:
    """Return the entry that boots by itself; None in a recipe that is wrong about it."""
    return boot.entries.get(boot.default)


def _source(said: Boot | BootEntry) -> Kernel | str:
    return "auto" if said.kernel == "install" else said.kernel


def _initrd(boot: Boot, entry: BootEntry) -> Initrd:
    return Initrd(entry.initrd, kernel_of(boot, entry) if entry.initrd == "auto" else "")

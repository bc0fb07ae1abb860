"""A view of this host in which there is little else than some files: for programs that read bytes of people unknown.

A folder with empty places in it becomes the root of a mount namespace: over the places lie the system's programs and
libraries, read-only, and the files that are to be read. The host's root is gone from it. What such a program is talked
into can read nothing that is not public, and write nothing but what it was to write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.files import temporary
from bootsmith.tasks.tools.programs import find
from bootsmith.tasks.tools.tool import MOUNT, PIVOT_ROOT, SETPRIV, SH, UMOUNT

_SYSTEM: Final = (
    "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store", "run/current-system",
)  # fmt: skip
_OTHERS: Final = ("/etc/ld.so.cache", "/dev/null")
# Arguments: the programs it needs; the folder; whether /proc stays; for each place "r" or "w", what is to be there, and
# where; "--". umount asks /proc what is mounted.
_SCRIPT: Final = r"""
set -e; mount=$1 pivot=$2 umount=$3 setpriv=$4 root=$5 proc=$6; shift 6
"$mount" --bind "$root" "$root"
while [ "$1" != -- ]; do
    "$mount" --bind "$2" "$root$3" 2>/dev/null || "$mount" --rbind "$2" "$root$3"
    [ "$1" = w ] || "$mount" -o remount,bind,ro "$root$3"
    shift 3
done
"$mount" -o remount,bind,ro "$root"
cd "$root"; "$pivot" . .old; cd /; "$umount" -l /.old
[ "$proc" = stays ] || "$umount" -l /proc
# a file of somebody else is for root to read; it has no other power left
exec "$setpriv" --no-new-privs --bounding-set=-all,+dac_override --inh-caps=-all "$@"
"""


class Shown(NamedTuple):
    """A file for a program to read, or to write: its path, or the number by which it is open where it has no name."""

    file: Path | int
    writable: bool = False


class Enclosure(NamedTuple):
    """`names` are what the files are called within; `nameless` tells that some are known by number.

    `program` is where the program is, within and without.
    """

    root: Path
    program: Path
    places: tuple[tuple[str, str, str], ...]
    names: tuple[str, ...]
    nameless: bool

    def command(self) -> list[str]:
        """Return the words before those of what is to run within."""
        programs = [str(find(each)) for each in (MOUNT, PIVOT_ROOT, UMOUNT, SETPRIV)]
        words = [word for place in self.places for word in place]
        proc = "stays" if self.nameless else "goes"
        return [str(find(SH)), "-c", _SCRIPT, "sh", *programs, str(self.root), proc, *words]


@contextmanager
def made(program: Path, files: Sequence[Shown]) -> Iterator[Enclosure]:
    """Make the folder of a view for a program and some files. Raises OSError."""
    with temporary.folder() as folder:
        root = Path(folder)
        for name in (".old", "proc", "dev"):
            (root / name).mkdir()
        (root / "dev/fd").symlink_to("/proc/self/fd")
        places = [("r", f"/{name}", f"/{name}") for name in ("proc", *_SYSTEM) if _is_place(root, name)]
        others = [name for name in _OTHERS if os.path.exists(name)]  # noqa: PTH110  of a name
        real = program.parent.resolve() / program.name  # its own name stays: some act by it
        if any(real.is_relative_to(place) for _, place, _ in places):
            program = real
        else:
            others.append(str(program))
        places += [("w" if name == "/dev/null" else "r", name, _touched(root, name)) for name in others]
        names = []
        for number, (file, writable) in enumerate(files):
            name = f"/dev/fd/{file}"
            if isinstance(file, Path):
                name = _touched(root, f"/image{number or ''}")
                places.append(("w" if writable else "r", str(file.absolute()), name))
            names.append(name)
        yield Enclosure(root, program, tuple(places), tuple(names), any(isinstance(each.file, int) for each in files))


def _is_place(root: Path, name: str) -> bool:
    """Make a place for a folder of the system, if it is one; a link is a link within too."""
    there = Path("/", name)
    if there.is_symlink():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(there.readlink())
    elif there.is_dir():
        (root / name).mkdir(parents=True, exist_ok=True)
        return True
    return False


def _touched(root: Path, name: str) -> str:
    """Make an empty file as a place for another."""
    place = root / name.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    return name

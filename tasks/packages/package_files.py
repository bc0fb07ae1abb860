"""Files out of packages: each a stage that takes one file out of the packages the lock names for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.tree.tar import Entry

_MERGED = ("bin/", "lib/", "lib32/", "lib64/", "libx32/", "sbin/")
"""What packages may hold below /usr, though the guest's path is without it (file-hierarchy(7), the merged /usr)."""
_LINKS = 8


@dataclass(frozen=True)
class ExtractionParams(Params):
    """What the lock file calls the packages, and the path of the file in one of them; it may be a pattern."""

    packages: str
    path: str


def run(ctx: Context) -> None:
    """Fetch the packages one by one until the file is found; take it out."""
    from bootsmith.tasks.packages import lockfile

    lock = lockfile.read(ctx.inputs["lock"])
    params = ExtractionParams.of(ctx)
    wanted, key = params.path, params.packages
    seen = []
    for package in lock.files.get(key, ()):
        deb = ctx.fetch([package.download])[package.sha256]
        ctx.say(f"looking for {wanted} in {package.name} {package.version}")
        seen.append(f"{package.name} {package.version}")
        if _take(ctx, deb, wanted):
            return
    if not seen:
        raise StageError(f"the lock file names no packages for {key}", "Run `doit update` to have it made again.")
    raise StageError(
        f"there is no {wanted} in {' or '.join(seen)}", "Mend the path, or name the package that has the file."
    )


def _take(ctx: Context, deb: Path, wanted: str) -> bool:
    """Write the file that a package has at a path, if it has one. Raises StageError where several match."""
    from bootsmith.tasks.tree import layer, tar

    data = ctx.work / "data.tar"
    ctx.run("dpkg-deb", "--fsys-tarfile", deb, stdout=data)
    entries = {entry.path: entry for entry in tar.scan(data)}
    found = matching(entries.values(), wanted)
    if len(found) > 1:
        raise StageError(f"{wanted} matches {', '.join(f'/{each}' for each in found)}", "Write the path of one file.")
    for each in found:
        entry = followed(entries, each)
        if entry is not None:
            ctx.outputs["file"].write_bytes(layer.read_member(data, entry))
            return True
    return False


def matching(entries: Iterable[Entry], wanted: str) -> list[str]:
    """Return the paths, sorted, of what is no directory and matches a pattern, with or without /usr before it."""
    from bootsmith.tasks.tree import patterns

    tests = [patterns.path_matcher(wanted)]
    if wanted.lstrip("/").startswith(_MERGED):
        tests.append(patterns.path_matcher(f"/usr{wanted}"))
    return sorted(
        entry.path for entry in entries if entry.type != "d" and any(matches(entry.path) for matches in tests)
    )


def followed(entries: dict[str, Entry], name: str) -> Entry | None:
    """Return the regular file behind a name in a package, None where it leads out of the package."""
    import posixpath

    for _ in range(_LINKS):
        entry = entries.get(name)
        if entry is None or entry.type == "f":
            return entry
        if entry.type not in "lh":
            return None
        above = "" if entry.type == "h" else posixpath.dirname(name)
        name = posixpath.normpath(posixpath.join("/", above, entry.link)).lstrip("/")
    return None

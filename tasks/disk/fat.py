"""A FAT filesystem made and filled by mkfs.vfat and mtools: no mount, and the same bytes every time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import sizing, splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl

# All of mtools' settings, so that none of the host's /etc/mtools.conf is left in force.
SETTINGS = """\
MTOOLS_SKIP_CHECK=1
MTOOLS_FAT_COMPATIBILITY=0
MTOOLS_LOWER_CASE=0
MTOOLS_NO_VFAT=0
MTOOLS_DOTTED_DIR=0
MTOOLS_NAME_NUMERIC_TAIL=1
MTOOLS_TWENTY_FOUR_HOUR_CLOCK=1
MTOOLS_LOCK_TIMEOUT=30
DEFAULT_CODEPAGE=850
"""
_FORBIDDEN = frozenset('"*/:<>?\\|') | frozenset(map(chr, range(32)))
_CLUSTERS = 65_500  # that FAT16 can count
_BATCH = 200  # files a command line names at most


def make(
    ctx: Context,
    image: Path,
    size: int,
    *,
    serial: str,
    label: str,
    start: int = 0,
    extra: Sequence[str] = (),
    sector: int = 512,
) -> None:
    """Make an empty filesystem in a new file, which will stand `start` bytes after its disk's start.

    `extra` are words for mkfs.vfat that win over ours; a `sector` has so many bytes.
    """
    with image.open("xb") as file:
        file.truncate(size)
    sectors = sizing.fat_cluster(size, sector) // sector
    ctx.run(
        "mkfs.vfat", "--invariant",  # first: it sets a serial of its own
        "-F", "32", "-S", str(sector), "-s", str(sectors), "-R", str(sizing.FAT_RESERVED), "-f", "2",
        "-h", str(start // sector), "-i", serial.replace("-", ""), *(["-n", label] if label else []), *extra, image,
    )  # fmt: skip


def make_small(ctx: Context, image: Path, size: int, *, serial: str, label: str) -> None:
    """Make an empty FAT16 filesystem, which may be smaller than FAT32 can be, in a new file."""
    with image.open("xb") as file:
        file.truncate(size)
    sectors = 1
    while size // 512 // sectors > _CLUSTERS:
        sectors *= 2
    ctx.run(
        "mkfs.vfat", "--invariant", "-F", "16", "-s", str(sectors), "-i", serial.replace("-", ""), "-n", label, image
    )


def fill(ctx: Context, image: Path, name: str, tree: Tree, sources: Sequence[Path]) -> None:
    """Put a tree into an empty filesystem; owners, modes and attributes are lost, FAT has none.

    Raises StageError where the partition `name` cannot hold an entry.
    """
    _check(name, tree)
    (ctx.work / "mtoolsrc").write_text(SETTINGS)
    (ctx.work / "image").symlink_to(image)  # mtools have a shell expand an image's name: it must be a plain one
    desk = ctx.work / "fat"

    def run(tool: str, words: Sequence[str | Path]) -> None:
        ctx.run(tool, "-i", "image", *words, cwd=ctx.work, env={"MTOOLSRC": "mtoolsrc"})

    folders = sorted(
        (path for path, (_, entry) in tree.items() if entry.type == "d" and path), key=lambda path: path.split("/")
    )
    for batch in _batches(folders):
        run("mmd", [f"::/{path}" for path in batch])
    files = defaultdict(list)
    for path in sorted(path for path, (_, entry) in tree.items() if entry.type != "d"):
        files[path.rpartition("/")[0]].append(_lay_out(desk, path, tree, sources))
    for folder in sorted(files):
        for batch in _batches(files[folder]):
            run("mcopy", [*batch, f"::/{folder}"])


def _batches(items: Sequence[str | Path]) -> list[Sequence[str | Path]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]


def _lay_out(desk: Path, path: str, tree: Tree, sources: Sequence[Path]) -> Path:
    """Make a file under its own name, for mcopy to read; a whole source is only linked to."""
    number, entry = tree[path]
    if entry.type == "h":
        number, entry = tree[entry.link]
    place = desk / path
    place.parent.mkdir(parents=True, exist_ok=True)
    source = sources[number]
    if entry.offset == 0 and entry.size == source.stat().st_size:
        place.symlink_to(source)
        return place
    with source.open("rb") as old, place.open("xb") as new:
        new.truncate(entry.size)
        at = entry.offset
        for start, length in ((0, entry.size),) if entry.stretches is None else entry.stretches:
            splice.copy(old.fileno(), at, new.fileno(), start, length)
            at += length
    return place


def _check(name: str, tree: Tree) -> None:
    lower: dict[str, str] = {}
    for path, (_, entry) in tree.items():
        what = {"l": "a symlink", "c": "a device", "b": "a device", "p": "a fifo", "s": "a socket"}.get(entry.type)
        if what:
            raise StageError(f"partition {name}: FAT cannot hold {what}: /{shown(path)}", "Remove it, or use ext4.")
        word = entry.name
        if _FORBIDDEN & set(word) or word.endswith((" ", ".")) or len(word) > 255 or not _is_text(word):
            raise StageError(f"partition {name}: FAT cannot hold the name of /{shown(path)}", "Rename it, or use ext4.")
        if (
            entry.type == "d" and "[" in word
        ):  # mtools would take it for a pattern, and maybe another folder for this one
            raise StageError(f"partition {name}: mtools cannot write into a folder named /{shown(path)}", "Rename it.")
        if lower.setdefault(path.lower(), path) != path:
            raise StageError(
                f"partition {name}: /{shown(lower[path.lower()])} and /{shown(path)} are the same name to FAT",
                "Rename one, or use ext4.",
            )
        if acl.NAMES & entry.xattrs.keys():
            raise StageError(
                f"partition {name}: FAT cannot hold the access control list of /{shown(path)}",
                "Take it off (setfacl -b), or use ext4.",
            )
        if entry.size >= 1 << 32:
            raise StageError(f"partition {name}: /{shown(path)} is larger than FAT's 4 GiB", "Use ext4.")


def _is_text(word: str) -> bool:
    """Tell whether mtools write a name as it is: not bytes that are no UTF-8, nor letters beyond the first 65,536."""
    return all(letter < "\ud800" or "\udfff" < letter <= "\uffff" for letter in word)

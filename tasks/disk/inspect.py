"""What a disk image holds, read without mounting: its table, its filesystems, the loader's files, its sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import bootcode, gpt, image_format, qcow2
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.disk.parts import Part, parts, sector
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import BootsmithError, UsageError


@dataclass(frozen=True, slots=True)
class Inspection:
    """`disk` is the size a machine sees, `file` the file's own, `occupied` what it takes where it is stored."""

    path: str
    format: str
    disk: int
    file: int
    occupied: int
    table: str
    id: str
    sector: int
    """Bytes of the sectors that the table counts."""
    code: str
    """Whose code stands in the first sector; nothing where there is none."""
    parts: tuple[Part, ...]
    problems: tuple[str, ...]


def to_json(found: Inspection) -> dict[str, Any]:
    """Return it as data for JSON."""
    return asdict(found)


def to_text(found: Inspection) -> str:
    """Return it as lines for people."""
    sizes = f"{_size(found.disk)} disk, {_size(found.file)} file, {_size(found.occupied)} occupied"
    lines = [
        f"{found.path}: {found.format}, {sizes}",
        f"table: {found.table}{found.id and f' {found.id}'}{_sectors(found.sector)}",
    ]
    lines += [f"boot sector: {found.code}"] if found.code else []
    for part in found.parts:
        place = f"{_size(part.size):>9} at {_size(part.start):<9} {part.type}"
        marks = "".join(f" {word}" for word in (part.mark, part.guid) if word)
        lines.append(f"{part.number:>3} {part.name or '-':<12} {place}{marks}")
        inside = part.filesystem
        if inside:
            free = "" if inside.free is None else f", {_size(inside.free)} free"
            lines.append(f"    {inside.kind} {inside.label!r} {inside.uuid}, {_size(inside.size)}{free}")
        lines += [f"    {path}" for path in part.loader]
    return "\n".join([*lines, *(f"problem: {problem}" for problem in found.problems)])


def _sectors(sector: int) -> str:
    return f", sectors of {sector} bytes" if sector != gpt.SECTOR else ""


def inspect(image: Path, passphrase: Passphrase | None = None) -> Inspection:
    """Return what an image holds. Raises UsageError for what is none, BootsmithError for a damaged one."""
    if not image.is_file():
        raise UsageError(f"{shown(image)} is not a file", "Name a disk image, or build one first: `doit image`.")
    kind = format_of(image, opens=passphrase is not None)
    if kind == "qcow2":
        qcow2.check_whole(image)
    facts, named = image.stat(), image_format.NAMES.get(kind, kind)
    with opened(image, kind, passphrase) as disk:
        size = disk.size
        table, identity, found, problems = parts(disk)
        counted = sector(disk)
        code, damage = bootcode.recognised(disk.read) if table != "none" else ("", "")
    return Inspection(
        path=str(image), format=named, disk=size, file=facts.st_size, occupied=facts.st_blocks * 512, table=table,
        id=identity, sector=counted, code=code, parts=tuple(found), problems=(*problems, *filter(None, [damage])),
    )  # fmt: skip


def format_of(image: Path, *, opens: bool) -> str:
    """Return the format of what can be inspected. Raises UsageError; `opens` says that there is a passphrase."""
    try:
        return image_format.recognise(image, opens=opens)
    except BootsmithError as error:
        raise UsageError(error.message, error.hint) from error


def _size(size: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}" if size % scale else f"{size // scale} {unit}"
    return f"{size} B"

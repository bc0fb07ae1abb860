"""What two images differ in, by meaning: tables, packages, users and units, then files that none of these tells."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import bootcode
from bootsmith.tasks.disk.node import same
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection import settings
from bootsmith.tasks.inspection.listing import KINDS
from bootsmith.tasks.inspection.system_tree import Place, SystemTree
from bootsmith.tasks.inspection.volumes import Image

_DPKG = b"var/lib/dpkg"
_ARCHITECTURES = ("", ":amd64", ":i386", ":arm64", ":all")
_UNITS = re.compile(r"(?:etc|usr/lib|lib)/systemd/(system|user)/(?:([^/]+)\.(wants|requires)/)?([^/]+)")
_STANZA = re.compile(rb"\n\n+")
_TABLES = {"etc/passwd": "user", "etc/group": "group", "etc/shadow": "password", "etc/gshadow": "group password"}
"""Files of which each line is somebody's, named by its first field."""
_BOOK = re.compile(_DPKG + rb"/(status(-old)?|info/.*|available)|etc/(passwd|group|shadow|gshadow)-?", re.DOTALL)
"""Files that say what is told by meaning already."""


class Difference(NamedTuple):
    """One thing that differs: what kind of thing, which, and how."""

    subject: str
    name: str
    how: str

    def __str__(self) -> str:
        return f"{self.subject} {self.name}: {self.how}" if self.subject != "file" else f"{self.name}: {self.how}"


def between(one: Image, other: Image, trees: tuple[SystemTree, SystemTree] | None) -> Iterator[Difference]:
    """Yield what differs; of the files only with the `trees` of both systems."""
    yield from _disks(one, other)
    if trees is None:
        return
    mine, theirs = trees
    changed = dict(_packages(mine, theirs))
    yield from (Difference("package", name, how) for name, how in changed.items())
    for table, subject in _TABLES.items():
        yield from _rows(subject, mine.text(table.encode()), theirs.text(table.encode()))
    owned = {path: name for name in changed for tree in trees for path in _owned(tree, name)}
    counted: Counter[str] = Counter()
    files = dict(_files(mine, theirs))
    set_to = dict(_settings(trees, {*files} - owned.keys()))
    told = dict.fromkeys(each for found in set_to.values() for each in found)
    yield from (Difference("setting", *each) for each in told)
    for path, found in files.items():
        if path in owned:
            counted[owned[path]] += 1
        elif path not in set_to and not _BOOK.fullmatch(path):
            yield _unit(found) or found
    yield from (Difference("package", name, f"{count} of its files differ") for name, count in sorted(counted.items()))


def _settings(trees: tuple[SystemTree, SystemTree], paths: set[bytes]) -> Iterator[tuple[bytes, list[tuple[str, str]]]]:
    """Yield the files that differ in what a system is set to, each with what is set otherwise."""
    mine, theirs = (settings.of(tree, paths) for tree in trees)
    for path in sorted({**mine, **theirs}):
        before, after = mine.get(path, {}), theirs.get(path, {})
        names = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
        if names:
            yield path, [(name, _changed(before.get(name, ""), after.get(name, ""))) for name in names]


def _changed(before: str, after: str) -> str:
    return f"{before or 'none'} -> {after or 'none'}"


def _disks(one: Image, other: Image) -> Iterator[Difference]:
    for name, before, after in (
        ("size", human(one.disk.size), human(other.disk.size)),
        ("table", one.table, other.table),
        ("id", one.identity, other.identity),
        ("boot code", bootcode.recognised(one.disk.read)[0], bootcode.recognised(other.disk.read)[0]),
    ):
        if before != after:
            yield Difference("disk", name, _changed(before, after))
    mine, theirs = ({_title(part): part for part in each.parts.values()} for each in (one, other))
    for title in sorted({**mine, **theirs}):
        if title not in theirs:
            yield Difference("partition", title, "removed")
        elif title not in mine:
            yield Difference("partition", title, f"added, {human(theirs[title].size)} of type {theirs[title].type}")
        else:
            facts = zip(_facts(mine[title]), _facts(theirs[title]), strict=True)
            told = [f"{name} {_changed(before, after)}" for (name, before), (_, after) in facts if before != after]
            if told:
                yield Difference("partition", title, ", ".join(told))


def _title(part: Part) -> str:
    return shown(part.name) if part.name else str(part.number)


def _facts(part: Part) -> list[tuple[str, str]]:
    """Return what is told of a partition. Where it stands follows from the others' sizes."""
    inside = part.filesystem
    return [
        ("number", str(part.number)), ("type", part.type), ("size", human(part.size)), ("GUID", part.guid),
        ("mark", part.mark), ("filesystem", inside.kind if inside else ""),
        ("label", inside.label if inside else ""), ("UUID", inside.uuid if inside else ""),
    ]  # fmt: skip


def _packages(one: SystemTree, other: SystemTree) -> Iterator[tuple[str, str]]:
    """Yield the packages that differ, and how."""
    mine, theirs = (dpkg(each.text(_DPKG + b"/status")) for each in (one, other))
    for name in sorted({**mine, **theirs}):
        before, after = mine.get(name, ""), theirs.get(name, "")
        if before != after:
            how = f"added, {after}" if not before else f"removed, {before}" if not after else _changed(before, after)
            yield name, how


def _owned(tree: SystemTree, package: str) -> set[bytes]:
    """Return the paths of a package's files, and of what dpkg knows of it."""
    return {
        line.lstrip(b"/")
        for suffix in _ARCHITECTURES
        for line in tree.text(_DPKG + b"/info/" + os.fsencode(package + suffix) + b".list").splitlines()
    }


def dpkg(status: bytes) -> dict[str, str]:
    """Return the packages that dpkg has installed, each with its version."""
    found = {}
    for stanza in _STANZA.split(status):
        fields = dict(line.split(b": ", 1) for line in stanza.split(b"\n") if b": " in line and line[:1] != b" ")
        if fields.get(b"Status", b"").endswith(b" installed") and b"Package" in fields:
            found[shown(fields[b"Package"])] = shown(fields.get(b"Version", b""))
    return found


def _rows(subject: str, before: bytes, after: bytes) -> Iterator[Difference]:
    """Yield the lines of two tables that differ: what was changed in one, but nothing of a password."""
    mine, theirs = (
        {line.partition(b":")[0]: line.split(b":")[1:] for line in each.splitlines()} for each in (before, after)
    )
    for name in sorted({**mine, **theirs}):
        if mine.get(name) == theirs.get(name):
            continue
        if subject == "password" and name in mine and name in theirs and _undated(mine[name]) == _undated(theirs[name]):
            continue
        if name not in theirs or name not in mine:
            yield Difference(subject, shown(name), "removed" if name in mine else "added")
        elif "password" in subject:
            yield Difference(subject, shown(name), "changed")
        else:
            told = (shown(b":".join(each[name])) for each in (mine, theirs))
            yield Difference(subject, shown(name), _changed(*told))


def _undated(row: list[bytes]) -> list[bytes]:
    """Return a row of /etc/shadow without the day on which it was last changed: times are not compared."""
    return [*row[:1], *row[2:]]


def _by_name(table: bytes) -> dict[bytes, list[bytes]]:
    return {line.partition(b":")[0]: line.split(b":")[1:] for line in table.splitlines()}


def _unit(found: Difference) -> Difference | None:
    """Return what a link below systemd's folders means: a unit is enabled, or masked."""
    matched = _UNITS.fullmatch(found.name.lstrip("/"))
    if not matched or "symlink" not in found.how:
        return None
    manager, target, _, unit = matched.groups()
    where = "" if manager == "system" else " of users"
    if target:
        word = (
            "enabled" if found.how.startswith("added") else "disabled" if found.how.startswith("removed") else "moved"
        )
        return Difference("unit", unit, f"{word} in {target}{where}")
    if "/dev/null" in found.how:
        return Difference("unit", unit, ("unmasked" if found.how.startswith("removed") else "masked") + where)
    return None


def _files(one: SystemTree, other: SystemTree) -> Iterator[tuple[bytes, Difference]]:
    mine, theirs = (_by_path(each) for each in (one, other))
    for path in sorted({**mine, **theirs}):
        before, after = mine.get(path), theirs.get(path)
        name = "/" + shown(path)
        if before is None and after is not None:
            if not _below(path, mine, theirs):
                yield path, Difference("file", name, f"added, {_described(after)}")
        elif after is None and before is not None:
            if not _below(path, theirs, mine):
                yield path, Difference("file", name, f"removed, {_described(before)}")
        elif before is not None and after is not None:
            told = ", ".join(_what(before, after))
            if told:
                yield path, Difference("file", name, told)


def _by_path(tree: SystemTree) -> dict[bytes, Place]:
    return {b"": tree.top, **{place.path: place for place in tree.walk(tree.top)}}


def _below(path: bytes, lacking: Mapping[bytes, Place], having: Mapping[bytes, Place]) -> bool:
    """Tell whether a file is told by the folder above it, which one side has not at all."""
    above = path.rpartition(b"/")[0]
    return above not in lacking and above in having


def _described(place: Place) -> str:
    node = place.node
    if node.kind == "l":
        return f"symlink to {shown(node.target)}"
    return f"{KINDS[node.kind][1]}{f' of {node.size} bytes' if node.kind == 'f' else ''}"


def _what(before: Place, after: Place) -> Iterator[str]:
    one, two = before.node, after.node
    if one.kind != two.kind:
        yield _changed(_described(before), _described(after))
        return
    if one.mode != two.mode:
        yield f"mode {one.mode:04o} -> {two.mode:04o}"
    if (one.uid, one.gid) != (two.uid, two.gid):
        yield f"owner {one.uid}:{one.gid} -> {two.uid}:{two.gid}"
    if one.target != two.target:
        yield f"symlink to {shown(one.target)} -> {shown(two.target)}"
    if one.device != two.device:
        yield "device {}:{} -> {}:{}".format(*one.device, *two.device)
    if dict(one.xattrs) != dict(two.xattrs):
        names = sorted({name for name in {**one.xattrs, **two.xattrs} if one.xattrs.get(name) != two.xattrs.get(name)})
        yield f"attribute {', '.join(map(shown, names))}"
    if one.kind == "f" and not same((before.files, one), (after.files, two)):
        yield f"content, {one.size} -> {two.size} bytes" if one.size != two.size else "content"


def trees_of(one: Image, other: Image) -> tuple[SystemTree, SystemTree] | None:
    """Return the systems on both images; None where neither has one that can be read. Raises UsageError."""
    from bootsmith.tasks.inspection import system_tree

    if not one.readable and not other.readable:
        return None
    try:
        return system_tree.whole(one), system_tree.whole(other)
    except UsageError as error:
        raise UsageError(error.message, f"{error.hint} `diff` compares systems.") from error

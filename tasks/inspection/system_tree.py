"""The tree that a system sees: the files of its root, and where its fstab mounts them, those of other partitions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.node import Node
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.inspection.volumes import Files, Image, reader

_MOST_LINKS = 40  # as Linux follows (MAXSYMLINKS)
_MOST_FILES = 4_000_000
_MOST_FOLDERS = 64  # that are remembered
_MOST_BYTES = 64 << 20  # of a text that is read whole
_ON_PARTITION = re.compile(r"([^/:]+):(/.*|)", re.DOTALL)
_OPTIONS = 3  # the field of an fstab
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Place(NamedTuple):
    """A file: in which filesystem, by which path from the top of the tree (b"" the top), and what it is."""

    files: Files
    path: bytes
    node: Node


class SystemTree:
    """The files of an image as one tree, or one of its partitions."""

    def __init__(self, image: Image, number: int, mounts: dict[bytes, int]) -> None:
        """Take the partition that is the top, and those that are mounted, by path."""
        self.image = image
        self.number = number
        self.mounts = mounts
        self._folders: dict[tuple[int, int, bytes], dict[bytes, Place]] = {}

    @property
    def top(self) -> Place:
        files = self.image.files(self.number)
        return Place(files, b"", files.root)

    def children(self, place: Place) -> Iterator[tuple[bytes, Place]]:
        """Yield what a directory holds, by name, sorted."""
        found = sorted(place.files.children(place.path, place.node))
        for name, node in found:
            path = place.path + b"/" + name if place.path else name
            yield name, self._over(Place(place.files, path, node))

    def _over(self, place: Place) -> Place:
        """Return what is mounted at a place, or the place itself."""
        number = self.mounts.get(place.path) if place.path and place.node.kind == "d" else None
        if number is None:
            return place
        files = self.image.files(number)
        return Place(files, place.path, files.root)

    def find(self, path: bytes, *, follow: bool = True) -> Place:
        """Return what a path leads to, links followed within the tree. Raises UsageError where it leads nowhere."""
        waiting = [step for step in reversed(path.split(b"/")) if step not in (b"", b".")]
        above: list[Place] = [self.top]
        links = 0
        while waiting:
            step = waiting.pop()
            if step == b"..":
                above = above[:-1] or above
                continue
            here = above[-1]
            if here.node.kind != "d":
                raise UsageError(f"/{shown(here.path)} is not a directory", f"in {self.image.path}")
            found = self._inside(here).get(step)
            if found is None:
                whole = (here.path + b"/" if here.path else b"") + step
                raise UsageError(f"{self.image.path} holds no /{shown(whole)}", self._near(here, step))
            if found.node.kind == "l" and (waiting or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise UsageError(f"/{shown(found.path)} is a link that leads round in circles")
                if found.node.target.startswith(b"/"):
                    above = above[:1]
                waiting += [each for each in reversed(found.node.target.split(b"/")) if each not in (b"", b".")]
                continue
            above.append(found)
        return above[-1]

    def _inside(self, folder: Place) -> dict[bytes, Place]:
        """Return what a directory holds: the same few lie on the way to most files."""
        key = (id(folder.files), folder.node.inode, folder.path)
        found = self._folders.get(key)
        if found is None:
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            found = self._folders[key] = dict(self.children(folder))
        return found

    def _near(self, here: Place, step: bytes) -> str:
        from difflib import get_close_matches

        names = [shown(name) for name, _ in self.children(here)]
        near = get_close_matches(shown(step), names, 3)
        return f"Did you mean {', '.join(near)}?" if near else f"`doit ls` shows what there is in /{shown(here.path)}."

    def walk(self, place: Place) -> Iterator[Place]:
        """Yield what lies below a directory, folders before what they hold; lost+found is left out."""
        waiting = [place]
        met: set[tuple[int, int]] = set()
        count = 0
        while waiting:
            above = waiting.pop()
            below = []
            for name, found in self.children(above):
                if name == b"lost+found" and found.node.kind == "d" and above.node.inode == above.files.root.inode:
                    continue
                count += 1
                if count > _MOST_FILES or len(found.path) > os.pathconf("/", "PC_PATH_MAX"):
                    raise StageError(f"/{shown(found.path)}: more files, or longer paths, than are looked at")
                yield found
                if found.node.kind == "d":
                    identity = (id(found.files), found.node.inode)
                    if identity in met:
                        raise StageError(f"the directory /{shown(found.path)} has two names: its filesystem is damaged")
                    met.add(identity)
                    below.append(found)
            waiting += reversed(below)

    def text(self, path: bytes, most: int = _MOST_BYTES) -> bytes:
        """Return a small file's content, up to so many bytes; nothing where there is none."""
        try:
            place = self.find(path)
        except UsageError:
            return b""
        return place.files.read(place.node, 0, min(place.node.size, most)) if place.node.kind == "f" else b""


def of(image: Image, words: str) -> tuple[SystemTree, bytes]:
    """Return the tree that a path is about, and the path in it: `/etc`, or `2:/etc` and `esp:/EFI` on one partition."""
    chosen = _ON_PARTITION.fullmatch(words)
    if chosen and (number := _named(image, chosen[1])) is not None:
        return SystemTree(image, number, {}), os.fsencode(chosen[2])
    return whole(image), os.fsencode(words)


def whole(image: Image, root: int | None = None) -> SystemTree:
    """Return the tree of the system on an image, whose root is known or found. Raises UsageError where none is."""
    number = _root(image) if root is None else root
    return SystemTree(image, number, mounted(image, SystemTree(image, number, {})))


def mounted(image: Image, tree: SystemTree) -> dict[bytes, int]:
    """Return where partitions that can be read are mounted over a root, by its fstab: path -> number."""
    found = {}
    for line in fstab(tree):
        path = os.fsencode(line.where).strip(b"/")
        what = os.fsencode(line.what)
        number = next((each for each in image.readable if what in _specs(image, image.parts[each])), tree.number)
        if path and number != tree.number:
            found[path] = number
    return found


class FstabLine(NamedTuple):
    """A line of an fstab (fstab(5)): what is mounted, where, and how."""

    what: str
    where: str
    options: str = ""


def fstab(tree: SystemTree) -> list[FstabLine]:
    """Return the lines of a root's fstab, escapes resolved."""
    found = []
    for line in tree.text(b"etc/fstab").splitlines():
        fields = line.split()
        if len(fields) > 1 and not fields[0].startswith(b"#"):
            what, where = (_ESCAPE.sub(lambda each: bytes([int(each[1], 8) & 0xFF]), field) for field in fields[:2])
            options = fields[3] if len(fields) > _OPTIONS else b""
            found.append(FstabLine(os.fsdecode(what), os.fsdecode(where), os.fsdecode(options)))
    return found


def _named(image: Image, word: str) -> int | None:
    """Return the partition of that number or name."""
    for number, part in image.parts.items():
        if word in (str(number), part.name):
            return number
    if word.isdigit():
        raise UsageError(f"{image.path} has no partition {word}", f"There are {_list(image)}.")
    return None


def _root(image: Image) -> int:
    readable = image.readable
    linux = [each for each in readable if reader(image.parts[each]) != "fat"]
    if len(linux or readable) == 1 and not image.locked:  # beside a locked root it may be /boot, or /home
        return (linux or readable)[0]
    for number in linux if image.locked else readable:
        files = image.files(number)
        names = {name for name, node in files.children(b"", files.root) if node.kind in "dl"}
        if b"etc" in names and names & {b"usr", b"bin", b"sbin"}:
            return number
    if image.locked:
        hint = "Name the passphrase that opens it: --passphrase file:PATH, or env:NAME. `1:/` is a partition's top."
        raise UsageError(f"{image.path}: the system's root is locked ({_list(image)})", hint)
    hint = f"Say which partition: there are {_list(image)}; `2:/` is the top of the second."
    raise UsageError(f"{image.path}: no partition that can be read is a system's root", hint)


def _list(image: Image) -> str:
    names = (f"{each.number}{each.name and f' ({each.name})'}" for each in image.parts.values())
    return ", ".join(names)


def _specs(image: Image, part: Part) -> set[bytes]:
    """Return how an fstab may name a partition."""
    found = []
    if part.filesystem:
        found += [("UUID", "uuid", part.filesystem.uuid), ("LABEL", "label", part.filesystem.label)]
    found += [("PARTUUID", "partuuid", partuuid(image, part)), ("PARTLABEL", "partlabel", part.name)]
    words = [f"{key}={value}" for key, _, value in found if value]
    words += [f'{key}="{value}"' for key, _, value in found if value]
    words += [f"/dev/disk/by-{folder}/{value}" for _, folder, value in found if value]
    return {os.fsencode(word) for word in words}


def partuuid(image: Image, part: Part) -> str:
    """Return what Linux calls a partition's PARTUUID: its GUID, or on MBR the disk's signature and its number."""
    return part.guid or (f"{image.identity}-{part.number:02x}" if image.identity and part.number else "")

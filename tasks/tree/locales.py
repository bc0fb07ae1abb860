"""The guest's locale: which ones a tree has, and where its systems read which one is meant."""

from __future__ import annotations

import re
import struct
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.accounts import near
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import Tree

FILE: Final = "etc/locale.conf"
DEBIANS: Final = "etc/default/locale"
_FOLDER: Final = "usr/lib/locale"
_ARCHIVE: Final = f"{_FOLDER}/locale-archive"
_BUILT_IN: Final = ("C", "POSIX", "C.utf8")
"""What glibc has by itself, since 2.35 the third."""
_MAGIC: Final = 0xDE020109
_HEAD: Final = struct.Struct("=8I")  # locarchive.h: magic, serial, names at, used, size, strings at, used, size
_NAME: Final = struct.Struct("=3I")  # hash, the name's place, the record's
_LONGEST: Final = 255
"""Bytes of a locale's name, which is one of a folder as well."""
_MOST: Final = 8 << 20
"""Bytes of an archive within which the names of its locales stand: they are its first part."""


def declare(delta: Delta, wanted: str | None) -> None:
    """Have the guest speak a locale. Raises StageError where the tree has it not."""
    if wanted is None:
        return
    names = known(delta.tree)
    if names is not None and plain(wanted) not in map(plain, names):
        language, _, codes = wanted.partition("@")[0].partition(".")
        raise StageError(
            f"system.locale: the tree has no locale {wanted}{near(wanted, sorted(names))}",
            "Add the package locales-all, or locales and a layer `run: localedef -i {} -f {} {}`.".format(
                language, codes or "UTF-8", wanted
            ),
        )
    text = f"LANG={wanted}\n".encode()
    delta.add_file(FILE, text)
    if delta.tree.find("etc/default") and delta.tree.resolve(DEBIANS) != FILE:
        delta.add_file(DEBIANS, text)


def plain(name: str) -> str:
    """Return a locale's name as glibc compares it: de_DE.UTF-8 is de_DE.utf8."""
    base, dot, codes = name.partition(".")
    codes, at, modifier = codes.partition("@")
    codes = re.sub("[^a-z0-9]", "", codes.lower())
    return f"{base}{dot}{codes}{at}{modifier}"


def known(tree: Tree) -> set[str] | None:
    """Return the locales of a tree's C library; None for musl's, which takes any."""
    if any(name.startswith("ld-musl-") for name in tree.names("lib")):
        return None
    folders = {name for name in tree.names(_FOLDER) if tree.find(f"{_FOLDER}/{name}/LC_CTYPE")}
    return {*_BUILT_IN, *folders, *_archived(tree)}


def _archived(tree: Tree) -> set[str]:
    """Return the names in an archive that localedef made; of a damaged one none."""
    entry = tree.find(_ARCHIVE)
    if entry is None or entry.type not in ("f", "h"):
        return set()
    with tree.open(_ARCHIVE) as file:
        data = file.read(_MOST)
    if len(data) < _HEAD.size:
        return set()
    magic, _, at, _, size, *_ = _HEAD.unpack_from(data)
    if magic != _MAGIC or at + size * _NAME.size > len(data):
        return set()
    found: set[str] = set()
    for number in range(size):
        place = _NAME.unpack_from(data, at + number * _NAME.size)[1]
        end = data.find(b"\0", place, place + _LONGEST + 1) if place else 0
        if end < 0:
            return set()
        if place:
            found.add(data[place:end].decode("ascii", "replace"))
    return found

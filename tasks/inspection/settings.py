"""What a system is set to: its name, language, time, keyboard, name servers, its kernel's modules and settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.system_tree import SystemTree
from bootsmith.tasks.tree import keymaps, locales, resolver, timezones

_KEYS: Final = {  # files of lines KEY=VALUE, and which of their keys are told, as what
    locales.FILE: {"LANG": "locale"},
    locales.DEBIANS: {"LANG": "locale"},
    keymaps.SYSTEMDS: {"KEYMAP": "keymap"},
    keymaps.DEBIANS: {"XKBLAYOUT": "keymap"},
}
_MOST: Final = 1 << 20  # bytes of such a file


def of(tree: SystemTree, paths: set[bytes]) -> dict[bytes, dict[str, str]]:
    """Return what files say, of those among `paths` that say something of the kind: path -> name -> value."""
    found: dict[bytes, dict[str, str]] = {}
    for path in sorted(paths):
        name = os.fsdecode(path)
        said = dict(_said(tree, name))
        if said:
            found[path] = said
    return found


def _said(tree: SystemTree, path: str) -> Iterator[tuple[str, str]]:
    if path == timezones.LINK:
        target = _target(tree, path)
        yield from ([("timezone", target.removeprefix(f"/{timezones.FOLDER}/"))] if target else [])
        return
    reader = next((reader for patterns, reader in _READERS.items() if _is(path, patterns)), None)
    if reader:
        text = tree.text(os.fsencode(path), _MOST).decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines()]
        yield from reader(path, [line for line in lines if line and line[0] not in "#;"])


def _name(_: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    yield from (("hostname", shown(line)) for line in lines[:1])


def _keys(path: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, _, value = line.partition("=")
        if key in _KEYS[path]:
            yield _KEYS[path][key], shown(value.strip('"'))


def _servers(_: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ") and line.split()[1:]]
    if servers:
        yield "name servers", shown(", ".join(servers))


def _kernel(_: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, equals, value = line.partition("=")
        if equals:
            yield f"sysctl {shown(key.strip().lstrip('-'))}", shown(value.strip())


def _modules(_: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((f"module {shown(line.split()[0])}", "loaded") for line in lines)


_READERS: Final[Mapping[tuple[str, ...], Callable[[str, list[str]], Iterator[tuple[str, str]]]]] = {
    ("etc/hostname",): _name,
    tuple(_KEYS): _keys,
    (resolver.FILE,): _servers,
    ("etc/sysctl.conf", "etc/sysctl.d/*.conf"): _kernel,
    ("etc/modules-load.d/*.conf",): _modules,
}
"""Files, by their paths, and what tells of their lines what they say."""


def _target(tree: SystemTree, path: str) -> str:
    try:
        return shown(tree.find(os.fsencode(path), follow=False).node.target)
    except UsageError:
        return ""


def _is(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) and path.count("/") == pattern.count("/") for pattern in patterns)
